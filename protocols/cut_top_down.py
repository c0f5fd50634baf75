"""The effect of a cut, late or noisy top-down projection on learning.

GAIT-prop by dynamic inversion: Ahmad, van Gerven & Ambrogioni (2020), arXiv 2006.06438. That learning in
sensory cortex needs input to apical tufts: Doron et al. (2020), Science 370, doi:10.1126/science.aaz3136.

Prediction: with the inverse from IT to V1 cut, V1->IT still learns and retina->V1 does not move at all, so
that few V1 units stay a poor basis for digits. Credit that is late, but arrives while its image is presented,
changes less in the same window (at 50 ms, half). Credit one image late moves retina->V1 too, but for the
wrong image: it is of no use. Noise of mean zero averages out over a window and over images. Control: the
intact projection, same digits, same order, same initial weights.
"""

import numpy as np

import cortex_sim as cs

DIGITS, BLOCKS, HIDDEN = 100, 4, 16
SETTLE_MS, COMPARE_MS, LEARN_MS = 60, 40, 40
TRIAL_MS = SETTLE_MS + COMPARE_MS + LEARN_MS
DOWN, UP = "IT->V1", ("retina->V1", "V1->IT")
ETA = 0.75  # in 1/s; chosen for `digits_online` on digits held out of training
ARMS = {
    "intact": {},
    "cut": {"cut": [DOWN]},
    "50 ms late": {"delay_ms": {DOWN: 50}},
    "one image late": {"delay_ms": {DOWN: TRIAL_MS}},
    "noisy": {"noise": {DOWN: 1.0}},  # redrawn each ms; the credit of a V1 unit is 0.25 at first, then less
}


def test_digits() -> cs.Stimuli:
    """Digits never learned."""
    return cs.Stimuli("digits", split="test", standardise=True)


def protocol(digits: cs.Stimuli, gates: dict) -> cs.Protocol:
    """Images follow one another without pause, so that late credit acts during the next one."""
    shown, labelled = {"retina": digits}, {"IT": digits}
    return cs.Protocol(
        cs.Phase("settle", SETTLE_MS, drive=shown, **gates),
        cs.Phase("compare", COMPARE_MS, drive=shown, nudge=labelled, **gates),
        cs.Phase("learn", LEARN_MS, drive=shown, nudge=labelled, plasticity=True, **gates),
        order="shuffled",
        repeat=BLOCKS,
        reset=False,
        probe=cs.Protocol(cs.Phase("settle", SETTLE_MS, drive={"retina": test_digits()})),
        record=cs.Record(phase="settle", populations=["IT"], weights=UP, weights_every=20),
        eta_per_s=ETA,
    )


def experiment(seed: int = 0) -> cs.Experiment:
    """The same digits in the same order from the same weights; only the gate of IT->V1 differs."""
    digits = cs.Stimuli("digits", count=DIGITS, seed=seed, standardise=True)
    arms = {name: protocol(digits, gates) for name, gates in ARMS.items()}
    return cs.Experiment(cs.model("digits_mlp", hidden=HIDDEN), arms)


def accuracies(recording, arm: str) -> np.ndarray:
    """Accuracy on test digits, before learning and after each block, (block,)."""
    from cortex_sim.viz.arms import accuracy

    labels = {f"probe {i}": label for i, label in enumerate(test_digits().labels)}
    probes = cs.recording.select(recording, arm=arm, stage="probe", population="IT")
    right = accuracy(probes, labels)
    return np.array([right[probes["block"].values == block].mean() for block in range(BLOCKS + 1)])


def change(recording, projection: str, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Trials, and the change of weights relative to their initial length, (snapshot, post, pre)."""
    trials, weights = cs.recording.weights_of(recording, projection, arm)
    return trials, (weights - weights[0]) / np.linalg.norm(weights[0])


def statistics(recording) -> dict[str, dict[str, float]]:
    """Accuracy before and after, change of both projections, and its cosine to the intact arm's."""
    _, intact = change(recording, UP[0], "intact")
    found = {}
    for arm in ARMS:
        _, below = change(recording, UP[0], arm)
        size = np.linalg.norm(below[-1])
        overlap = np.vdot(below[-1], intact[-1]) / np.linalg.norm(intact[-1])
        found[arm] = {
            "accuracy before": accuracies(recording, arm)[0],
            "accuracy after": accuracies(recording, arm)[-1],
            "retina->V1 moved": size,
            "V1->IT moved": np.linalg.norm(change(recording, UP[1], arm)[1][-1]),
            "cosine to intact": overlap / size if size else 0.0,
        }
    return found


def figure(recording):
    """Accuracy over blocks, and the change of both projections."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 3.4)
    learned, *moved = drawn.subplots(1, 3)
    for arm, colour in zip(ARMS, COLOURS, strict=False):
        right = accuracies(recording, arm)
        learned.plot(DIGITS * np.arange(len(right)), right, "o-", color=colour, ms=4)
        for axes, projection in zip(moved, UP, strict=True):
            trials, added = change(recording, projection, arm)
            axes.plot(trials, np.linalg.norm(added, axis=(1, 2)), color=colour, lw=2, label=arm)
    plain(learned, "digits shown", "accuracy on test digits")
    for axes, projection in zip(moved, UP, strict=True):
        plain(axes, "digits shown", f"relative change of {projection}")
        axes.set_ylim(bottom=0 if projection == UP[1] else -0.02)
    learned.set_ylim(0, 1)
    moved[1].legend(frameon=False, fontsize=9, loc="upper left")
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("cut_top_down", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
