"""Closing one eye shifts ocular dominance; closing both hardly does
=================================================================

Closing one noisy eye shifts ocular dominance to the other; closing both does not.

BCM: Bienenstock, Cooper & Munro (1982), Theory for the development of neuron selectivity, J. Neurosci. 2,
doi:10.1523/JNEUROSCI.02-01-00032.1982.

Question and prediction
-----------------------

Why does a kitten's cortex stop responding to an eye that was closed for a while (Wiesel & Hubel 1963, J.
Neurophysiol. 26, doi:10.1152/jn.1963.26.6.1003), but far less if both were closed (1965, 28,
doi:10.1152/jn.1965.28.6.1029)? Under :doc:`BCM </rules/bcm>` the open eye keeps a cell's threshold high;
activity of the closed eye, which matches no pattern, stays below it and weakens the synapses that carry it.
With both eyes closed the threshold is low as well, and little is lost. Predictions:

- after normal rearing cells are selective and respond to both eyes equally, ocular dominance (L − R)/(L +
  R) about 0;
- **left closed** (it sends noise): the left eye's response is lost, dominance goes towards −1;
- control, **both closed** (the same noise): dominance stays, and cells stay selective;
- control, **both open**: nothing shifts;
- control, **left silent** (no noise either): the left eye's response is kept. In kittens, closing the lid
  depressed responses significantly more than silencing the retina (Rittenhouse, Shouval, Paradiso & Bear
  1999, Nature 397, doi:10.1038/16922).

For a linear, fully selective cell the closed eye's weights change by η(2⟨y⟩ − θ)σ²w per second of open
window, with ⟨y⟩ = 1 and θ = K: they decay, and faster with more noise (variance σ²).

What is modelled, and what is not
---------------------------------

Each eye is a ring of 10 units that presents one of 5 overlapping bumps, the same in both eyes, plus
independent noise (σ = 0.3). V1 has 20 linear cells, whose rates are deviations from spontaneous activity.
There are 4000 trials of rearing and 6000 of deprivation, 25 ms each, with the window open in the last 10
ms; θ has a time constant of 200 ms of open windows, 20 trials. Ocular dominance, selectivity and tuning are
computed from the recorded weights and patterns without noise. Not modelled: a critical period (nothing ends
plasticity), columns and competition between cells (all cells shift equally, whereas cortical cells vary),
weights of one sign, light through closed lids.

Run it
------

.. code-block:: none

   python protocols/bcm_ocular_dominance.py          # recording, figure, table
   cortex-sim simulate bcm_ocular_dominance --backend brian2 --out eyes.nc

About 25 s of one thread for all four arms.

Result
------

.. image:: /figures/bcm_ocular_dominance.png
   :alt: Ocular dominance, the left eye's response, and tuning before and after

By the first command, seed 0 (brian2 2.9, batched engine, dt 1 ms), means over cells:

.. csv-table::
   :delim: |
   :header-rows: 1

   ""| dominance before | dominance after | selectivity before | selectivity after | left rate before | "
   left rate after"| right rate before | right rate after
   both open | −0.02 | 0.03 | 0.75 | 0.76 | 1.96 | 1.98 | 2.04 | 1.88
   left closed | −0.02 | −0.74 | 0.75 | 0.73 | 1.96 | 0.49 | 2.04 | 3.29
   both closed | −0.02 | −0.03 | 0.75 | 0.75 | 1.96 | 1.16 | 2.04 | 1.24
   left silent | −0.02 | −0.26 | 0.75 | 0.75 | 1.96 | 1.96 | 2.04 | 3.31

Seeds 1, 2: left closed −0.82, −0.75; both closed −0.02, −0.01; left silent −0.32, −0.29; left rate after
closure 0.33, 0.48.

Closing both eyes is not harmless: responses through *both* eyes decay, to 59 and 61 % here, while their
balance and tuning stay. The index alone can mislead: with a silent left eye it goes to −0.26 although the
left eye's response is unchanged. Only the open eye's response grew, because the cell's threshold fell.
Cells respond to stimulation of both eyes with about 4, rather than the 5 expected without noise, since
noise also raises θ.

What would refute it
--------------------

A shift under closure of both eyes above a fifth of that under closure of one, a loss of the silent eye's
response, or a shift towards the closed eye. Asserted by ``tests/protocols/test_bcm_ocular_dominance.py``
(``-m slow``).
"""

import numpy as np

import cortex_sim as cs

PATTERNS, UNITS, CELLS = 5, 10, 20  # UNITS in each eye: the left eye is the first half of the retina
REARING, DEPRIVATION = 4000, 6000  # trials
NOISE = 0.3  # standard deviation in every retinal unit that is not silent, added to its input
PROJECTION = "retina->V1"
AFTER_REARING = {  # (left, right): whether an eye sees, and whether it has noise
    "both open": ((1, 1), (1, 1)),
    "left closed": ((0, 1), (1, 1)),
    "both closed": ((0, 0), (1, 1)),
    "left silent": ((0, 1), (0, 1)),
}


def patterns() -> np.ndarray:
    """Overlapping bumps around a ring of units, (pattern, unit) of one eye; neighbours have cosine 0.37."""
    place, centre = np.arange(UNITS), UNITS // PATTERNS * np.arange(PATTERNS)
    apart = abs(place - centre[:, None])
    return np.exp(-(np.minimum(apart, UNITS - apart) ** 2) / 2)


