"""One protocol, two backends: in time and at equilibrium, rates, credits and changes are the same.

Two things keep them apart, and they alone set the tolerances: what has not settled yet, below 1e-9 after
500 ms in the networks here, and that weights move while they learn, which in time acts back on rates and
credits within the window and at equilibrium does not: a relative η·T.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from agreement import relative_error
from networks import Spread, chain, conv, residual, shown
from timed import by_population

import cortex_sim as cs
from cortex_sim import registry
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.rules.base import WORDS

NEAR = Spread(0.8, 1.2)
SETTLE_MS, LEARN_MS = 500.0, 20.0
SETTLED = 1e-9  # relative to a variable's largest value in the population
ETA_T = 1e-6
DRIFT = 2 * ETA_T  # relative to the largest change
BY_TARGETS = {"target_prop", "difference_target_prop"}  # refused by both
IN_STEPS = {w for w, meant in WORDS.items() if getattr(meant.rule, "keeps_traces", False)}  # not in time
WITH_CREDIT = [w for w in sorted(WORDS) if w not in BY_TARGETS | IN_STEPS]


def started(net, engine="batched"):
    """Both sessions, with the same biases: at zero, a bias that is forgotten would not show."""
    sessions = cs.brian2.build(net, engine=engine, dt_ms=1.0), QuasiStatic(net)
    in_time, settled = sessions
    rng = np.random.default_rng(77)
    for name, bias in in_time.weights.bias.items():
        bias[...] = rng.normal(scale=0.1, size=bias.shape)
        values = settled.model.biases[name].data
        values.copy_(values.new_tensor(bias))
    return sessions


def stimuli(net, count=3):
    return 0.5 * np.random.default_rng(79).normal(size=(count, *net.populations[net.stimulated[0]].shape))


def learning(net, count=3, eta_t=ETA_T, batch=None, settle_ms=SETTLE_MS, plasticity=True, **settings):
    """Settle, then learn for 20 ms; ``settings`` hold in both phases."""
    rng = np.random.default_rng(78)
    settings = {"drive": {net.stimulated[0]: stimuli(net, count)}, **settings}
    if net.objective_at is not None:
        labels = rng.integers(net.populations[net.objective_at].size, size=count)
        settings.setdefault("nudge", {net.objective_at: labels})
    return cs.Protocol(
        cs.Phase("settle", settle_ms, **settings),
        cs.Phase("learn", LEARN_MS, plasticity=plasticity, **settings),
        batch=batch or count,
        record=cs.Record(("rate", "drive", "credit"), phase="settle", weights=True),
        eta_per_s=1000 * eta_t / LEARN_MS,
    )


def seen_by_both(net, script, engine="batched"):
    """What each backend recorded, and what each changed: in time first."""
    sessions, seen, changes = started(net, engine), [], []
    start = net.initial_weights(0)
    for session in sessions:
        before = session.checkpoint()
        recording = session.run(script)
        after = session.checkpoint()
        seen.append(recording)
        moved = {}
        for p in net.projections.values():
            if p.plasticity is not None:
                weights = cs.recording.weights_of(recording, p.name)[1][-1]
                moved[p.name] = weights - start[p.name].reshape(weights.shape)
        for name in after:
            if name.startswith(("bias:", "state:")):
                moved[name] = after[name] - before[name]
        changes.append(moved)
    assert set(changes[0]) == set(changes[1])
    return seen, changes


def assert_recordings_agree(net, seen):
    for variable in ("rate", "drive", "credit"):
        ours, theirs = (by_population(net, recording, variable) for recording in seen)
        for name, values in theirs.items():
            if (variable, name) == ("credit", net.stimulated[0]):
                continue
            off = np.abs(ours[name] - values).max()
            assert off <= SETTLED * np.abs(values).max(), f"{variable} of {name}: {off:.1e}"


def assert_changes_agree(changes):
    """All that changed; returns how much, by name."""
    ours, theirs = changes
    for name, change in theirs.items():
        off, largest = np.abs(ours[name] - change).max(initial=0.0), np.abs(change).max(initial=0.0)
        assert off <= DRIFT * largest, f"{name}: {off / max(largest, 1e-300):.1e} of the largest change"
    return {name: np.abs(change).max(initial=0.0) for name, change in theirs.items()}


def both_agree(net, script, engine="batched"):
    seen, changes = seen_by_both(net, script, engine)
    assert_recordings_agree(net, seen)
    return seen, assert_changes_agree(changes)


# -- every rule --------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", WITH_CREDIT)
@pytest.mark.parametrize("network", [chain, conv])
def test_every_rule_changes_weights_biases_and_state_alike(network, word):
    net = network(init=NEAR).with_rule(word)
    _, largest = both_agree(net, learning(net))
    opened = [p.name for p in net.bottom_ups if p.plasticity is not None]
    at_start = {"synaptic_scaling", "three_factor"}  # wait for their state, which begins at rest
    assert all(largest[name] > (1e-3 if word not in at_start else 1e-5) * ETA_T for name in opened)
    assert all(size > 0 for name, size in largest.items() if name.startswith("state:") and "mod" not in name)


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_smoothed_labels_give_the_same_credit(engine):
    net = chain(init=NEAR).with_rule("backprop")
    at, net.objective_at = net.objective_at, None
    net.objective(at, cs.CrossEntropy(label_smoothing=0.4, weight=0.7))
    _, largest = both_agree(net, learning(net, 1 if engine == "synapses" else 3), engine)
    assert all(largest[p.name] > 1e-3 * ETA_T for p in net.bottom_ups)


@pytest.mark.parametrize("word", ["gait_prop", "kolen_pollack", "covariance", "three_factor"])
def test_so_do_synapses(word):
    net = chain(init=NEAR).with_rule(word)
    both_agree(net, learning(net, count=1), "synapses")


def test_the_third_factor_of_a_phase():
    net = chain(init=NEAR).with_rule("three_factor")
    _, plain = both_agree(net, learning(net))
    _, half = both_agree(net, learning(net, modulator=-0.5))
    for p in net.bottom_ups:
        assert half[p.name] == pytest.approx(0.5 * plain[p.name], rel=DRIFT)


@dataclass(frozen=True)
class OwnThreshold:
    """A rule that inherits nothing and is registered nowhere: it declares by class attributes alone."""

    window: float = 10.0
    tau_ms: float = 1000.0
    state: ClassVar = {"level": cs.PerPost(0.2)}
    growth: ClassVar = {
        "w": "(r_post - level) * r_pre",
        "level": "(r_post - level) / (tau_ms * ms)",
    }

    def change(self, w, r_pre, r_post, state):
        kept = (1 - 1 / self.window) ** len(r_post)
        moved = kept * state["level"] + (1 - kept) * r_post.mean(0)
        return (r_post - state["level"]).T @ r_pre / len(r_pre), {"level": moved}


@dataclass(frozen=True)
class OwnFeedbackRule:
    """A rule of top-down weights, by one capability: it reads credit."""

    of: str
    reads_credit: ClassVar = True
    growth: ClassVar = "2 * r_post * u_pre - w"

    def change(self, w, u_pre, r_post):
        return 2 * r_post.T @ u_pre / len(u_pre) - w


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_rules_that_inherit_nothing(engine, monkeypatch):
    tables = {kind: dict(table) for kind, table in registry._TABLES.items()}
    monkeypatch.setattr(registry, "_TABLES", tables)  # what is known by its place is forgotten again
    count = 1 if engine == "synapses" else 3
    for net in (chain(init=NEAR).with_rule(OwnThreshold()), chain(init=NEAR).with_rule("feedback_alignment")):
        for path in net.top_downs:
            del net.projections[path.name]
            net.top_down(
                path.pre, path.post, feedback="random", plasticity=OwnFeedbackRule(of=path.reverse_name)
            )
        _, largest = both_agree(net, learning(net, count), engine)
        plastic = [p.name for p in net.projections.values() if p.plasticity is not None]
        assert len(plastic) >= 3 and all(largest[name] > 1e-3 * ETA_T for name in plastic)


# -- what a protocol does to a network ---------------------------------------------------------------


def lowest(net):
    """The top-down projection onto the lowest population that receives credit."""
    order = list(net.populations)
    return min(net.top_downs, key=lambda p: order.index(p.post)).name


MANIPULATIONS = {
    "cut bottom-up": lambda net: {"cut": ["V2->V4"]},
    "cut top-down": lambda net: {"cut": [lowest(net)]},
    "scaled": lambda net: {"scale": {"V1->V2": 0.5, lowest(net): -1.7}},
    "delayed": lambda net: {"delay_ms": {"V1->V2": 20.0, lowest(net): 30.0}},
    "silenced units": lambda net: {"silence": ["V1/1", "V2/0", "IT/2"]},
    "silenced population": lambda net: {"silence": ["V2"]},
    "hidden population nudged": lambda net: {
        "nudge": {"V2": cs.Nudge(np.full(net.populations["V2"].size, 0.3), 2.0)}
    },
    "both nudged": lambda net: {
        "nudge": {"V2": cs.Nudge(np.full(net.populations["V2"].size, 0.3), 2.0), "IT": np.array([0, 1, 2])},
        "strength": 0.5,
    },
    "hidden population driven": lambda net: {
        "drive": {"V2": np.linspace(-1, 1, net.populations["V2"].size), net.stimulated[0]: stimuli(net)}
    },
    "credit silenced": lambda net: {"silence_credit": ["V1/1", "V2"]},
    "credit injected": lambda net: {
        "drive_credit": {"V2": np.linspace(-1, 1, net.populations["V2"].size), "IT": 0.2},
        "silence_credit": ["V2/0", "IT/1", lowest(net).partition("->")[2]],
    },
    "one window open": lambda net: {"plasticity": {"V1->V2": 2000 * ETA_T / LEARN_MS}},
}


@pytest.mark.parametrize(
    "word",
    [
        "gait_prop",
        pytest.param("backprop", marks=pytest.mark.slow),
        pytest.param("direct_feedback_alignment", marks=pytest.mark.slow),
        "tdca",
    ],
)
@pytest.mark.parametrize("what", MANIPULATIONS)
def test_a_manipulation_means_the_same(what, word):
    net = residual(init=NEAR).with_rule(word)
    (_, seen), _ = both_agree(net, learning(net, **MANIPULATIONS[what](net)))
    plain = QuasiStatic(net).run(learning(net, plasticity=False))
    apart = [np.abs(seen[v].values - plain[v].values).max() for v in ("rate", "credit", "drive")]
    settles_as_ever = what in ("one window open", "delayed")
    assert (max(apart) > 1e-3) is not settles_as_ever


@pytest.mark.parametrize("what", ["cut bottom-up", "cut top-down", "scaled", "silenced units"])
def test_in_convolutions_too(what):
    net = conv(init=NEAR).with_rule("gait_prop")
    both_agree(net, learning(net, **MANIPULATIONS[what](net)))


def test_a_silent_error_population_lets_its_compartment_decay_to_nothing():
    """τ_c/α = 100 ms: e⁻²⁵ is left at the end; what was there before must not stay."""
    net = chain(init=NEAR).with_rule("gait_prop", damping=0.1)
    x, y = shown(net, 3)
    shared = {"drive": {"retina": x}, "nudge": {"IT": y}}
    script = cs.Protocol(
        cs.Phase("settle", SETTLE_MS, **shared),
        cs.Phase("silent", 2500, silence_error=["IT->V2"], **shared),
        record=cs.Record(("rate", "drive", "credit")),
        batch=3,
    )
    ours, theirs = (by_population(net, s.run(script), "credit") for s in started(net))
    assert not theirs["V2"].any() and np.abs(theirs["IT"]).max() > 0.1
    for name in ("V1", "V2"):
        assert np.abs(ours[name]).max() < 1e-9


# -- lateral projections -----------------------------------------------------------------------------


def laterally_inhibited():
    """Nothing in it needs credit, and V1 is linear: torch asks for both."""
    net = cs.Network("lateral")
    net.population("retina", 7)
    net.population("V1", 5)
    net.population("V2", 3, activation="tanh")
    net.bottom_up("retina", "V1", cs.Dense(init=NEAR), plasticity="oja")
    net.bottom_up("V1", "V2", cs.Dense(init=NEAR), plasticity="bcm")
    inhibition = np.random.default_rng(5).uniform(-0.2, 0.4, size=(5, 5))
    np.fill_diagonal(inhibition, 0.0)
    net.lateral("V1", weights=inhibition, plasticity=cs.Decorrelation(), regulariser=cs.Decay(0.3))
    return net


@pytest.mark.parametrize("engine", ["batched", "synapses"])
@pytest.mark.parametrize(
    "how",
    [{}, {"cut": ["V1->V1"]}, {"scale": {"V1->V1": 0.5}}, {"silence": ["V1/2"]}],
    ids=["intact", "cut", "scaled", "silenced unit"],
)
def test_lateral_recurrence_settles_where_torch_solves_for_it(how, engine):
    net = laterally_inhibited()
    script = learning(net, count=1 if engine == "synapses" else 3, **how)
    _, largest = both_agree(net, script, engine)
    assert all(largest[name] > 1e-3 * ETA_T for name in ("retina->V1", "V1->V1", "V1->V2"))


# -- spontaneous activity ----------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["gait_prop_learned", "weight_mirror"])
def test_spontaneous_activity_changes_alike_on_average(word):
    """Each draws noise of its own: five standard errors of the difference of two means."""
    net = chain(init=NEAR).with_rule(word)
    count, steps, eta_t = 20, 1000, 1e-3
    script = cs.Protocol(
        cs.Phase("sleep", float(steps), spontaneous=[p.post for p in net.top_downs], plasticity=True),
        trials=count,
        batch=count,
        record=cs.Record(weights=True),
        eta_per_s=eta_t,
    )
    _, (ours, theirs) = seen_by_both(net, script)
    start, rng = net.initial_weights(0), np.random.default_rng(1)
    for p in net.top_downs:
        w, b = start[p.reverse_name], start[p.name]
        noise = rng.normal(size=(4000, p.connector.weight_shape((len(b),), (len(w),))[1]))
        echo = noise @ w.T
        heard = noise if word == "weight_mirror" else noise - echo @ b.T
        spread = np.std(heard[:, :, None] * echo[:, None, :], axis=0)
        error = eta_t * spread * np.sqrt(2 / (count * steps))
        assert (np.abs(ours[p.name] - theirs[p.name]) < 5 * error + 10 * eta_t**2).all(), p.name
        assert relative_error(ours[p.name], theirs[p.name]) < 0.1


# -- whole experiments, and the limits that set the tolerances ----------------------------------------


def test_trials_in_random_order_with_probes_and_hard_orthogonality():
    """Arms, order, batches and probes come from the plan: both must run what it says, as often as it says."""
    net = chain(init=NEAR).with_rule("gait_prop")
    hard = cs.HardOrthogonality(every=2, steps=3)
    net.projections["V1->V2"] = replace(net.projections["V1->V2"], regularisers=(hard,))
    x, y = shown(net, 4)
    shared = {"drive": {"retina": x}, "nudge": {"IT": y}}
    script = cs.Protocol(
        cs.Phase("settle", SETTLE_MS, **shared),
        cs.Phase("learn", LEARN_MS, plasticity=True, **shared),
        order="shuffled",
        batch=2,
        repeat=2,
        probe=cs.Protocol(cs.Phase("settle", SETTLE_MS, **shared)),
        record=cs.Record(("rate", "credit"), phase="settle", weights=True),
        eta_per_s=1000 * ETA_T / LEARN_MS,
    )
    experiment = cs.Experiment(net, {"intact": script, "cut": script.replace(lesion=["IT->V2"])})
    ours, theirs = cs.brian2.run(experiment, progress=False), cs.torch.run(experiment, progress=False)
    for coordinate in ("arm", "stage", "block", "trial", "stimulus_id", "repetition", "snapshot_trial"):
        assert ours[coordinate].values.tolist() == theirs[coordinate].values.tolist()
    assert len(set(theirs["stimulus_id"].values.tolist())) == 4
    for variable in ("rate", "credit"):
        assert np.abs(ours[variable] - theirs[variable]).max() < SETTLED + DRIFT
    for arm in experiment.arms:
        for p in net.bottom_ups:
            in_time, settled = (cs.recording.weights_of(r, p.name, arm)[1] for r in (ours, theirs))
            assert in_time.shape == settled.shape
            assert relative_error(in_time, settled) < SETTLED + ETA_T * DRIFT
            told = arm == "intact" or p.name == "V2->IT"  # below the cut nothing learns
            moves = 1e-2 if p.name == "V1->V2" else told * 1e-3 * ETA_T  # the first is pulled to orthogonal
            assert (np.ptp(settled, axis=0).max() > moves) == (told or p.name == "V1->V2")


def test_what_keeps_changes_apart_is_of_first_order_in_eta_t():
    net = chain(init=NEAR).with_rule("gait_prop")
    apart = []
    for eta_t in (1e-2, 1e-3, 1e-4):
        _, (ours, theirs) = seen_by_both(net, learning(net, eta_t=eta_t))
        apart.append({n: relative_error(ours[n], change) for n, change in theirs.items()})
    for larger, smaller in pairwise(apart):
        for name in larger:
            assert larger[name] == pytest.approx(10 * smaller[name], rel=0.1), name


def test_what_keeps_rates_apart_is_that_they_have_not_settled():
    """Another 100 ms: the slowest mode of a loop with σ² ≥ 0.64 and τ_c = 10 ms shrinks by e⁻⁶."""
    net = chain(init=NEAR).with_rule("gait_prop")
    apart = []
    for settle_ms in (100.0, 200.0):
        script = learning(net, eta_t=0.0, settle_ms=settle_ms)
        ours, theirs = (by_population(net, s.run(script), "credit")["V1"] for s in started(net))
        apart.append(relative_error(ours, theirs))
    assert apart[0] > 1e-5
    assert 0 < apart[1] < np.exp(-5.0) * apart[0]
