"""Anti-Hebbian inhibition finds the bars
======================================

With anti-Hebbian inhibition each unit learns a different bar; with constant inhibition or none it does not.

Question and prediction
-----------------------

How can a layer learn the independent parts of its images from quantities available at each synapse?
Földiák (1990, Forming sparse representations by local anti-Hebbian learning, Biol. Cybern. 64,
doi:10.1007/BF02331346) combines three changes: bottom-up weights of an active unit move towards the image,
Δq_ij = βy_i(x_j − q_ij); inhibition grows between units that are active together more often than by chance,
ΔL_ij = α(y_i y_j − p²), L_ij ≥ 0; thresholds keep every unit active in a fraction p of the images, Δt_i =
γ(y_i − p). His first problem: images of 8 × 8 pixels, in which each of 16 bars (8 rows, 8 columns) is
present with probability p = 1/8, in any combination, and 16 units. No single image shows what a bar is.

- **Prediction**: each unit comes to represent one bar, so that the code is sparse (mean rate 1/8)
  and its elements are nearly independent;
- **control**, no inhibition: nothing distinguishes the units, and all learn the same field, the mean of the
  images that activate them;
- **control**, constant inhibition of 2 between all pairs (the learned one is 2.2 on average): units
  compete, but inhibition is not where it is needed: several units share a bar, and others respond to
  several.

What is modelled, and what is not
---------------------------------

The equations and constants are Földiák's (β = γ = 0.02, α = 0.1 for each presentation, λ = 10), with three
differences: the rate 1/(1 + exp(−λa)) is taken of the low-pass filtered drive, not filtered itself (the
fixed points are the same); the rules read this rate, not whether it exceeds 1/2; and there is no phase in
which thresholds alone adapt. In time, each of 2400 images is shown for 50 ms with τ = 10 ms, and all
windows are open in the last 10 ms. Three rules and the activation are the protocol's own, of a few lines
each; thresholds are the weights of a second source, which is always active; inhibition is a lateral
projection with ``cs.Bounds(0)``. Not modelled: separate inhibitory cells (L stays symmetric because its
rule is), excitatory weights kept apart from inhibitory ones, spikes.

Run it
------

.. code-block:: none

   python protocols/foldiak_sparse_code.py          # recording, figure, table
   cortex-sim simulate foldiak_sparse_code --backend brian2 --out bars.nc

About 20 s of one thread for all three arms.

Result
------

.. image:: /figures/foldiak_sparse_code.png
   :alt: Weights and rates of all units in three arms, and how many bars have a unit over trials

By the first command, seed 0 (brian2 2.9, batched engine, dt 1 ms). *Bars with a unit* are those preferred
by at least one unit (by the cosine between its weights and a bar). The next columns are means over units of
this cosine and, in the last 500 trials, of the correlation between a unit's rate and the presence of its
bar; then the mean absolute correlation of two units' rates, and the mean rate:

.. csv-table::
   :delim: |
   :header-rows: 1

   ""| bars with a unit | cosine to its bar | correlation with its bar | correlation of units | mean rate
   anti-Hebbian | 16 | 0.83 | 0.99 | 0.035 | 0.132
   constant | 13 | 0.70 | 0.65 | 0.12 | 0.173
   none | 1 | 0.43 | 0.31 | 1.00 | 0.192

Seeds 1, 2: bars with a unit 16, 16 (anti-Hebbian), 14, 14 (constant), 1, 1 (none); correlation with its bar
0.99, 0.99; 0.70, 0.67; 0.27, 0.46.

With anti-Hebbian inhibition every unit responds to its bar among others in the image (correlation 0.99),
and to no other bar by itself. Its weights are the mean of the images that contain its bar: 1 there, 1 − (1
− p)² = 0.23 elsewhere, a cosine of 0.85. With constant inhibition a bar may activate several units and a
unit several bars. Without inhibition all units are alike; no single bar activates them (black), because only
images with many bars exceed their thresholds. In both controls the mean rate is still above 1/8 after 2400
images.

What would refute it
--------------------

A bar without a unit under anti-Hebbian inhibition, or as many bars with a unit under constant inhibition.
Asserted by ``tests/protocols/test_foldiak_sparse_code.py`` (``-m slow``).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import cortex_sim as cs
from cortex_sim.arrays import array_namespace

SIDE, TRIALS, LAST = 8, 2400, 500  # statistics of rates are over the last trials
BARS = UNITS = 2 * SIDE
P = 1 / 8  # probability of a bar, and of a unit's activity
SETTLE_MS, LEARN_MS = 40, 10
PER_TRIAL = {"retina->V1": 0.02, "V1->V1": 0.1, "constant->V1": 0.02}  # Földiák's β, α, γ
CONSTANT = 2.0  # constant inhibition of the second control: the mean of the learned inhibition
INHIBITION = {"anti-Hebbian": 0.0, "constant": CONSTANT, "none": 0.0}  # initial weights


@dataclass(frozen=True)
class SteepLogistic:
    """f(a) = 1/(1 + exp(−λa)), almost on or off; Földiák's λ is 10."""

    steepness: float = 10.0
    invertible: ClassVar[bool] = False
    lowest: ClassVar[float] = 0.0

    @property
    def rate_text(self) -> str:
        """f(a) for brian2."""
        return f"0.5 * (1 + tanh({self.steepness / 2!r} * a))"

    @property
    def gain_text(self) -> str:
        """f′(a) for brian2."""
        return f"{self.steepness / 4!r} * (1 - tanh({self.steepness / 2!r} * a)**2)"

    def rate(self, a):
        """Rate f(a)."""
        return cs.Logistic().rate(self.steepness * a)

    def gain(self, a):
        """Gain f′(a)."""
        return self.steepness * cs.Logistic().gain(self.steepness * a)