def images(sees, noisy, seed: int) -> np.ndarray:
    """Rearing with both eyes open, then as given for (left, right); (trial, unit)."""
    rng = np.random.default_rng(seed)
    shown = patterns()[rng.integers(PATTERNS, size=REARING + DEPRIVATION)]
    noise = NOISE * rng.normal(size=(2, len(shown), UNITS))
    eyes = shown + noise
    for eye in (0, 1):
        eyes[eye, REARING:] = sees[eye] * shown[REARING:] + noisy[eye] * noise[eye, REARING:]
    return np.hstack(eyes)


def experiment(seed: int = 0) -> cs.Experiment:
    """The same rearing, then four conditions; patterns and noise are the same in all."""
    net = cs.Network("two eyes")
    retina = net.population("retina", 2 * UNITS)
    v1 = net.population("V1", CELLS, activation="linear", tau_ms=3, bias=False)
    start = np.random.default_rng(seed).uniform(0.05, 0.2, size=(CELLS, 2 * UNITS))
    net.bottom_up(retina, v1, cs.Dense(init=start), plasticity=cs.Bcm(tau_ms=200))  # 20 trials

    arms = {}
    for arm, (sees, noisy) in AFTER_REARING.items():
        shown = {"retina": images(sees, noisy, seed)}
        arms[arm] = cs.Protocol(
            cs.Phase("settle", duration_ms=15, drive=shown),
            cs.Phase("learn", duration_ms=10, drive=shown, plasticity=True),
            record=cs.Record(populations=["V1"], weights=True, weights_every=50),
            eta_per_s=0.3,
        )
    return cs.Experiment(net, arms)


def responses(weights: np.ndarray) -> np.ndarray:
    """Rates to each pattern without noise, through one eye at a time, (..., cell, eye, pattern)."""
    by_eye = weights.reshape(*weights.shape[:-1], 2, UNITS)
    return by_eye @ patterns().T


def best(weights: np.ndarray) -> np.ndarray:
    """Each cell's highest rate through either eye, at least 0, (..., cell, eye)."""
    return responses(weights).max(axis=-1).clip(min=0)


def dominance(weights: np.ndarray) -> np.ndarray:
    """(L − R)/(L + R) of each cell, L and R its highest rates through the left and the right eye."""
    left, right = np.moveaxis(best(weights), -1, 0)
    return (left - right) / (left + right)


def selectivity(weights: np.ndarray) -> np.ndarray:
    """1 − mean/maximum of each cell's rates, at least 0, through both eyes together."""
    rates = responses(weights).sum(axis=-2).clip(min=0)
    return 1 - rates.mean(axis=-1) / rates.max(axis=-1)


def ends(recording, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights at the end of rearing and of deprivation."""
    trials, weights = cs.recording.weights_of(recording, PROJECTION, arm)
    return weights[np.searchsorted(trials, min(REARING, trials[-1]))], weights[-1]


def statistics(recording) -> dict[str, dict[str, float]]:
    """Ocular dominance, selectivity and highest rates, means over cells, before and after."""
    found = {}
    for arm in AFTER_REARING:
        before, after = ends(recording, arm)
        (left_before, right_before), (left, right) = best(before).mean(axis=0), best(after).mean(axis=0)
        found[arm] = {
            "dominance before": dominance(before).mean(),
            "dominance after": dominance(after).mean(),
            "selectivity before": selectivity(before).mean(),
            "selectivity after": selectivity(after).mean(),
            "left rate before": left_before,
            "left rate after": left,
            "right rate before": right_before,
            "right rate after": right,
        }
    return found


def tuning(weights: np.ndarray) -> np.ndarray:
    """Mean rates of cells, each turned round the ring until its preferred pattern is at 0, (eye, pattern)."""
    rates = responses(weights)
    preferred = rates.sum(axis=1).argmax(axis=-1)
    return np.mean([np.roll(r, PATTERNS // 2 - k, axis=-1) for r, k in zip(rates, preferred, strict=True)], 0)


def figure(recording):
    """Dominance and the left eye's response over trials, and tuning to either eye before and after."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 3.4)
    shift, rates, tuned = drawn.subplots(1, 3, width_ratios=[1.2, 1, 1])
    for number, arm in enumerate(AFTER_REARING):
        trials, weights = cs.recording.weights_of(recording, PROJECTION, arm)
        shift.plot(trials, dominance(weights).mean(axis=1), color=COLOURS[number], label=arm)
        rates.plot(trials, best(weights)[..., 0].mean(axis=1), color=COLOURS[number])
    for axes in (shift, rates):
        axes.axvspan(REARING, trials[-1], color="0.5", alpha=0.12, lw=0, zorder=0)
        axes.set_title("rearing, then (grey) deprivation", fontsize=9, color="0.35")
    place = np.arange(PATTERNS) - PATTERNS // 2
    for when, weights, style in zip(("before", "after"), ends(recording, "left closed"), "os", strict=True):
        for eye, rate, colour in zip(("left", "right"), tuning(weights), COLOURS[4:], strict=False):
            shown = {"ls": "--", "mfc": "white"} if when == "before" else {}
            tuned.plot(place, rate, style, color=colour, label=f"{eye} eye, {when}", **{"ls": "-", **shown})
    tuned.set_title("left closed: mean over cells", fontsize=9, color="0.35")
    tuned.set_ylim(top=1.4 * tuned.get_ylim()[1])
    tuned.legend(frameon=False, fontsize=8, ncols=2, loc="upper center")
    plain(shift, "trials", "ocular dominance, (L − R) / (L + R)")
    plain(rates, "trials", "highest rate through the left eye")
    plain(tuned, "pattern, from the preferred one", "rate")
    shift.set_ylim(-1, 0.35)
    rates.set_ylim(bottom=0)
    shift.legend(frameon=False, fontsize=8, loc="lower left")
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("bcm_ocular_dominance", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
