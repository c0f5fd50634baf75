"""A learned inverse in place of the exact one
===========================================

Top-down weights learned from spontaneous activity converge to the exact inverse's credit.

GAIT-prop: Ahmad, van Gerven & Ambrogioni (2020), arXiv 2006.06438. Inverses learned from noise: Bengio
(2014), arXiv 1407.7906; Lee et al. (2015), arXiv 1412.7525.

Question and prediction
-----------------------

:doc:`Dynamic inversion </gallery/gait_relaxation>` delivers W⁺u, but its loop holds copies of W. Can
top-down weights B that are never copied replace it? They start at random, and after each digit V1 is
spontaneously active for 50 ms while B learns to predict this activity ξ from its echo y = Wξ in IT
(:doc:`inverse learning </rules/inverse_learning>`): dB/dt = η(ξ − By)yᵀ.

Prediction, for W orthogonal and constant: the initial B fades as exp(−ηt), B tends to W⁺, and white noise
drawn each dt leaves errors of variance η·dt/2 in every direction that y does not determine, (64 − 10)·10 of
them. The cosine of credit to W⁺u rises to 0.974, in about 30 periods of spontaneous activity. **Controls**:
the exact inverse (cosine 1), and the same random B without learning, to which only W can align, as in
feedback alignment (Lillicrap et al. 2016, doi:10.1038/ncomms13276).

What is modelled, and what is not
---------------------------------

``digits_mlp`` (64-64-10) learns 300 digits online, its bottom-up weights at 0.75/s in windows of 40 ms; W
therefore changes while B follows. B learns at 2/s. Digits and initial weights are the same in every arm.
Credit is sampled at the end of 40 ms under the nudge, before weights move. Not modelled: correlated
spontaneous activity, under which B tends to another right inverse; activity in IT of other origin than V1
during that time; rates that cannot be negative.

Run it
------

.. code-block:: none

   python protocols/learned_inverse.py          # recording, figure, table
   cortex-sim simulate learned_inverse --backend brian2 --out inverse.nc

About 9 s of one thread for all three arms.

Result
------

.. image:: /figures/learned_inverse.png
   :alt: Direction and length of the credit delivered, and what it teaches

By the first command, seed 0:

.. csv-table::
   :delim: |
   :header-rows: 1

   arm | cosine to W⁺u, first digit | cosine, last 100 | length over that of W⁺u, last 100 | "accuracy,
   last 100"
   exact | 1.00 | 1.00 | 1.00 | 0.92
   learned | 0.06 | 0.957 | 1.03 | 0.92
   not learned | 0.06 | 0.29 | 3.1 | 0.87

Seeds 1, 2: cosine 0.959, 0.958 learned, 0.32, 0.22 not learned; accuracy 0.86, 0.85 learned, 0.86, 0.86
exact, 0.80, 0.81 not learned. The rise follows the prediction for constant weights. Later the cosine
falls from 0.97 to 0.96: W learns larger singular values, so that W⁺ shrinks while the noise does not.

Without learning the cosine does not stay near 0, as was first expected, but rises to 0.2–0.3 because W aligns
with B. Its credit is three times as long; part of its lower accuracy is due to that step size, for which η
was not adapted (:doc:`Digits online </gallery/digits_online>` chooses η for each rule).

What would refute it
--------------------

A cosine of the learned arm below 0.94 or a length more than a tenth off, over the last 100 digits; or
accuracy more than 5 points below the exact arm's. Asserted by ``tests/protocols/test_learned_inverse.py``
(``-m slow``).
"""

import numpy as np

import cortex_sim as cs

TRIALS, HIDDEN, CLASSES = 300, 64, 10
SETTLE_MS, COMPARE_MS, LEARN_MS, DREAM_MS = 60, 40, 40, 50
ETA, INVERSE_ETA = 0.75, 2.0  # in 1/s: of bottom-up weights, of the inverse
ARMS = {"exact": "gait_prop", "learned": "gait_prop_learned", "not learned": "gait_prop_learned"}


def digits(seed: int) -> cs.Stimuli:
    """Digits to learn, each presented once."""
    return cs.Stimuli("digits", count=TRIALS, seed=seed, standardise=True)