@dataclass(frozen=True)
class Competitive:
    """Δq_ij = β⟨y_i(x_j − q_ij)⟩: an active unit's weights move towards the image."""

    growth: ClassVar[str] = "r_post * (r_pre - w)"

    def change(self, w, r_pre, r_post):
        """Δq/β, as (post, pre)."""
        return r_post.T @ r_pre / len(r_pre) - r_post.mean(0)[:, None] * w


@dataclass(frozen=True)
class AntiHebbian:
    """ΔL_ij = α⟨y_i y_j − p²⟩ for i ≠ j: units that are active together more often than by chance part."""

    p: float = P
    lateral: ClassVar[bool] = True
    growth: ClassVar[str] = "r_post * r_pre - p**2"

    def change(self, w, r_pre, r_post):
        """ΔL/α, 0 on the diagonal."""
        xp = array_namespace(r_post)
        together = r_post.T @ r_pre / len(r_pre) - self.p**2
        return together - xp.diag(xp.diag(together))


@dataclass(frozen=True)
class Threshold:
    """Δt_i = γ⟨y_i − p⟩, t the threshold, −t the weight from a unit that is always active (x = 1)."""

    p: float = P
    growth: ClassVar[str] = "(p - r_post) * r_pre"

    def change(self, w, r_pre, r_post):
        """−Δt/γ, as (post, 1)."""
        return (self.p - r_post).T @ r_pre / len(r_pre)


def bars() -> np.ndarray:
    """Rows, then columns, (bar, pixel)."""
    single = np.zeros((BARS, SIDE, SIDE))
    for place in range(SIDE):
        single[place, place], single[SIDE + place, :, place] = 1, 1
    return single.reshape(BARS, -1)


def present(seed: int) -> np.ndarray:
    """Which bars each image has, bool (trial, bar)."""
    return np.random.default_rng(seed).random((TRIALS, BARS)) < P


def network(arm: str, seed: int) -> cs.Network:
    """Bottom-up weights of length 1, thresholds of 1, and the arm's inhibition."""
    net = cs.Network("bars")
    retina, constant = net.population("retina", SIDE**2), net.population("constant", 1)
    v1 = net.population("V1", UNITS, activation=SteepLogistic(), bias=False, nonnegative=True)
    start = np.random.default_rng([seed, 1]).random((UNITS, SIDE**2))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    net.bottom_up(retina, v1, cs.Dense(init=start), plasticity=Competitive())
    net.bottom_up(constant, v1, cs.Dense(init=-np.ones((UNITS, 1))), plasticity=Threshold())
    inhibition = INHIBITION[arm] * (1 - np.eye(UNITS))
    learned = {"plasticity": AntiHebbian(), "constraint": cs.Bounds(0)} if arm == "anti-Hebbian" else {}
    net.lateral(v1, weights=inhibition, **learned)
    return net


def experiment(seed: int = 0) -> cs.Experiment:
    """The same images and bottom-up weights in each arm; before and after, each bar by itself."""
    shown = {"retina": ((present(seed) @ bars()) > 0).astype(float), "constant": 1.0}
    single = {"retina": bars(), "constant": 1.0}
    protocol = cs.Protocol(
        cs.Phase("settle", SETTLE_MS, drive=shown),
        cs.Phase("learn", LEARN_MS, drive=shown, plasticity=True),
        probe=cs.Protocol(cs.Phase("settle", SETTLE_MS, drive=single)),
        record=cs.Record(populations=["V1"], phase="settle", weights=["retina->V1"], weights_every=20),
        eta_per_s={name: 1000 * rate / LEARN_MS for name, rate in PER_TRIAL.items()},
    )
    nets = {arm: network(arm, seed) for arm in INHIBITION}
    return cs.Experiment(nets["anti-Hebbian"], {arm: cs.Arm(protocol, net) for arm, net in nets.items()})


