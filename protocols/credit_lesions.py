"""A lesion table of a layered credit network
==========================================

Cutting a credit projection of the layered form silences exactly what lies below it.

Top-down weights that learn beside the bottom-up ones: Kolen & Pollack (1994), doi:10.1109/ICNN.1994.374486.

Question and prediction
-----------------------

In the :doc:`layered form of TDCA </rules/tdca>` credit populations mirror the bottom-up ones, and each
top-down projection learns in parallel with a bottom-up one. What does each of them carry? Prediction: cutting
one silences the credit of every population below it exactly, and leaves the credit of all others unchanged to
the last digit. Weights onto a silenced population, and top-down weights from it, only decay; those of the
cut projection itself continue to learn, since their two signals still arrive.

**Control**: the intact network; same digits, same initial weights.

What is modelled, and what is not
---------------------------------

There are three hidden populations of 24, 20 and 16 units. The top-down weights B start from a mirror phase;
gain (1.7) and weight decay (5e-4 and 7e-4) are like those that outer loops find. 32 digits are presented in
parallel, for 400 ms with their labels at the top, then in one window of 40 ms at 0.02/s, so short that the
changed weights hardly act back. Not modelled: recovery after a lesion,
or what a network learns under it (for that, see :doc:`cut_top_down </gallery/cut_top_down>`).

Run it
------

.. code-block:: none

   python protocols/credit_lesions.py          # recording, figure, table
   cortex-sim simulate credit_lesions --backend brian2 --out lesions.nc

About 4 s of one thread.

Result
------

.. image:: /figures/credit_lesions.png
   :alt: Credit and change of weights under each lesion

By the first command, seed 0; sizes relative to the intact network's:

.. csv-table::
   :delim: |
   :header-rows: 1

   arm | credit of V1 | of V2 | of V4 | of IT | retina->V1 moved | V1->V2 | V2->V4 | V4->IT | V2->V1 | "
   V4->V2"| IT->V4
   V2->V1 cut | 0 | 1 | 1 | 1 | 0.0029 | 1 | 1 | 1 | 1 | 1 | 1
   V4->V2 cut | 0 | 0 | 1 | 1 | 0.0029 | 0.0053 | 1 | 1 | 0.0046 | 1 | 1
   IT->V4 cut | 0 | 0 | 0 | 1 | 0.0029 | 0.0053 | 0.0060 | 1 | 0.0046 | 0.0051 | 1

The prediction holds. Values below 0.01 are weight decay alone: W(1 − (1 − ηλ dt)ⁿ) over the n steps of the
window, up to rounding.

What would refute it
--------------------

A credit below the cut that is not exactly 0, or one above that differs in any digit; a change of silenced
weights other than decay. Asserted by ``tests/protocols/test_credit_lesions.py``, also on the synapses
engine. That the same network settles to torch's rates and credits within 1e-6, and takes torch's update, is
asserted by ``tests/backends/on_brian2/test_layered.py``.
"""

from itertools import pairwise

import numpy as np

import cortex_sim as cs
from cortex_sim.credit import LayeredCredit, TrainedCredit

DIGITS, HIDDEN = 32, (24, 20, 16)
AREAS = ("V1", "V2", "V4", "IT")
DOWN = tuple(f"{above}->{below}" for below, above in pairwise(AREAS))
UP = ("retina->V1", *(f"{below}->{above}" for below, above in pairwise(AREAS)))
SETTLE_MS, LEARN_MS, ETA = 400, 40, 0.02  # in 1/s: weights hardly move within the window
ARMS = {"intact": [], **{f"{name} cut": [name] for name in DOWN}}
GAIN, FORGETS_UP, FORGETS_DOWN = 1.7, 5e-4, 7e-4


def credit() -> TrainedCredit:
    """The layered form with gain and forgetting as outer loops find them, and a mirror phase."""
    found = {"log_gain": GAIN, "log_decay_up": FORGETS_UP, "log_decay_down": FORGETS_DOWN, "log_scale": 1.0}
    return TrainedCredit(LayeredCredit(mirror=320), {n: np.array(np.log(x)) for n, x in found.items()}, {})


def network() -> cs.Network:
    """Four bottom-up projections that learn, three credit projections that learn beside them."""
    chain = cs.model("tdca_mlp", inputs=64, hidden=HIDDEN, activation="tanh")
    return chain.with_rule("tdca", credit=credit())


def protocol(digits: cs.Stimuli, cut: list[str]) -> cs.Protocol:
    """All digits side by side: settle with labels at the top, then learn for one window."""
    given = {"drive": {"retina": digits}, "nudge": {"IT": digits}, "cut": cut}
    return cs.Protocol(
        cs.Phase("settle", SETTLE_MS, **given),
        cs.Phase("learn", LEARN_MS, plasticity=True, **given),
        batch=DIGITS,
        record=cs.Record(("rate", "credit"), phase="settle", populations=AREAS, weights=(*UP, *DOWN)),
        eta_per_s=ETA,
    )


def experiment(seed: int = 0) -> cs.Experiment:
    """One arm for each credit projection that is cut."""
    digits = cs.Stimuli("digits", count=DIGITS, seed=seed, standardise=True)
    return cs.Experiment(network(), {arm: protocol(digits, cut) for arm, cut in ARMS.items()})


def credits(recording, arm: str, population: str) -> np.ndarray:
    """Credit at the end of the settling phase, (presentation, neuroid)."""
    return cs.recording.select(recording, arm=arm, population=population)["credit"].values


def moved(recording, arm: str, projection: str) -> np.ndarray:
    """Change of weights in the window, (post, pre)."""
    weights = cs.recording.weights_of(recording, projection, arm)[1]
    return weights[-1] - weights[0]


def statistics(recording) -> dict[str, dict[str, float]]:
    """Size of credits, and of changes of weights, relative to the intact network's."""
    found = {}
    for arm in ARMS:
        row = {}
        for name in AREAS:
            ours, intact = (np.linalg.norm(credits(recording, a, name)) for a in (arm, "intact"))
            row[f"credit of {name}"] = ours / intact
        for name in (*UP, *DOWN):
            ours, intact = (np.linalg.norm(moved(recording, a, name)) for a in (arm, "intact"))
            row[f"{name} moved"] = ours / intact
        found[arm] = row
    return found


def figure(recording):
    """The table as two maps: credit by population, and change by projection."""
    from cortex_sim.viz.panels import new_figure

    table = statistics(recording)
    drawn = new_figure(11, 3.2)
    parts = (("credit of ", "credit"), (" moved", "change of weights"))
    for axes, (mark, title) in zip(drawn.subplots(1, 2, width_ratios=(4, 7)), parts, strict=True):
        columns = [name for name in table["intact"] if mark in name]
        values = np.array([[row[name] for name in columns] for row in table.values()])
        axes.imshow(values, cmap="Greys", vmin=0, vmax=1.5, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            colour = "w" if value > 0.8 else "k"
            axes.text(j, i, f"{value:.2g}", ha="center", va="center", color=colour, fontsize=8)
        labels = [name.replace(mark, "") for name in columns]
        axes.set_xticks(range(len(columns)), labels, rotation=30, fontsize=8)
        axes.set_yticks(range(len(table)), table, fontsize=8)
        axes.set_title(f"{title}, relative to intact", fontsize=9)
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the table."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("credit_lesions", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
