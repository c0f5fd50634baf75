"""A sliding threshold makes units selective
=========================================

Under BCM with its sliding threshold each unit responds to a single pattern; under Hebb's rule to all.

BCM: Bienenstock, Cooper & Munro (1982), Theory for the development of neuron selectivity, J. Neurosci. 2,
doi:10.1523/JNEUROSCI.02-01-00032.1982; the threshold ⟨y²⟩: Intrator & Cooper (1992), Neural Networks 5,
doi:10.1016/S0893-6080(05)80003-6.

Question and prediction
-----------------------

How can a cortical cell that responds to everything become selective for one pattern, without a teacher?
Bienenstock, Cooper & Munro (1982, J. Neurosci. 2, doi:10.1523/JNEUROSCI.02-01-00032.1982): by
:doc:`plasticity whose sign turns at a threshold </rules/bcm>` that slides with the cell's own activity. Of
K linearly independent patterns presented equally often, a cell finally responds to a single one: its
selectivity, 1 − mean/maximum of its rates, goes to 1 − 1/K. With the threshold θ = ⟨y²⟩ (Intrator & Cooper
1992) its rate goes to K, where y = θ = y²/K. For K = 5 these are **selectivity 0.8 and rate 5**. Cells with
different initial weights choose different patterns. **Control**: under :doc:`Hebb's rule </rules/hebbian>`,
without a threshold, cells become less selective than before.

What is modelled, and what is not
---------------------------------

5 overlapping bumps around a ring of 15 retinal units (neighbours have cosine 0.37); 10 rectified V1 cells
that initially respond to all of them (weights uniform in 0.1 to 0.3). A pattern is shown for 40 ms; the
window is open in the last 20. After every 100 trials a probe shows each pattern without plasticity. θ moves
with a time constant of 400 ms of open windows, 20 trials, and therefore averages over patterns; weights
move more slowly. Not modelled: competition between cells, so several cells may choose the same pattern, and
some patterns none; weights of one sign (cells are silenced for other patterns by negative weights).

Run it
------

.. code-block:: none

   python protocols/bcm_selectivity.py          # recording, figure, table
   cortex-sim simulate bcm_selectivity --backend brian2 --out bcm.nc

About 25 s of one thread for both arms.

Result
------

.. image:: /figures/bcm_selectivity.png
   :alt: Responses before and after, and selectivity over trials

By the first command, seed 0 (brian2 2.9, batched engine, dt 1 ms):

.. csv-table::
   :delim: |
   :header-rows: 1

   ""| selectivity before | selectivity after | least selective cell | highest rate, mean over cells | "
   patterns a cell answers"| patterns chosen
   BCM | 0.096 | 0.800 | 0.799 | 4.99 | 1 | 3
   Hebb | 0.096 | 0.0007 | 0.0002 | 2.6e6 | 5 | 0

*Patterns a cell answers*: those with a response above half its highest rate. *Patterns chosen*: by cells of
selectivity above one half. Seeds 1, 2, 3: selectivity 0.800 each, highest rate 4.99, 4.99, 5.00, and 4, 4,
5 patterns chosen of 5. On the way, several cells stay for hundreds of trials at a selectivity of 0.6,
responding to two patterns: an unstable fixed point of the rule.

What would refute it
--------------------

A cell that still responds to two patterns after 4000 trials, a rate other than K, the same choice by all
cells under all seeds, or a selectivity that also develops under Hebb's rule. Asserted by
``tests/protocols/test_bcm_selectivity.py`` (``-m slow``).
"""

import numpy as np

import cortex_sim as cs

UNITS, PATTERNS, CELLS = 15, 5, 10
BLOCKS, TRIALS = 40, 100  # of learning between two probes
RULES = {"BCM": cs.Bcm(tau_ms=400), "Hebb": cs.Hebbian()}  # 400 ms with the window open: 20 trials


def patterns() -> np.ndarray:
    """Overlapping bumps around a ring of retinal units, (pattern, unit); neighbours have cosine 0.37."""
    place, centre = np.arange(UNITS), UNITS // PATTERNS * np.arange(PATTERNS)
    apart = abs(place - centre[:, None])
    return np.exp(-((np.minimum(apart, UNITS - apart) / 1.5) ** 2) / 2)


