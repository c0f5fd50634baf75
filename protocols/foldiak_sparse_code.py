"""Anti-Hebbian inhibition makes each unit find a bar of its own.

Földiák (1990), Forming sparse representations by local anti-Hebbian learning, Biol. Cybern. 64,
doi:10.1007/BF02331346, the first of its two problems.

Images are sums of horizontal and vertical bars, each present with probability p in any combination.
Prediction: with Hebbian bottom-up synapses, anti-Hebbian lateral ones and thresholds that keep each unit
active in a fraction p of the images, the 16 units come to stand for the 16 bars, one each, so that the code
is sparse and its elements independent. Controls: without inhibition all units learn the same; with inhibition
that is as strong on average but constant, several units share a bar, and others respond to several.
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
CONSTANT = 2.0  # constant inhibition of the second control: the mean of the learned one
INHIBITION = {"anti-Hebbian": 0.0, "constant": CONSTANT, "none": 0.0}  # weights to begin with


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
