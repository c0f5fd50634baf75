"""Neurofeedback with causal roles
===============================

Apical credit is signed by a unit's causal role under GAIT-prop and a trained, fine-grained TDCA, at chance
under feedback alignment and a neuromodulator.

Question and prediction
-----------------------

Francioni et al. (2026, Vectorized instructive signals in cortical dendrites, Nature,
doi:10.1038/s41586-026-10190-7) let mice rotate a grating towards a target by the activity of two
intermingled groups of four or five layer 5 neurons in retrosplenial cortex, P+ minus P−. By their abstract,
signals of apical dendrites relative to the soma (1) had signs that depended on the causal role of the
neuron, (2) predicted how its activity changed over learning, and (3) were needed: perturbing them disrupted
learning. Which learning rules could these findings refute?

The experimenter draws the roles at random, so that existing top-down weights cannot reflect them. The
readout is the experimenter's too: it cannot adapt to the top-down weights, which is how :doc:`feedback
alignment </rules/feedback_alignment>` comes to agree with the gradient. Predictions:

.. csv-table::
   :delim: |
   :header-rows: 1

   rule | sign of credit is that of the role (1) | early credit predicts later change (2) | "silenced apical
   compartment (3)"
   :doc:`GAIT-prop </rules/gait_prop>`, tied inverse | "from the first frame, in all units; none without a
   role"| yes | no learning
   … learned inverse | at chance at first, then all: it needs experience of the loop | "weakly: credit is
   yet to turn"| no learning
   feedback alignment | chance, and it stays there | yes, for better or worse | no learning
   :doc:`global neuromodulator </rules/global_neuromodulator>`, with or without receptor signs | chance | "
   yes; without signs all change alike"| no learning
   :doc:`TDCA </rules/tdca>`, untrained | chance | yes | no learning
   … trained for these roles | as far as K channels and their kernel resolve single units | yes | "no
   learning"
   reward × coincidence (:doc:`three factors </rules/three_factor>`) | there is no credit | – | "learns all
   the same"

**Controls**: units without a role; roles shuffled among the units that have one (2000 times); the top-down
projection cut; the same roles, context and variability of units under all rules.

What is modelled, and what is not
---------------------------------

40 RSC units (logistic) receive a context (20 units) and a view of the grating (8 units) by plastic
projections. Five are P+ and five P−, anywhere; the fixed readout, +1/5 and −1/5, gives the rotation. A
frame has two phases: the units act, and a :doc:`closed loop </protocols>` turns the grating by .15 × the
rotation and shows it at its new angle; then the remaining angle is the goal of the rotation, and RSC
learns from its credit. At the target (a hit), or after 30 frames, the grating returns to angle 0. Each
unit has private variability, and credit has the same root mean square over units under all rules with
top-down weights. There are 100 frames and 7 animals (seeds), at equilibrium.

- *Sign*: of credit times the error's sign, averaged over the first 20 (early) or last 40 frames (late).
- *Later change*: rates in the last 40 frames minus those in frames 20 to 60, after the credit that
  predicts them.
- *Learned inverse*: top-down weights are random at first; 100 ms of spontaneous activity before each frame,
  and its effect on the rotation, train them (:doc:`inverse learning </rules/inverse_learning>`).
- *TDCA, trained*: no outer loop was run. Its broadcast is g = Dᵀ·role, the g that raises the rotation most
  for its length: the best case. *Narrow*: K = 40, kernel .5 units wide; *wide*: K = 40, 4 units; *4
  channels*: K = 4, 5 units.
- *Reward*: the third factor is how much further than usual the grating turned.

Not modelled: calcium, the soma's contribution to dendritic signals, how the visual system turns the angle
into an error, days of training. The perturbation (activation of NDNF interneurons of layer 1) is modelled
as a cut; its other effects are left out.

Run it
------

.. code-block:: none

   python protocols/neurofeedback.py          # recording, figure, table
   cortex-sim simulate neurofeedback --backend torch --out neurofeedback.nc   # one animal

About a minute of one core for 7 animals under eleven arms.

Result
------

.. image:: /figures/neurofeedback.png
   :alt: Signs of credit, correlation and change by rule; signs over frames; unit by unit; kernels

By the first command; means over animals, in brackets 95 % intervals (Student's t over animals):

.. csv-table::
   :delim: |
   :header-rows: 1

   arm | signed by role, early | late | p, shuffled roles | r, early credit and later change | "credit
   without / with a role, early"| change of rate, P+ less P− | rotation gained
   GAIT-prop | 1.00 [1.00, 1.00] | 1.00 | < .001 | 0.74 [0.68, 0.80] | 0.00 | 0.065 [0.051, 0.079] | "0.237"
   GAIT-prop, cut | – | – | – | – | – | 0.006 [−0.019, 0.030] | 0.005
   GAIT-prop, learned | 0.76 [0.57, 0.94] | 1.00 | < .001 | 0.34 [0.06, 0.61] | 0.83 | "0.125 [0.100,
   0.149]"| 0.281
   feedback alignment | 0.43 [0.33, 0.53] | 0.43 | 0.93 | 0.82 [0.78, 0.86] | 1.07 | "−0.022 [−0.084,
   0.041]"| −0.046
   neuromodulator | 0.50 [0.50, 0.50] | 0.50 | 1.00 | – | 1.00 | 0.007 [−0.020, 0.034] | 0.013
   neuromodulator, signs | 0.50 [0.39, 0.61] | 0.50 | 0.61 | 0.93 [0.91, 0.96] | 1.00 | "0.002 [−0.035,
   0.038]"| −0.004
   TDCA, narrow | 1.00 [1.00, 1.00] | 1.00 | < .001 | 0.72 [0.64, 0.79] | 0.20 | 0.062 [0.048, 0.075] | "
   0.230"
   TDCA, wide | 0.71 [0.65, 0.78] | 0.71 | < .001 | 0.80 [0.74, 0.86] | 0.96 | 0.043 [0.023, 0.062] | "
   0.160"
   TDCA, 4 channels | 0.64 [0.54, 0.75] | 0.64 | 0.02 | 0.87 [0.83, 0.92] | 0.95 | 0.058 [0.035, 0.081] | "
   0.139"
   TDCA, untrained | 0.57 [0.38, 0.76] | 0.57 | 0.17 | 0.85 [0.77, 0.93] | 1.16 | 0.024 [−0.052, 0.100] | "
   0.050"
   reward | – | – | – | – | – | 0.018 [0.015, 0.021] | 0.029

**Signs.** Under the tied inverse every unit has the sign of its role from the first frame, and likewise
under TDCA with as many channels as units. The learned inverse starts at chance and has all signs right
after some 30 frames. Under feedback alignment, the neuromodulator and an untrained TDCA the share depends on
the drawn weights alone, the same early and late; over 200 animals, from the weights alone, it is .506 ±
.011, .505 ± .011 and .498 ± .011 (mean ± s.e.; of seven animals the standard error is .06). With few
channels or a wide kernel the share is between chance and one: by the equation c = DDᵀ·role, over 200
animals, .65, .70, .80, .95, 1 for K = 2, 4, 8, 20, 40, and 1, .96, .85, .73, .69 for kernels .5, 1, 2, 4, 8
units wide at K = 40. The best possible broadcast gains at most .03 over this at a given K, if the kernel is
not wider than channels are apart. With K = 1, which adds up five P+ and five P−, there is no credit at all.

**Prediction of later change.** It holds wherever credit differs between units and does not change, with r
from .72 to .93, under feedback alignment and receptor signs no less than under GAIT-prop; there it holds in
units without a role too (r = .81 and .92). It does not depend on whether credit is useful: under feedback
alignment the rotation gains nothing on average. For the learned inverse r is .34 [.06, .61], since early
credit has yet to change its sign in some units. (Under the tied inverse r is the difference between P+ and
P−: within a group all units have the same weight.)

**Silencing.** Under the cut P+ and P− do not diverge (.006 [−.019, .030]) and no frame is a hit, against 3.0
hits in the last 50 frames when intact. No synapse of RSC changes under any rule that learns from credit;
the test checks each. Reward × coincidence has no credit to silence: P+ and P− diverge by .018 [.015, .021]
without it, a quarter of GAIT-prop's difference, at the learning rates chosen here.

**Units without a role** have no credit under the tied inverse, and under the learned one .83 of the credit
of the others at first, .06 at the end. Under feedback alignment and receptor signs they have as much as the
others. Under a wide kernel and with four channels they have as much too, and a share of .77 and .73 of them
has the sign of the nearest unit that has a role (feedback alignment .55, receptor signs .54; narrow kernel
.95, but there it is a fifth as large).

Which of them could the finding refute?
---------------------------------------

- *Signs that depend on the role* refute feedback alignment, an untrained broadcast and the global
  neuromodulator, as the source of what was measured. All but the neuromodulator without receptor signs have
  signals of either sign that differ between units, so variety alone, without the roles, would refute only
  that one. They do not refute GAIT-prop, tied or learned, nor a credit network that resolves single units.
  With one output W⁺ is a multiple of Wᵀ, so GAIT-prop, backpropagation and all rules that converge to
  either cannot be told apart here.
- *How many channels?* With P+ and P− intermingled, the share of right signs bounds the resolution from
  below: 40 units have a share of 1 with K = 40, .80 with K = 8, .70 with K = 4. A dependence on the role
  that is merely significant excludes chance only: four channels show one too (p = .02 in seven animals).
- *Early signals that predict later change* refute none of the rules that learn from credit: whatever the
  top-down weights are, credit is what moves the rates. The correlation is no lower where credit has nothing
  to do with roles.
- *Disrupted learning* separates all of these from learning by reward and coincidence, which changes rates
  by role without any apical signal. It does not separate them from each other.

Two measurements would separate the remaining rules: the time course (a tied inverse has the right signs
from the first session, a learned one acquires them from the effects of activity), and neurons without a
role, as measured above. That the tied inverse has the signs at once is no success: it assumes that the
network holds the experimenter's weights. A credit network trained for these roles assumes the same of its
outer loop. Of the rules here only the learned inverse obtains the signs from what an animal can observe.

What would refute it
--------------------

A sign against the role under GAIT-prop or the narrow kernel; mean agreement outside .3 to .7 over four
animals under existing feedback; a change by role under the cut; none under reward. Asserted by
``tests/protocols/test_neurofeedback.py`` (``-m slow``), which also compares credit under every rule with
its equation (no slow test).
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

import cortex_sim as cs
from cortex_sim.credit import DenseCredit, Ring, TrainedCredit, diffusion, untrained

UNITS, GROUP = 40, 5  # units of RSC, and how many of them are P+ and how many P−
CONTEXT, VIEW = 20, 8  # units that hold the context, and units that see the grating
FRAMES, EARLY, LATE = 100, 20, 40  # frames in all, those of early credit, and those of late rates
ATTEMPT, GAIN = 30, 0.15  # frames until a miss; turn of the grating in a frame at rates 1 in P+, 0 in P−
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
    for arm, given in TDCA.items():  # its credit has the length of the error
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
