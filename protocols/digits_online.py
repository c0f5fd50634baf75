"""Digits learned online, in time
==============================

500 digits learned one by one in time give the same accuracy as at equilibrium, also with a learned inverse.

GAIT-prop: Ahmad, van Gerven & Ambrogioni (2020), arXiv 2006.06438. Digits: Alpaydin & Kaynak (1998), UCI
repository, doi:10.24432/C50P49.

Question and prediction
-----------------------

Does a network learn as much from a digit by rate dynamics as at its equilibria? Prediction: after
500 digits, each presented once and learned online, test accuracy with :doc:`GAIT-prop </rules/gait_prop>`
by dynamic inversion is at most 2 points below that of the torch backend, which makes one update of size η·T
per digit. A further arm copies no weights: the inverse is learned from spontaneous activity. **Controls**:
the transpose (backpropagation) and fixed random feedback.

What is modelled, and what is not
---------------------------------

``digits_mlp`` (64-64-10) and scikit-learn's 8x8 digits, standardised. A digit is presented for 60 ms, then
its label nudges IT for 40 ms, then the plasticity window is open for 40 ms; if the inverse is learned, 50
ms of spontaneous activity follow. Every arm starts with the same weights and sees the same digits in the
same order. η·T (learning rate times duration of the window) of each arm was chosen among six values on 1000
training digits that are not among the 500 (``search`` in the file), never on test digits. Not modelled:
spikes, a stream of images without pauses, and, in the exact arms, how three copies of a weight are kept
equal.

Run it
------

.. code-block:: none

   python protocols/digits_online.py          # five seeds on both backends, figure, table
   cortex-sim simulate digits_online --backend brian2 --out digits.nc

One arm of one seed takes about 5 s of one thread in time, half a second at equilibrium.

Result
------

.. image:: /figures/digits_online.png
   :alt: Accuracy on the way, and test accuracy after 500 digits

By the first command, five seeds, test accuracy after one pass over 500 digits:

.. csv-table::
   :delim: |
   :header-rows: 1

   arm | in time (brian2): mean, sd, least | at equilibrium (torch): mean, sd, least
   exact inverse (dynamic inversion) | 0.895, 0.024, 0.859 | 0.891, 0.024, 0.852
   learned inverse | 0.891, 0.020, 0.865 | 0.883, 0.031, 0.845
   transpose | 0.886, 0.032, 0.838 | 0.886, 0.027, 0.849
   random feedback | 0.856, 0.032, 0.818 | 0.844, 0.038, 0.801

The mean in time is not below that at equilibrium in any arm. Differences between the first three arms, and
between the two backends, are within their spread: five seeds of 500 digits cannot rank them. Random
feedback is behind.

Accuracy by η·T on the 1000 training digits left out, at equilibrium, mean of three seeds (``search()`` in
the file, half a minute):

.. csv-table::
   :delim: |
   :header-rows: 1

   arm | 0.005 | 0.01 | 0.02 | 0.03 | 0.04 | 0.06
   exact inverse | 0.827 | 0.893 | 0.922 | **0.928** | 0.926 | 0.922
   learned inverse | 0.826 | 0.892 | 0.918 | **0.920** | 0.913 | 0.896
   transpose | 0.826 | 0.901 | **0.923** | 0.922 | 0.911 | 0.882
   random feedback | 0.754 | **0.873** | 0.812 | 0.716 | 0.687 | 0.614

What would refute it
--------------------

A mean in time more than 2 points below that at equilibrium, or below 0.85. Asserted by
``tests/protocols/test_digits_online.py`` (``-m slow``).
"""

import numpy as np

import cortex_sim as cs

TRIALS, HIDDEN, SEEDS = 500, 64, 5
SETTLE_MS, COMPARE_MS, LEARN_MS, DREAM_MS = 60, 40, 40, 50
# η·T of one digit, the best for each rule on 1000 training digits outside the 500 (see `search`).
ARMS = {
    "exact inverse": ("gait_prop", 0.03),
    "learned inverse": ("gait_prop_learned", 0.03),
    "transpose": ("backprop", 0.02),
    "random feedback": ("feedback_alignment", 0.01),
}
INVERSE_ETA_T = 0.1  # of a learned inverse, in the spontaneous phase of one trial
RATES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06)


def training(seed: int, count: int = TRIALS) -> cs.Stimuli:
    """Digits to learn, drawn by the seed; the first 500 of more are those of 500."""
    return cs.Stimuli("digits", count=count, seed=seed, standardise=True)


def test_digits() -> cs.Stimuli:
    """Digits never learned, the same for every seed."""
    return cs.Stimuli("digits", split="test", standardise=True)


def arm(word: str, eta_t: float, digits: cs.Stimuli, probe: cs.Protocol | None) -> cs.Arm:
    """One pass over the digits, one after another; the response is read before the label is given."""
    shown, labelled = {"retina": digits}, {"IT": digits}
    eta = dict.fromkeys(("retina->V1", "V1->IT"), 1000 * eta_t / LEARN_MS)
    eta["IT->V1"] = 1000 * INVERSE_ETA_T / DREAM_MS
    phases = [
        cs.Phase("settle", SETTLE_MS, drive=shown),
        cs.Phase("compare", COMPARE_MS, drive=shown, nudge=labelled),
        cs.Phase("learn", LEARN_MS, drive=shown, nudge=labelled, plasticity=True),
    ]
    if word == "gait_prop_learned":
        phases.append(cs.Phase("dream", DREAM_MS, spontaneous=["V1"], plasticity=True))
    protocol = cs.Protocol(
        *phases, probe=probe, record=cs.Record(populations=["IT"], phase="settle"), eta_per_s=eta
    )
    return cs.Arm(protocol, cs.model("digits_mlp", hidden=HIDDEN).with_rule(word))