def likeness(weights: np.ndarray) -> np.ndarray:
    """Cosine between each unit's weights and each bar, (..., unit, bar)."""
    length = np.linalg.norm(weights, axis=-1, keepdims=True)
    return (weights / length) @ bars().T / np.sqrt(SIDE)


def weights_of(recording, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Trials, and bottom-up weights (snapshot, unit, pixel)."""
    return cs.recording.weights_of(recording, "retina->V1", arm)


def rates(recording, arm: str, stage: str) -> np.ndarray:
    """Rates of V1, (presentation, unit)."""
    return cs.recording.select(recording, arm=arm, stage=stage)["rate"].values


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Between the columns of two arrays; 0 where one is constant."""
    first, second = (x - x.mean(axis=0) for x in (first, second))
    length = np.outer(np.linalg.norm(first, axis=0), np.linalg.norm(second, axis=0))
    return first.T @ second / np.where(length > 0, length, 1.0)


def statistics(recording) -> dict[str, dict[str, float]]:
    """Whether units stand for bars, one each, and whether they are independent."""
    found = {}
    for arm in INHIBITION:
        alike = likeness(weights_of(recording, arm)[1][-1])
        own = alike.argmax(axis=1)
        seen = rates(recording, arm, "trial")
        there = present(recording.attrs["seed"])[: len(seen)][-LAST:].astype(float)
        seen = seen[-LAST:]
        pairs = correlation(seen, seen)[~np.eye(UNITS, dtype=bool)]
        found[arm] = {
            "bars with a unit": len(set(own.tolist())),
            "cosine to its bar": alike.max(axis=1).mean(),
            "correlation with its bar": correlation(seen, there)[np.arange(UNITS), own].mean(),
            "correlation of units": abs(pairs).mean(),
            "mean rate": seen.mean(),
        }
    return found


def figure(recording):
    """Weights at the end, rates to single bars, and how many bars have a unit over trials."""
    from cortex_sim.viz.panels import COLOURS, new_figure, plain

    drawn = new_figure(11, 6.2)
    fields, tuned = drawn.subplots(2, 4, width_ratios=[1, 1, 1, 1.2])
    for number, arm in enumerate(INHIBITION):
        trials, weights = weights_of(recording, arm)
        own = likeness(weights[-1]).argmax(axis=1)
        order = np.argsort(own, kind="stable")
        fields[number].imshow(mosaic(weights[-1][order]), cmap="gray", vmin=0)
        fields[number].set_title(f"{arm}: weights", fontsize=9, color="0.35")
        fields[number].set_axis_off()
        shown = rates(recording, arm, "probe")[-BARS:][:, order]
        tuned[number].imshow(shown.T, cmap="magma", vmin=0, vmax=1)
        tuned[number].set(xlabel="bar shown", ylabel="unit", xticks=[0, 5, 10, 15], yticks=[0, 5, 10, 15])
        tuned[number].set_title(f"{arm}: rates", fontsize=9, color="0.35")
        alike = likeness(weights)
        with_unit = [len(set(one.argmax(axis=1).tolist())) for one in alike]
        fields[3].plot(trials, with_unit, color=COLOURS[number], label=arm)
        tuned[3].plot(trials, alike.max(axis=2).mean(axis=1), color=COLOURS[number])
    plain(fields[3], "trials", "bars with a unit")
    plain(tuned[3], "trials", "mean cosine to the preferred bar")
    fields[3].set_ylim(0, BARS + 0.5)
    tuned[3].set_ylim(0, 1)
    fields[3].legend(frameon=False, fontsize=8, loc="center right")
    return drawn


def mosaic(weights: np.ndarray) -> np.ndarray:
    """Fields of all units, four by four with a margin, each scaled to its largest weight."""
    scaled = (weights / weights.max(axis=1, keepdims=True)).reshape(UNITS, SIDE, SIDE)
    framed = np.pad(scaled, [(0, 0), (1, 1), (1, 1)], constant_values=0.5)
    return np.vstack([np.hstack(row) for row in framed.reshape(4, 4, SIDE + 2, SIDE + 2)])


def main(seed: int = 0) -> None:
    """Run all arms; print and draw the results."""
    recording = cs.brian2.run(experiment(seed), seed=seed)
    cs.viz.keep("foldiak_sparse_code", recording, figure(recording), statistics(recording))


if __name__ == "__main__":
    main()
