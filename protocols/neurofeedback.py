"""Apical credit in neurofeedback has the sign of a unit's causal role under some rules, not under others.

Francioni et al. (2026), Vectorized instructive signals in cortical dendrites, Nature,
doi:10.1038/s41586-026-10190-7: mice rotated a grating by two intermingled groups (P+ and P−) of four or five
neurons each. Signals of apical dendrites had signs that depended on a neuron's causal role, they predicted
how its activity changed over learning, and perturbing them disrupted learning.

Here P+ units turn the grating towards its target and P− units away from it; the network sees the grating, and
credit descends from what remains of the angle. Roles are drawn at random, so no top-down weight that was
there before can know them. Prediction: credit has the sign of the role under GAIT-prop, at once if its
inverse is tied to the experimenter's weights, with experience if it is learned; under TDCA if it was trained
for these roles and its kernel resolves single units; at chance under feedback alignment, an untrained TDCA
and a global neuromodulator. Early credit predicts later change under all of them: that finding refutes none.
Controls: units without a role, shuffled roles, a cut of the top-down projection, and reward times
coincidence, which needs no credit.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

import cortex_sim as cs
from cortex_sim.credit import DenseCredit, Ring, TrainedCredit, diffusion, untrained

UNITS, GROUP = 40, 5  # units of RSC, and how many of them are P+ and how many P−
CONTEXT, VIEW = 20, 8  # units that hold the context, and units that see the grating
FRAMES, EARLY, LATE = 100, 20, 40  # frames in all, those of early credit, and those of late rates
ATTEMPT, GAIN = 30, 0.15  # frames until a miss; how far rates of 1 in P+ and 0 in P− turn it in one frame
ETA, REWARD_ETA, LEARN_MS = 0.8, 16.0, 60  # learning rates in 1/s; how long plasticity lasts in a frame
SIZE = GROUP**0.5 / (2 * UNITS) ** 0.5  # root mean square over units of GAIT-prop's credit for an error of 1
ANIMALS = 7
DOWN, LEARNING = "rotation->RSC", ("context->RSC", "grating->RSC")
TDCA = {  # channels, kernel width in units, and whether the credit network was trained for the roles
    "TDCA, narrow": (40, 0.5, True),
    "TDCA, wide": (40, 4.0, True),
    "TDCA, 4 channels": (4, 5.0, True),
    "TDCA, untrained": (40, 0.5, False),
}


def roles(seed: int) -> np.ndarray:
    """+1 for P+, −1 for P−, else 0; drawn without regard to place, (unit,)."""
    found = np.zeros(UNITS)
    found[np.random.default_rng([seed, 1]).permutation(UNITS)[: 2 * GROUP]] = np.repeat([1, -1], GROUP)
    return found


def view(angle: float) -> np.ndarray:
    """Rates of the units that see a grating at this angle, from −1 to the target at 1, (unit,)."""
    return np.exp(-0.5 * ((angle - np.linspace(-1, 1, VIEW)) / 0.25) ** 2)


def turn(seen, state, rng):
    """P+ minus P− turns the grating; at the target (a hit), or after too many frames, it goes back."""
    turned = seen["rotation"][0]
    angle, frame = np.clip(state["angle"] + GAIN * turned, -1, 1), state["frame"] + 1
    hit = angle == 1
    angle, frame = (0.0, 0) if hit or frame == ATTEMPT else (angle, frame)
    return {
        "angle": angle,
        "frame": frame,
        "hit": hit,
        "remaining": np.array([1.0 - angle]),
        "before": view(angle),
        "after": view(angle),
        "usual": state["usual"] + 0.1 * (turned - state["usual"]),
        "surprise": turned - state["usual"],
    }


START = {"angle": 0.0, "frame": 0, "hit": 0, "usual": 0.0, "surprise": 0.0, "remaining": np.ones(1)}
START |= {"before": view(0.0), "after": view(0.0)}


def protocol(seed: int, reward: bool = False, explore: bool = False, **settings) -> cs.Protocol:
    """A frame: the units act, the grating turns, and what remains of the angle is the error."""
    rng = np.random.default_rng([seed, 2])
    context = rng.uniform(size=CONTEXT) + 0.2 * rng.normal(size=(FRAMES, CONTEXT))
    given = {"context": context, "RSC": 0.8 * rng.normal(size=(FRAMES, UNITS))}  # the units' own variability
    loop = cs.ClosedLoop(turn, reads=["rotation"], phase="act", state=START)
    before, after = given | {"grating": loop["before"]}, given | {"grating": loop["after"]}
    teaching = {"modulator": loop["surprise"]} if reward else {"nudge": {"rotation": loop["remaining"]}}
    watch = [cs.Phase("explore", 100, spontaneous={"RSC": 0.2}, plasticity=True)] if explore else []
    return cs.Protocol(
        *watch,
        cs.Phase("act", LEARN_MS, drive=before),
        cs.Phase("learn", LEARN_MS, drive=after, plasticity=list(LEARNING), **teaching),
        record=cs.Record(["rate", "credit"], ["RSC", "rotation"], phase="learn"),
        **{"eta_per_s": ETA, **settings},
    )


def network(seed: int, word: str, **given) -> cs.Network:
    """Context and grating drive RSC by plastic projections; the experimenter's weights of RSC are fixed."""
    net = cs.Network("neurofeedback")
    sources = [net.population("context", CONTEXT), net.population("grating", VIEW)]
    rsc = net.population("RSC", UNITS, activation="logistic", bias=False)
    rotation = net.population("rotation", 1, bias=False)
    for source in sources:
        net.bottom_up(source, rsc, plasticity="backprop")
    net.bottom_up(rsc, rotation, cs.Dense(init=roles(seed)[None] / GROUP))
    net.objective(rotation, cs.SquaredError())
    return net.with_rule(word, **given)