def experiment(seed: int = 0) -> cs.Experiment:
    """The same digits and initial weights in every arm; spontaneous activity where the inverse learns."""
    shown, labelled = {"retina": digits(seed)}, {"IT": digits(seed)}
    phases = [
        cs.Phase("settle", SETTLE_MS, drive=shown),
        cs.Phase("compare", COMPARE_MS, drive=shown, nudge=labelled),
        cs.Phase("learn", LEARN_MS, drive=shown, nudge=labelled, plasticity=True),
    ]
    dream = cs.Phase("dream", DREAM_MS, spontaneous=["V1"], plasticity=True)
    arms = {}
    for name, word in ARMS.items():
        protocol = cs.Protocol(
            *phases,
            *([dream] if name == "learned" else []),
            record=cs.Record(["rate", "credit"], ["V1", "IT"], phase="compare", weights=["V1->IT"]),
            eta_per_s={"retina->V1": ETA, "V1->IT": ETA, "IT->V1": INVERSE_ETA},
        )
        arms[name] = cs.Arm(protocol, cs.model("digits_mlp", hidden=HIDDEN).with_rule(word))
    return cs.Experiment(cs.model("digits_mlp", hidden=HIDDEN), arms)


def delivered(recording, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Cosine of V1's credit to W⁺u, and its length over that of W⁺u, each (trial,)."""
    chosen = cs.recording.select(recording, arm=arm)
    c, u = (cs.recording.select(chosen, population=name)["credit"].values for name in ("V1", "IT"))
    _, w = cs.recording.weights_of(recording, "V1->IT", arm)
    exact = np.einsum("tij,tj->ti", np.linalg.pinv(w[:-1]), u)  # weights before each trial
    lengths = np.linalg.norm(c, axis=1), np.linalg.norm(exact, axis=1)
    return np.einsum("ti,ti->t", c, exact) / (lengths[0] * lengths[1]), lengths[0] / lengths[1]


def predicted(trials: np.ndarray) -> np.ndarray:
    """Cosine after each period of spontaneous activity, for constant orthogonal W."""
    left = np.exp(-INVERSE_ETA * DREAM_MS / 1000 * trials)
    inverse, start = CLASSES, HIDDEN  # ‖W⁺‖², and ‖B‖² as it is drawn
    missed = (HIDDEN - CLASSES) * CLASSES  # ⟨‖(ξ − W⁺y)yᵀ‖²⟩: what an echo cannot determine, at B = W⁺
    noise = INVERSE_ETA * 1e-3 / 2 * missed * (1 - left**2)
    kept = (1 - left) ** 2 * inverse
    return np.sqrt(kept / (kept + left**2 * start + noise))


def statistics(recording) -> dict[str, dict[str, float]]:
    """Cosine at the first digit and over the last 100, length, and accuracy over the last 100."""
    found = {}
    for arm in ARMS:
        cosine, length = delivered(recording, arm)
        found[arm] = {
            "cosine at first": cosine[0],
            "cosine, last 100": cosine[-100:].mean(),
            "length, last 100": np.median(length[-100:]),
            "accuracy, last 100": answers(recording, arm)[-100:].mean(),
        }
    return found


def answers(recording, arm: str) -> np.ndarray:
    """Whether IT's most active unit is the digit's, (trial,); its nudge gives credit but moves no rate."""
    from cortex_sim.viz.arms import accuracy

    chosen = cs.recording.select(recording, arm=arm, population="IT")
    return accuracy(chosen, list(digits(recording.attrs["seed"]).labels))


def figure(recording):
    """Direction and length of the delivered credit, and accuracy."""
    from cortex_sim.viz.arms import running_mean
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 3.4)
    direction, size, right = drawn.subplots(1, 3)
    trials = np.arange(TRIALS)
    for arm, colour in zip(ARMS, COLOURS, strict=False):
        cosine, length = delivered(recording, arm)
        direction.plot(trials, cosine, color=colour, lw=1.3, label=arm)
        size.plot(trials, length, color=colour, lw=1.3, label=arm)
        right.plot(trials, running_mean(answers(recording, arm), 50), color=colour, lw=2, label=arm)
    direction.plot(trials, predicted(trials), "k--", lw=1, label="predicted")
    size.axhline(1, color="0.6", lw=1, ls=":")
    plain(direction, "digits learned", "cosine of credit in V1 to W⁺u")
    plain(size, "digits learned", "length of credit over that of W⁺u")
    plain(right, "digits learned", "accuracy, running mean of 50")
    direction.set_ylim(-0.5, 1.05)
    size.set_ylim(0, 4)
    right.set_ylim(0, 1)
    direction.legend(frameon=False, fontsize=9)
    return drawn


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("learned_inverse", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