def network(rule, seed: int) -> cs.Network:
    """Rectified units that initially respond to every pattern about equally."""
    net = cs.Network("selectivity")
    retina = net.population("retina", UNITS)
    v1 = net.population("V1", CELLS, activation="relu", tau_ms=5, bias=False, nonnegative=True)
    start = np.random.default_rng(seed).uniform(0.1, 0.3, size=(CELLS, UNITS))
    net.bottom_up(retina, v1, cs.Dense(init=start), plasticity=rule)
    return net


def experiment(seed: int = 0) -> cs.Experiment:
    """Both rules on the same patterns in the same order, each pattern probed after every block."""
    shown = {"retina": patterns()}
    protocol = cs.Protocol(
        cs.Phase("settle", duration_ms=20, drive=shown),
        cs.Phase("learn", duration_ms=20, drive=shown, plasticity=True),
        trials=TRIALS,
        repeat=BLOCKS,
        order="shuffled",
        probe=cs.Protocol(cs.Phase("settle", duration_ms=40, drive=shown)),
        record=cs.Record(phase="settle"),
        eta_per_s=0.2,
    )
    arms = {name: cs.Arm(protocol, network(rule, seed)) for name, rule in RULES.items()}
    return cs.Experiment(arms["BCM"].network, arms)


def responses(recording, arm: str) -> np.ndarray:
    """Rates in the probes, (block, pattern, cell)."""
    probes = cs.recording.select(recording, arm=arm, stage="probe", population="V1")
    order = np.lexsort([probes["stimulus_id"].values.astype(int), probes["block"].values])
    return probes["rate"].values[order].reshape(-1, PATTERNS, CELLS)


def selectivity(rates: np.ndarray) -> np.ndarray:
    """1 − mean/maximum over patterns, from (..., pattern, cell) to (..., cell)."""
    return 1 - rates.mean(axis=-2) / rates.max(axis=-2)


def statistics(recording) -> dict[str, dict[str, float]]:
    """Selectivity before and after, the highest rate, and the patterns that selective cells chose."""
    found = {}
    for arm in RULES:
        rates = responses(recording, arm)
        index = selectivity(rates)
        found[arm] = {
            "selectivity before": index[0].mean(),
            "selectivity after": index[-1].mean(),
            "least selective cell": index[-1].min(),
            "highest rate, mean over cells": rates[-1].max(axis=0).mean(),
            "patterns a cell answers": (rates[-1] > rates[-1].max(axis=0) / 2).sum(axis=0).mean(),
            "patterns chosen": len(set(rates[-1].argmax(axis=0)[index[-1] > 0.5].tolist())),
        }
    return found


def figure(recording):
    """Responses before and after, and selectivity over trials."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 3.2)
    drawn.get_layout_engine().set(wspace=0.06)
    *images, curve = drawn.subplots(1, 4, width_ratios=[1, 1, 1, 2.2])
    shown = {"before": responses(recording, "BCM")[0]}
    shown |= {f"after {arm}": responses(recording, arm)[-1] for arm in RULES}
    order = np.argsort(shown["after BCM"].argmax(axis=0), kind="stable")
    for axes, (title, rates) in zip(images, shown.items(), strict=True):
        relative = (rates / rates.max(axis=0)).T[order]
        mesh = axes.imshow(relative, aspect="auto", cmap="viridis", vmin=0, vmax=1)
        axes.set(title=title, xlabel="pattern", xticks=range(PATTERNS), yticks=[0, CELLS - 1])
    images[0].set_ylabel("V1 cell")
    drawn.colorbar(mesh, ax=images, label="rate over the cell's highest", aspect=30, pad=0.02)
    trials = TRIALS * np.arange(len(responses(recording, "BCM")))
    for arm, colour in zip(RULES, COLOURS, strict=False):
        index = selectivity(responses(recording, arm))
        curve.plot(trials, index, color=colour, lw=0.7, alpha=0.35)
        curve.plot(trials, index.mean(axis=1), color=colour, lw=2.2, label=arm)
    curve.axhline(1 - 1 / PATTERNS, color="0.6", lw=1, ls=":")
    curve.set_ylim(0, 0.9)
    curve.legend(frameon=False, loc="center right")
    plain(curve, "trials", "selectivity, 1 − mean / maximum")
    return drawn


def main(seed: int = 0) -> None:
    """Run both arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("bcm_selectivity", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