def kernel(channels: int, width: float) -> np.ndarray:
    """D of shape (unit, channel), units on a ring; the width in distances between neighbouring units."""
    ring = Ring(width * channels / UNITS)
    return diffusion(ring, (UNITS,), channels, np.random.default_rng(0))


def credit_network(seed: int, channels: int, width: float, trained: bool = True) -> TrainedCredit:
    """Broadcast g = Dᵀ role, which of all g of one length raises the output most; or a random one."""
    declared = DenseCredit(outputs=1, channels=channels, kernel=Ring(width * channels / UNITS))
    found = untrained(declared, seed).parameters
    if trained:
        found["broadcast_0"] = kernel(channels, width).T @ roles(seed)[:, None]
    for residual in ("channels_0", "top"):
        found[residual] = np.zeros_like(found[residual])
    return TrainedCredit(declared, found, {"trained": trained})


def experiment(seed: int = 0) -> cs.Experiment:
    """One animal: its roles, context and variability are the same under all rules."""
    gait = network(seed, "gait_prop")
    learned = protocol(seed, explore=True, eta_per_s={DOWN: 20.0} | dict.fromkeys(LEARNING, ETA))
    arms = {
        "GAIT-prop": cs.Arm(protocol(seed), gait),
        "GAIT-prop, cut": cs.Arm(protocol(seed, lesion=[DOWN]), gait),
        "GAIT-prop, learned": cs.Arm(learned, network(seed, "gait_prop_learned", scale=SIZE)),
        "feedback alignment": cs.Arm(protocol(seed), network(seed, "feedback_alignment", scale=SIZE)),
    }
    for arm, signs in {"neuromodulator": False, "neuromodulator, signs": True}.items():
        net = network(seed, "global_neuromodulator", scale=SIZE, signs=signs)
        arms[arm] = cs.Arm(protocol(seed), net)
    for arm, given in TDCA.items():  # its credit is as long as the error
        net = network(seed, "tdca", credit=credit_network(seed, *given))
        arms[arm] = cs.Arm(protocol(seed, eta_per_s=SIZE * ETA), net)
    by_reward = network(seed, cs.ThreeFactor(tau_ms=20.0))
    arms["reward"] = cs.Arm(protocol(seed, reward=True, eta_per_s=REWARD_ETA), by_reward)
    return cs.Experiment(gait, arms)