def experiment(seed: int = 0) -> cs.Experiment:
    """One rule per arm, at its own η; the same digits in the same order, the same initial weights."""
    probe = cs.Protocol(cs.Phase("settle", SETTLE_MS, drive={"retina": test_digits()}))
    arms = {name: arm(word, eta_t, training(seed), probe) for name, (word, eta_t) in ARMS.items()}
    return cs.Experiment(cs.model("digits_mlp", hidden=HIDDEN), arms=arms)


def correct(recording, name: str, stage: str, block: int = 1, seed: int = 0) -> np.ndarray:
    """Whether each response of an arm is right, (presentation,)."""
    from cortex_sim.viz.arms import accuracy

    labels = {str(i): label for i, label in enumerate(training(seed).labels)}
    labels |= {f"probe {i}": label for i, label in enumerate(test_digits().labels)}
    chosen = cs.recording.select(recording, arm=name, population="IT", stage=stage, block=block)
    return accuracy(chosen, labels)


def statistics(recording, seed: int = 0) -> dict[str, dict[str, float]]:
    """Accuracy of each arm: on test digits before and after, and online on the last digits."""
    return {
        name: {
            "test before": correct(recording, name, "probe", 0).mean(),
            "last 100 online": correct(recording, name, "trial", seed=seed)[-100:].mean(),
            "test after": correct(recording, name, "probe").mean(),
        }
        for name in ARMS
    }


def search(seeds=range(100, 103)) -> dict[str, dict[str, float]]:
    """Accuracy by η·T on the training digits left out, at equilibrium; mean over seeds."""
    from cortex_sim.backends.torch.quasi_static import QuasiStatic

    found = {}
    for name, (word, _) in ARMS.items():
        found[name] = dict.fromkeys(map(str, RATES), 0.0)
        for eta_t in RATES:
            for seed in seeds:
                everything = training(seed, 1500)
                images, labels = everything.images[TRIALS:], everything.labels[TRIALS:]
                learns = arm(word, eta_t, training(seed), None)
                session = QuasiStatic(learns.network, seed)
                session.run(learns.protocol)
                left_out = cs.Phase("settle", SETTLE_MS, drive={"retina": images})
                rates = session.run(cs.Protocol(left_out, record=cs.Record(populations=["IT"])))["rate"]
                found[name][str(eta_t)] += (rates.values.argmax(1) == labels).mean() / len(seeds)
    return found


def figure(recording, by_seed):
    """Accuracy during learning and after it; ``by_seed`` is backend to arm to test accuracies, (seed,)."""
    from cortex_sim.viz.arms import running_mean
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(10, 3.6)
    online, after = drawn.subplots(1, 2, width_ratios=[3, 2])
    for number, (name, colour) in enumerate(zip(ARMS, COLOURS, strict=False)):
        answers = correct(recording, name, "trial", seed=recording.attrs["seed"])
        online.plot(1 + np.arange(TRIALS), running_mean(answers, 50), color=colour, label=name)
        probes = [correct(recording, name, "probe", block).mean() for block in (0, 1)]
        online.plot([0, TRIALS], probes, color=colour, marker="o", mfc="white", ms=5, lw=0, clip_on=False)
        for backend, shift, filled in (("brian2", -0.15, colour), ("torch", 0.15, "white")):
            values = np.array(by_seed[backend][name])
            spread = number + shift + 0.04 * (np.arange(len(values)) - (len(values) - 1) / 2)
            after.plot(spread, values, color=colour, marker="o", ms=5, mfc=filled, lw=0)
            after.hlines(values.mean(), number + shift - 0.13, number + shift + 0.13, color="0.2", lw=1.5)
    plain(online, "digits learned", "accuracy")
    plain(after, "", "test accuracy after 500 digits")
    online.set_ylim(0, 1)
    online.legend(frameon=False, loc="lower right", title="running mean of 50; circles: test")
    after.set_xticks(range(len(ARMS)), [name.replace(" ", "\n") for name in ARMS])
    after.plot([], [], "o", color="0.3", label="in time (brian2)")
    after.plot([], [], "o", color="0.3", mfc="white", label="at equilibrium (torch)")
    after.legend(frameon=False, loc="lower left")
    return drawn


def main(seeds: int = SEEDS) -> None:
    """All seeds on both backends, under half a minute each; continues where it was interrupted."""
    from pathlib import Path

    folder = Path("runs/digits_online")
    folder.mkdir(parents=True, exist_ok=True)
    by_seed = {backend: {name: [] for name in ARMS} for backend in ("brian2", "torch")}
    for seed in range(seeds):
        for backend, run in (("brian2", cs.brian2.run), ("torch", cs.torch.run)):
            out = folder / f"{backend}_{seed}.nc"
            recording = run(experiment(seed), seed, out=out, resume=any(folder.glob(f"{out.name}*")))
            for name, found in statistics(recording, seed).items():
                by_seed[backend][name].append(found["test after"])
    numbers = {
        f"{name}, {backend}": {"mean": np.mean(values), "sd": np.std(values, ddof=1), "least": min(values)}
        for backend, arms in by_seed.items()
        for name, values in arms.items()
    }
    first = cs.recording.load(folder / "brian2_0.nc")
    cs.viz.keep("digits_online", first, figure(first, by_seed), numbers)


if __name__ == "__main__":
    main()