SHOWN = ("GAIT-prop", "GAIT-prop, learned", "feedback alignment", "TDCA, wide")
SPAN = 10  # frames over which credit is averaged before its sign is taken
CHANNELS, WIDTHS = (2, 4, 8, 20, 40), (0.5, 1.0, 2.0, 4.0, 8.0)
FIRST, LAST = slice(EARLY), slice(-LATE, None)
MAIN = ("signed by role, early", "r with later change", "change, P+ less P-")


class Recorded(NamedTuple):
    """Of one rule: credit and rate of RSC, (animal, frame, unit); error and turned, (animal, frame)."""

    credit: np.ndarray
    rate: np.ndarray
    error: np.ndarray
    turned: np.ndarray

    def directed(self, frames: slice) -> np.ndarray:
        """Mean of credit times the sign of the error, which changes near the target, (animal, unit)."""
        return (self.credit * np.sign(self.error)[..., None])[:, frames].mean(axis=1)

    def later_change(self) -> np.ndarray:
        """Rates at the end less those after the frames of early credit, (animal, unit)."""
        return self.rate[:, -LATE:].mean(axis=1) - self.rate[:, EARLY : EARLY + LATE].mean(axis=1)


def of_arm(swept, arm: str) -> Recorded:
    """What a sweep over animals recorded under one rule."""
    one = cs.recording.select(swept.isel(setting=0), arm=arm)

    def of(population: str, variable: str) -> np.ndarray:
        found = cs.recording.select(one, population=population)[variable]
        return found.transpose("seed", "presentation", "neuroid").values

    credit, rate = (of("RSC", variable) for variable in ("credit", "rate"))
    return Recorded(credit, rate, of("rotation", "credit")[..., 0], of("rotation", "rate")[..., 0])


def roles_of(swept) -> np.ndarray:
    """Roles in all animals, (animal, unit)."""
    return np.array([roles(int(seed)) for seed in swept["seed"].values])


def agreement(credit: np.ndarray, role: np.ndarray) -> np.ndarray:
    """Share of the units with a role whose credit has its sign, (animal,); nan where no unit has credit.

    Credit below rounding counts half.
    """
    size = abs(credit).max(axis=-1, keepdims=True)
    sign = np.where(abs(credit) > 1e-9 * size, np.sign(credit), 0)
    share = ((1 + sign * role) / 2).mean(axis=-1, where=role != 0)
    return np.where(size[..., 0] > 0, share, np.nan)


def without_role(credit: np.ndarray, role: np.ndarray) -> np.ndarray:
    """Root mean square of credit in units without a role over that in units with one, (animal,)."""
    without, given = (np.sqrt((credit**2).mean(axis=1, where=units)) for units in (role == 0, role != 0))
    return np.divide(without, given, out=np.full(len(role), np.nan), where=given > 0)


def of_nearest(role: np.ndarray) -> np.ndarray:
    """Role of the nearest unit on the ring that has one, for the units that have none, else 0, (unit,)."""
    has, place = np.flatnonzero(role), np.arange(len(role))
    apart = abs(place[:, None] - has)
    nearest = np.minimum(apart, len(role) - apart).argmin(axis=1)
    return np.where(role == 0, role[has[nearest]], 0)


def correlation(x: np.ndarray, y: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Pearson's r over the given units, (animal,); nan where one of the two is constant."""
    found = []
    for one, other, chosen in zip(x, y, units, strict=True):
        a, b = one[chosen], other[chosen]
        flat = min(np.ptp(a), np.ptp(b)) <= 1e-9 * max(abs(a).max(), abs(b).max())
        found.append(np.nan if flat else np.corrcoef(a, b)[0, 1])
    return np.array(found)


def interval(values: np.ndarray) -> np.ndarray:
    """95 % interval of the mean over animals, by Student's t; nan if it is undefined for any."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return values.mean() + half * np.array([-1, 1])


def by_shuffled_roles(credit: np.ndarray, role: np.ndarray, shuffles: int = 2000) -> float:
    """How often shuffling roles among the units that have one gives at least this agreement."""
    observed, rng, reached = agreement(credit, role).mean(), np.random.default_rng(0), 1
    if np.isnan(observed):
        return np.nan
    shuffled = role.copy()
    for _ in range(shuffles):
        shuffled[role != 0] = rng.permuted(role[role != 0].reshape(len(role), -1), axis=1).ravel()
        reached += agreement(credit, shuffled).mean() >= observed - 1e-12
    return reached / (shuffles + 1)


def measured(swept, arm: str) -> dict[str, np.ndarray]:
    """What one rule did, each (animal,): signs, correlations, changes of rates and of the rotation."""
    role, found = roles_of(swept), of_arm(swept, arm)
    early, late, change = found.directed(FIRST), found.directed(LAST), found.later_change()
    neighbours = np.array([of_nearest(one) for one in role])
    return {
        "signed by role, early": agreement(early, role),
        "signed by role, late": agreement(late, role),
        "r with later change": correlation(early, change, role != 0),
        "r, units without a role": correlation(early, change, role == 0),
        "credit without a role, early": without_role(early, role),
        "credit without a role, late": without_role(late, role),
        "signed by nearest role": agreement(np.where(role == 0, early, 0), neighbours),
        "change, P+ less P-": (change * role).sum(axis=1) / GROUP,
        "rotation gained": found.turned[:, LAST].mean(axis=1) - found.turned[:, FIRST].mean(axis=1),
    }


def statistics(swept) -> dict[str, dict[str, float]]:
    """Means over animals, the main ones with 95 % intervals, and how well shuffled roles do."""
    role, found = roles_of(swept), {}
    for arm in dict.fromkeys(swept["arm"].values.tolist()):
        values = measured(swept, arm)
        found[arm] = {name: one.mean() for name, one in values.items()}
        for name in MAIN:
            found[arm][f"{name}, low"], found[arm][f"{name}, high"] = interval(values[name])
        found[arm]["p, shuffled roles"] = by_shuffled_roles(of_arm(swept, arm).directed(FIRST), role)
    return found


def addressed(channels: int, width: float, animals: int = 200, best: bool = False) -> float:
    """Mean agreement of TDCA's credit with the roles of many animals, from the equations alone.

    The width is at least half the distance between channels. Credit is D Dᵀ role; with ``best`` the least
    squares fit D D⁺ role, whose broadcast may be of any length.
    """
    d = kernel(channels, max(width, UNITS / channels / 2))
    role = np.array([roles(seed) for seed in range(animals)])
    return agreement(role @ (d @ (np.linalg.pinv(d) if best else d.T)).T, role).mean()


def figure(swept):
    """By rule: signs, correlations, changes. Below: signs over frames, two rules unit by unit, kernels."""
    from cortex_sim.viz.panels import new_figure, note

    drawn = new_figure(12, 7.8)
    above, below = drawn.subfigures(2, 1, height_ratios=[1.1, 1])
    _by_rule(above.subplots(1, 3, sharey=True), swept)
    frames, units, kernels = below.subplots(1, 3)
    _over_frames(frames, swept)
    _unit_by_unit(units, swept)
    _resolution(kernels)
    note(
        drawn,
        f"dots: {swept.sizes['seed']} animals; bars: mean and its 95 % interval over animals",
        "no dot: there is no credit, or it is the same for all units",
    )
    return drawn


def _by_rule(panels, swept) -> None:
    """One row a rule: each animal, mean and interval."""
    from cortex_sim.viz.panels import COLOURS, plain

    arms = list(dict.fromkeys(swept["arm"].values.tolist()))
    values = {arm: measured(swept, arm) for arm in arms}
    said = ("share of units with credit of their role's sign", "r, early credit and later change of rate")
    for axes, name, title in zip(panels, MAIN, (*said, "change of rate, P+ less P−"), strict=True):
        for row, arm in enumerate(arms):
            found = values[arm][name]
            if np.isnan(found).any():
                continue
            axes.plot(found, np.full(len(found), row), "o", color="0.6", ms=3, alpha=0.6)
            axes.plot(interval(found), [row, row], color=COLOURS[0], lw=3, alpha=0.6)
            axes.plot(found.mean(), row, "o", color=COLOURS[0], ms=6)
        axes.axvline(0.5 if name == MAIN[0] else 0, color="0.5", lw=1, ls=":")
        plain(axes, title, "")
    panels[0].set_yticks(range(len(arms)), arms)
    panels[0].set_ylim(len(arms) - 0.5, -0.5)


def _over_frames(axes, swept) -> None:
    """Signs of credit, averaged over a few frames, as learning goes on."""
    from cortex_sim.viz.panels import COLOURS, plain

    role = roles_of(swept)
    for arm, colour in zip(SHOWN, COLOURS, strict=False):
        found, starts = of_arm(swept, arm), np.arange(0, FRAMES, SPAN)
        share = [agreement(found.directed(slice(k, k + SPAN)), role).mean() for k in starts]
        axes.plot(starts + SPAN / 2, share, "o-", ms=3, color=colour, label=arm)
    axes.axhline(0.5, color="0.5", lw=1, ls=":")
    plain(axes, "frame", "share signed by role")
    axes.set_ylim(0, 1.05)
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _unit_by_unit(axes, swept) -> None:
    """Early credit against later change, P+ filled and P− open: both rules predict it, one by role."""
    from cortex_sim.viz.panels import COLOURS, plain

    role = roles_of(swept)
    for arm, colour, marker in zip(SHOWN[::2], COLOURS[::2], "os", strict=False):
        found = of_arm(swept, arm)
        early, change = found.directed(FIRST), found.later_change()
        for sign, face in ((1, colour), (-1, "white")):
            label = f"{arm}, {'P+' if sign > 0 else 'P−'}"
            chosen = role == sign
            axes.plot(early[chosen], change[chosen], marker, color=colour, mfc=face, ms=4, label=label)
    axes.axhline(0, color="0.5", lw=1, ls=":")
    axes.axvline(0, color="0.5", lw=1, ls=":")
    plain(axes, "early credit", "later change of rate")
    axes.legend(frameon=False, fontsize=8)


def _resolution(axes) -> None:
    """What a trained credit network can address with K channels, from the equations."""
    from cortex_sim.viz.panels import COLOURS, plain

    for width, colour in zip(WIDTHS, COLOURS, strict=False):
        share = [addressed(k, width) for k in CHANNELS]
        axes.plot(CHANNELS, share, "o-", ms=4, color=colour, label=f"{width:g}")
    axes.plot(
        CHANNELS, [addressed(k, 0.5, best=True) for k in CHANNELS], color="0.3", ls="--", label="best fit"
    )
    axes.axhline(0.5, color="0.5", lw=1, ls=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks(CHANNELS, [str(k) for k in CHANNELS])
    plain(axes, f"channels of TDCA, for {UNITS} units", "share signed by role")
    axes.set_ylim(0.2, 1.05)
    axes.legend(frameon=False, fontsize=8, title="kernel width, units", ncols=2, loc="lower right")


def main(seed: int = 0) -> None:
    """Run all animals; print and draw the results."""
    swept = cs.sweep(experiment, seeds=range(seed, seed + ANIMALS), backend="torch")
    cs.viz.keep("neurofeedback", swept, figure(swept), statistics(swept))


if __name__ == "__main__":
    main()
