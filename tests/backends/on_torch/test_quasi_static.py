"""The quasi-static session: its equilibria against the model's and a reference by hand, its updates too."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import ALL, built, chain, conv, fan_out, residual, several_inputs, shown

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.protocol.plan import (
    Constant,
    Gate,
    Goal,
    Images,
    PhasePlan,
    Plan,
    Series,
    Shown,
    Wanted,
    White,
)
from cortex_sim.rules.base import WORDS

TARGETS = {"target_prop", "difference_target_prop"}
EVERYTHING = ("rate", "drive", "credit")


def planned(net, *phases, count=5, trials=1, **wanted):
    """A plan of trials that each show the same ``count`` presentations side by side."""
    wanted = Wanted(EVERYTHING, tuple(net.populations), **wanted)
    ran = [
        Shown(t, "trial", 1, tuple(range(t * count, (t + 1) * count)), tuple(range(count)), phases)
        for t in range(trials)
    ]
    return Plan(tuple(ran), wanted, tuple(map(str, range(count))))


def carried_out(session, plan, first=0):
    samples = []
    session.carry_out(plan, first, samples.append)
    return samples


def session_of(net, seed=0):
    """A session with the biases of the model that `built` makes."""
    session = QuasiStatic(net, seed)
    session.model.load_state_dict(built(net, seed).state_dict())
    return session


def labelled(net, x, y, **settings):
    """A phase that shows x and nudges the top to y."""
    goal = np.eye(net.populations[net.objective_at].size)[y]
    settings = {
        "drive": {net.stimulated[0]: Images(x.reshape(len(x), -1))},
        "nudge": {net.objective_at: Goal(goal, 1.0)},
        **settings,
    }
    return PhasePlan("learn", settings.pop("duration_ms", 1.0), **settings)


def own_rules(network):
    return [w for w in sorted(WORDS) if w not in TARGETS]


every_word = pytest.mark.parametrize("word", own_rules(chain))
every_network = pytest.mark.parametrize("network", ALL.values(), ids=list(ALL))


# -- equilibrium -----------------------------------------------------------------------------------


@every_network
@pytest.mark.parametrize("word", ["backprop", "gait_prop", "sign_symmetric", "direct_feedback_alignment"])
def test_settles_where_the_model_does(network, word):
    net = network().with_rule(word)
    model, (x, y) = built(net), shown(net)
    (sample,) = carried_out(session_of(net), planned(net, labelled(net, x, y)))
    recorded, credits = model.respond(x), model.credits(x, y)
    for name, population in net.populations.items():
        here = (recorded.population == name).values
        for variable in ("rate", "drive"):
            found = sample.values[variable][name]
            assert found.shape == (5, 1, population.size) and found.dtype == np.float64
            np.testing.assert_allclose(found[:, 0], recorded[variable][:, here], atol=1e-12)
        found = sample.values["credit"][name][:, 0]
        if name in credits:
            np.testing.assert_allclose(found, credits[name].flatten(1), atol=1e-12)
        else:
            assert not found.any()


def test_strength_scales_all_credit():
    net = chain().with_rule("gait_prop")
    x, y = shown(net)
    weak = labelled(net, x, y)
    weak = replace(weak, nudge={"IT": replace(weak.nudge["IT"], strength=0.25)})
    one = carried_out(session_of(net), planned(net, labelled(net, x, y)))[0].values["credit"]
    quarter = carried_out(session_of(net), planned(net, weak))[0].values["credit"]
    for name, c in one.items():
        np.testing.assert_allclose(quarter[name], 0.25 * c, atol=1e-14)


def test_without_a_nudge_there_is_no_credit():
    net = chain().with_rule("backprop")
    x, y = shown(net)
    (sample,) = carried_out(session_of(net), planned(net, labelled(net, x, y, nudge={})))
    assert not any(c.any() for c in sample.values["credit"].values())


def test_presentations_are_chosen_by_image():
    net = chain().with_rule("backprop")
    x, y = shown(net)
    plan = planned(net, labelled(net, x, y))
    (all_of_them,) = carried_out(session_of(net), plan)
    some = replace(plan, shown=(replace(plan.shown[0], trials=(0, 1), images=(3, 1)),))
    (two,) = carried_out(session_of(net), some)
    for variable in EVERYTHING:
        for name, values in all_of_them.values[variable].items():
            np.testing.assert_allclose(two.values[variable][name], values[[3, 1]], atol=1e-13)


# -- lesions, by hand --------------------------------------------------------------------------------

GAIN = {"Tanh": lambda a: 1 - np.tanh(a) ** 2, "Linear": np.ones_like}
RATE = {"Tanh": np.tanh, "Linear": lambda a: a}


def by_hand(net, w, b, phase, count):
    """Rates, drives, credits and u of a network of dense and identity projections, populations in order."""
    passing = {n: 0.0 if g.cut else g.scale for n, g in phase.gates.items()}
    a, r, c, u = {}, {}, {}, {}
    names = list(net.populations)
    for name in names:
        given = phase.drive.get(name)
        a[name] = np.zeros((count, net.populations[name].size)) + (0 if given is None else given.values)
        for p in net.inputs(name):
            a[name] = a[name] + passing.get(p.name, 1.0) * (r[p.pre] @ w[p.name].T)
        a[name] = a[name] + b.get(name, 0.0)
        kind = type(net.populations[name].activation).__name__
        r[name] = (a[name] if name == "retina" else RATE[kind](a[name])) * phase.alive.get(name, 1.0)
    for name in reversed(names[1:]):
        c[name] = np.zeros_like(r[name])
        if name in phase.nudge:
            goal = phase.nudge[name]
            exp = np.exp(r[name])
            told = exp / exp.sum(1, keepdims=True) if name == "IT" else r[name]
            c[name] = c[name] + goal.strength * (goal.values - told)
        for p in net.top_downs:
            if p.post != name or p.name in phase.errors_silenced:
                continue
            up = w[p.mate]
            match p.feedback:
                case cs.Transpose():
                    back = up.T
                case cs.Inverse(damping=alpha):
                    back = up.T @ np.linalg.inv(up @ up.T + alpha * np.eye(len(up)))
            c[name] = c[name] + passing.get(p.name, 1.0) * (u[p.pre] @ back.T)
        kind = type(net.populations[name].activation).__name__
        u[name] = c[name] * GAIN[kind](a[name]) * phase.alive.get(name, 1.0)
    return a, r, c, u


def arrays_of(session):
    w = {n: v.detach().numpy().copy() for n, v in session.model.weights.items()}
    for p in session.net.bottom_ups:
        if not p.connector.plastic:
            w[p.name] = np.eye(session.net.populations[p.pre].size)
    return w, {n: v.detach().numpy().copy() for n, v in session.model.biases.items()}


@settings(max_examples=25)
@given(
    network=st.sampled_from([chain, several_inputs, fan_out, residual]),
    word=st.sampled_from(["backprop", "gait_prop"]),
    seed=st.integers(0, 10_000),
)
def test_lesions_do_what_they_say(network, word, seed):
    """Cut, scaled, silenced, driven and nudged at random, rates, credits and weights by hand."""
    net, rng = network().with_rule(word), np.random.default_rng(seed)
    session = session_of(net)
    x, y = shown(net)
    gates = {
        name: Gate(cut=rng.random() < 0.3, scale=rng.uniform(-1, 2), delay_ms=7.0, noise_sd=0.5)
        for name in net.projections
        if rng.random() < 0.4
    }
    above = [n for n in net.populations if n != "retina"]
    alive = {
        n: (rng.random(net.populations[n].size) > 0.3) * 1.0 for n in net.populations if rng.random() < 0.4
    }
    drive = {"retina": Images(x)} | {n: Constant(rng.normal(size=net.populations[n].size)) for n in above[:2]}
    nudge = {"IT": Goal(np.eye(3)[y], 0.5)} | {
        n: Goal(rng.normal(size=(5, net.populations[n].size)), 0.3) for n in above[:-1] if rng.random() < 0.5
    }
    eta = {p.name: rng.uniform(0.5, 2) for p in net.bottom_ups if p.plasticity and rng.random() < 0.7}
    silent_errors = frozenset(p.name for p in net.top_downs if word == "gait_prop" and rng.random() < 0.2)
    phase = PhasePlan("p", 40.0, drive, nudge, {}, alive, gates, silent_errors, eta)
    if not all(isinstance(net.projections[n].feedback, cs.Inverse) for n in silent_errors):
        phase = replace(phase, errors_silenced=frozenset())
    before = arrays_of(session)
    (still,) = carried_out(session, planned(net, replace(phase, eta={})))
    a, r, c, u = by_hand(net, *before, phase, 5)
    for name in above:
        np.testing.assert_allclose(still.values["drive"][name][:, 0], a[name], atol=1e-11)
        np.testing.assert_allclose(still.values["rate"][name][:, 0], r[name], atol=1e-11)
        np.testing.assert_allclose(still.values["credit"][name][:, 0], c[name], atol=1e-10)
    carried_out(session, planned(net, phase))
    w, b = arrays_of(session)
    for p in net.bottom_ups:
        step = 0.040 * eta.get(p.name, 0.0) * u[p.post].T @ r[p.pre] / 5
        np.testing.assert_allclose(w[p.name], before[0][p.name] + step, atol=1e-11)
    for name, bias in b.items():
        opened = [eta[p.name] for p in net.inputs(name) if p.name in eta]
        step = 0.040 * opened[0] * u[name].mean(0) if opened else 0.0
        np.testing.assert_allclose(bias, before[1][name] + step, atol=1e-11)


def test_a_cut_or_silenced_way_is_one_that_is_not_there():
    net = fan_out().with_rule("gait_prop")
    x, y = shown(net)
    cut = carried_out(
        session_of(net), planned(net, labelled(net, x, y, gates={"dorsal->V1": Gate(cut=True)}))
    )
    silent = carried_out(
        session_of(net), planned(net, labelled(net, x, y, errors_silenced=frozenset(["dorsal->V1"])))
    )
    other = net.copy()
    other.projections.pop("dorsal->V1")
    other.projections["V1->dorsal"] = replace(net.projections["V1->dorsal"], plasticity=None)
    for p in ("retina->V1",):
        other.projections[p] = replace(net.projections[p], plasticity=None)
    without = carried_out(session_of(other), planned(other, labelled(other, x, y)))
    for samples in (cut, silent):
        for name, values in samples[0].values["credit"].items():
            np.testing.assert_allclose(values, without[0].values["credit"][name], atol=1e-13)


def test_silenced_units_of_the_top_send_no_direct_credit():
    net = chain().with_rule("direct_feedback_alignment")
    x, y = shown(net)
    session = session_of(net)
    phase = labelled(net, x, y, alive={"IT": np.array([1.0, 0.0, 1.0])})
    found = carried_out(session, planned(net, phase))[0].values
    heard = found["credit"]["IT"][:, 0] * [1, 0, 1]
    b = session.model.feedback.plastic_or_free("IT->V1").numpy()
    np.testing.assert_allclose(found["credit"]["V1"][:, 0], heard @ b.T, atol=1e-12)


# -- updates -----------------------------------------------------------------------------------------


def moved(session, before):
    after = session.state()
    return {n.partition(":")[2]: after[n] - before[n] for n in after if n.startswith(("weight", "bias"))}


@every_word
@pytest.mark.parametrize("network", [chain, conv])
def test_a_phase_with_an_open_window_is_one_update(network, word):
    """η·T times `Model.updates`, Decay beside it; of rules with state, the first millisecond's."""
    net = network().with_rule(word)
    model, session, (x, y) = built(net), session_of(net), shown(net)
    rng, modulator = np.random.default_rng(3), 0.6
    for name, state in session.windows.state_of.items():
        for variable in state:
            drawn = rng.random(state[variable].shape) if state[variable].ndim else np.array(modulator)
            state[variable] = drawn
            model.local.of(name)[variable].copy_(torch.as_tensor(drawn))
    opened = [p for p in net.projections.values() if p.plasticity is not None and not _spontaneous(p)]
    eta = {p.name: 0.3 + 0.1 * i for i, p in enumerate(opened)}
    before = session.state()
    carried_out(session, planned(net, labelled(net, x, y, eta=eta, modulator=modulator)))
    changes, expected = moved(session, before), model.updates(x, y, biases=True)
    assert set(eta) <= set(expected)
    for p in opened:
        decay = sum(r.rate for r in p.regularisers)
        step = 0.001 * eta[p.name] * (expected[p.name].numpy() - decay * before[f"weight:{p.name}"])
        np.testing.assert_allclose(changes[p.name], step, atol=1e-15, rtol=1e-9)
        assert np.abs(changes[p.name]).max() > 1e-8
    for name in model.biases:
        inputs = [p.name for p in net.inputs(name) if p.name in eta]
        step = 0.001 * eta[inputs[0]] * expected[name].numpy() if name in expected and inputs else 0.0
        np.testing.assert_allclose(changes[name], step, atol=1e-15, rtol=1e-9)
    unopened = set(changes) - set(eta) - set(model.biases)
    assert not any(changes[name].any() for name in unopened)


def _spontaneous(p):
    return getattr(p.plasticity, "spontaneous", False)


@pytest.mark.parametrize("word", ["weight_mirror", "gait_prop_learned"])
@pytest.mark.parametrize("network", [chain, conv])
def test_spontaneous_activity_changes_on_average_as_the_model_says(network, word):
    net = network().with_rule(word)
    session = session_of(net)
    opened = {p.name: 0.5 for p in net.top_downs if _spontaneous(p)}
    rest = {p.post: 0.7 for p in net.top_downs}
    before = session.state()
    phase = PhasePlan("rest", 20_000.0, spontaneous=rest, eta=opened)
    carried_out(session, planned(net, phase, count=2))
    changes = moved(session, before)
    assert opened
    for name in opened:
        p = net.projections[name]
        w = before[f"weight:{p.mate}"]
        w = w.reshape(len(w), -1)
        b = before[f"weight:{name}"]
        matrix = b.reshape(len(b), -1).T if b.ndim == 4 else b
        power = 0.7**2 * _share_inside(net, p)[:, None] * w.T  # E[ξ yᵀ], less where patches hang over
        growth = power if word == "weight_mirror" else power - matrix @ w @ power
        decay = sum(r.rate for r in p.regularisers)
        expected = 20.0 * 0.5 * (growth - decay * matrix)
        change = changes[name]
        change = change.reshape(len(change), -1).T if change.ndim == 4 else change
        assert relative_error(change, expected) < 0.02, name
    assert not any(changes[n].any() for n in changes if n not in opened)


def _share_inside(net, p):
    """Share of its places at which an entry of a patch is a unit and no padding."""
    if not isinstance(p.connector, cs.Conv2d):
        return np.ones(net.populations[p.post].size)
    c, shape = p.connector, net.populations[p.post].shape
    ones = torch.ones(1, *shape)
    patches = torch.nn.functional.unfold(ones, c.kernel, padding=c.padding, stride=c.stride)
    return patches[0].mean(1).numpy()


def test_noise_does_not_depend_on_what_is_shown_beside():
    """Two presentations side by side change as their mean; the same trial changes alike anywhere."""
    net = chain().with_rule("gait_prop_learned")
    opened = {p.name: 0.5 for p in net.top_downs}
    phase = PhasePlan("rest", 30.0, spontaneous={p.post: 1.0 for p in net.top_downs}, eta=opened)
    both = planned(net, phase, count=2)
    alone = [replace(both, shown=(replace(both.shown[0], trials=(i,), images=(i,)),)) for i in (0, 1)]
    changes = []
    for plan in (both, *alone):
        session = session_of(net)
        before = session.state()
        carried_out(session, plan)
        changes.append(moved(session, before))
    for name in opened:
        mean = (changes[1][name] + changes[2][name]) / 2
        np.testing.assert_allclose(changes[0][name], mean, atol=1e-14)
        assert np.abs(changes[1][name] - changes[2][name]).max() > 1e-3


def test_every_phase_has_noise_of_its_own():
    net = chain().with_rule("weight_mirror")
    opened = {p.name: 1e-6 for p in net.top_downs}
    rest = PhasePlan("rest", 30.0, spontaneous={p.post: 1.0 for p in net.top_downs}, eta=opened)
    changes = []
    for phases in ([rest], [rest, replace(rest, name="again")]):
        session = session_of(net)
        before = session.state()
        carried_out(session, planned(net, *phases))
        changes.append(moved(session, before)["V2->V1"])
    first, both = changes
    assert relative_error(both - first, first) > 0.1


def test_spontaneous_activity_settles_to_its_mean_whatever_drives_it():
    net = chain().with_rule("weight_mirror")
    x, y = shown(net)
    phase = replace(labelled(net, x, y), spontaneous={"V1": 1.0})
    session = session_of(net)
    rates = carried_out(session, planned(net, phase))[0].values["rate"]
    assert rates["retina"].any() and not rates["V1"].any()
    bias = session.model.biases["V2"].detach().numpy()
    np.testing.assert_allclose(rates["V2"][:, 0], np.tile(np.tanh(bias), (5, 1)), atol=1e-12)


def test_silenced_units_are_silent_in_spontaneous_activity_and_a_cut_way_has_no_echo():
    net = chain().with_rule("weight_mirror")
    opened = {p.name: 0.5 for p in net.top_downs}
    settings = {"spontaneous": {p.post: 1.0 for p in net.top_downs}, "eta": opened}
    alive = np.ones(11)
    alive[4] = 0
    session = session_of(net)
    before = session.state()
    phase = PhasePlan("rest", 30.0, alive={"V1": alive}, gates={"V2->IT": Gate(cut=True)}, **settings)
    carried_out(session, planned(net, phase))
    change = moved(session, before)
    decay = 1 - 0.030 * 0.5 * 1.0  # WeightMirror's own decay, rate 1
    np.testing.assert_allclose(change["V2->V1"][4], (decay - 1) * before["weight:V2->V1"][4], atol=1e-14)
    np.testing.assert_allclose(change["IT->V2"], (decay - 1) * before["weight:IT->V2"], atol=1e-14)


def test_rule_state_moves_through_the_phase():
    """BCM by hand: θ forgets in 1 ms steps at the settled rates, the weight reads it on the way."""
    net = cs.Network("bcm")
    net.population("retina", 3)
    net.population("V1", 2)
    rule = cs.Bcm(tau_ms=40.0)
    net.bottom_up("retina", "V1", plasticity=rule)
    session = QuasiStatic(net, 0)
    x = np.random.default_rng(0).normal(size=(4, 3))
    phase = PhasePlan("p", 50.0, drive={"retina": Images(x)}, eta={"retina->V1": 0.8})
    start = session.model.weights["retina->V1"].detach().numpy().copy()
    expected, w, theta = start.copy(), start, np.zeros(2)
    for _ in range(2):  # two trials
        y, w = x @ w.T, expected.copy()
        for _ in range(50):
            expected += 0.8 * 0.001 * ((y * (y - theta)).T @ x / 4)
            theta = theta + 0.001 / 0.040 * ((y**2).mean(0) - theta)
        w = expected.copy()
    carried_out(session, planned(net, phase, count=4, trials=2))
    np.testing.assert_allclose(session.model.weights["retina->V1"].detach(), expected, atol=1e-12)
    np.testing.assert_allclose(session.windows.state_of["retina->V1"]["theta"], theta, atol=1e-12)


def test_rule_state_rests_while_the_window_is_closed():
    net = chain().with_rule("bcm")
    x, y = shown(net)
    session = session_of(net)
    carried_out(
        session, planned(net, labelled(net, x, y, nudge={}, eta={"retina->V1": 1.0}, duration_ms=9.0))
    )
    assert session.windows.state_of["retina->V1"]["theta"].any()
    assert not session.windows.state_of["V1->V2"]["theta"].any()


def test_the_modulator_of_a_phase_turns_eligibility_into_change():
    net = cs.Network("three factors")
    net.population("retina", 3)
    net.population("V1", 2)
    net.bottom_up("retina", "V1", plasticity=cs.ThreeFactor(tau_ms=100.0))
    session = QuasiStatic(net, 0)
    seen = PhasePlan(
        "see", 20.0, drive={"retina": Constant(np.ones(3))}, eta={"retina->V1": 1.0}, modulator=0.0
    )
    before = session.state()
    carried_out(session, planned(net, seen, count=1))
    assert not moved(session, before)["retina->V1"].any()
    e = session.windows.state_of["retina->V1"]["e"].copy()
    assert np.abs(e).min() > 0
    reward = PhasePlan("reward", 1.0, eta={"retina->V1": 1.0}, modulator=-2.0)
    carried_out(session, planned(net, reward, count=1))
    np.testing.assert_allclose(moved(session, before)["retina->V1"], -2.0 * 0.001 * e, atol=1e-15)


def test_windows_follow_one_another_and_feedback_follows_the_weights():
    net = chain().with_rule("gait_prop")
    x, y = shown(net)
    eta = {p.name: 0.5 for p in net.bottom_ups}
    first, second = (labelled(net, x, y, eta=eta, duration_ms=t) for t in (200.0, 100.0))
    together, apart = session_of(net), session_of(net)
    carried_out(together, planned(net, first, replace(second, name="again")))
    carried_out(apart, planned(net, first))
    w = apart.model.weights["V1->V2"].detach().numpy()
    b = w.T @ np.linalg.inv(w @ w.T + 1e-3 * np.eye(7))
    stored = apart.model.feedback.stored("V2->V1", apart.model.weights["V1->V2"])
    np.testing.assert_allclose(stored, b, atol=1e-12)
    carried_out(apart, planned(net, second))
    for name, value in together.state().items():
        if name.startswith(("weight", "bias")):
            np.testing.assert_array_equal(apart.state()[name], value)


def test_a_phase_that_learns_is_recorded_at_its_end():
    net = chain().with_rule("backprop")
    x, y = shown(net)
    eta = {p.name: 0.5 for p in net.bottom_ups}
    session = session_of(net)
    plan = planned(net, labelled(net, x, y, eta=eta, duration_ms=500.0))
    (sample,) = carried_out(session, plan)
    (later,) = carried_out(session, planned(net, labelled(net, x, y)))
    for name, values in later.values["rate"].items():
        np.testing.assert_array_equal(sample.values["rate"][name], values)


# -- regularisers --------------------------------------------------------------------------------------


def test_hard_orthogonality_acts_after_every_so_many_trials_that_learned():
    net = chain().with_rule("hebbian")
    hard = cs.HardOrthogonality(every=2, steps=3)
    net.projections["V1->V2"] = replace(net.projections["V1->V2"], regularisers=(hard,))
    x, y = shown(net)
    session = session_of(net)
    learn = labelled(net, x, y, nudge={}, eta={"V1->V2": 0.3}, duration_ms=100.0)
    off = []
    for phase in (learn, replace(learn, eta={}), learn, learn):
        carried_out(session, planned(net, phase))
        w = session.model.weights["V1->V2"].detach().numpy()
        gram = w @ w.T
        off.append(np.abs(gram / gram.trace() * len(gram) - np.eye(len(gram))).max())
    assert off[0] == off[1] and off[2] < 0.5 * off[0] and off[3] > off[2]


def test_other_regularisers_are_refused():
    net = chain().with_rule("backprop")
    net.projections["V1->V2"] = replace(net.projections["V1->V2"], regularisers=(cs.Orthogonality(),))
    with pytest.raises(
        cs.BuildError, match=r"V1->V2: Orthogonality does not act in protocols; use Decay\(\)"
    ):
        QuasiStatic(net)


# -- lateral -------------------------------------------------------------------------------------------


def test_lateral_projections_are_cut_scaled_silenced_and_learn():
    net = cs.Network("lateral")
    net.population("retina", 5)
    net.population("V1", 3)
    net.bottom_up("retina", "V1")
    inhibition = np.array([[0, 0.5, 0.1], [-0.4, 0, 0.3], [0.2, 0.6, 0]])
    net.lateral("V1", weights=inhibition, plasticity=cs.Decorrelation(), regulariser=cs.Decay(0.2))
    session = session_of(net)
    w, b = (session.model.weights["retina->V1"], session.model.biases["V1"])
    x = np.random.default_rng(0).normal(size=(4, 5))
    up = x @ w.detach().numpy().T + b.detach().numpy()
    alive = np.array([1.0, 0, 1])
    for gate, factor in ((Gate(), 1.0), (Gate(scale=0.5), 0.5), (Gate(cut=True), 0.0)):
        phase = PhasePlan(
            "p", 100.0, drive={"retina": Images(x)}, alive={"V1": alive}, gates={"V1->V1": gate}
        )
        found = carried_out(session, planned(net, phase, count=4))[0].values
        a = np.zeros_like(up)
        for _ in range(3000):
            a += 0.05 * (-a + up - factor * (a * alive) @ inhibition.T)
        np.testing.assert_allclose(found["drive"]["V1"][:, 0], a, atol=1e-10)
        np.testing.assert_allclose(found["rate"]["V1"][:, 0], a * alive, atol=1e-10)
    before = session.state()
    carried_out(session, planned(net, replace(phase, eta={"V1->V1": 0.7}), count=4))
    r = a * alive
    growth = r.T @ r / 4
    np.fill_diagonal(growth, 0)
    np.testing.assert_allclose(
        moved(session, before)["V1->V1"], 0.1 * 0.7 * (growth - 0.2 * inhibition), atol=1e-10
    )


# -- the session -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["gait_prop_learned", "bcm", "kolen_pollack", "three_factor"])
def test_goes_on_from_its_state_to_the_same_end(word):
    net = chain().with_rule(word)
    hard = cs.HardOrthogonality(every=2)
    for p in net.bottom_ups:
        net.projections[p.name] = replace(p, regularisers=(*p.regularisers, hard))
    x, y = shown(net)
    spontaneous = {p.name: 0.2 for p in net.top_downs if _spontaneous(p)}
    eta = {p.name: 0.2 for p in net.projections.values() if p.plasticity is not None and not _spontaneous(p)}
    phases = [labelled(net, x, y, eta=eta, duration_ms=20.0)]
    if spontaneous:
        rest = {p.post: 0.5 for p in net.top_downs}
        phases.append(PhasePlan("rest", 30.0, spontaneous=rest, eta=spontaneous))
    plan = planned(net, *phases, trials=5, weights=("V1->V2",), weights_every=10)
    whole = QuasiStatic(net, 4)
    samples = carried_out(whole, plan)
    half = QuasiStatic(net, 4)
    carried_out(half, replace(plan, shown=plan.shown[:2]))
    kept = {name: values.copy() for name, values in half.state().items()}
    again = QuasiStatic(net, 4)
    again.restore(kept)
    rest_of_it = carried_out(again, plan, first=2)
    for one, other in zip(samples[2:], rest_of_it, strict=True):
        assert one.time_ms == other.time_ms
        for variable in EVERYTHING:
            for name in net.populations:
                np.testing.assert_array_equal(one.values[variable][name], other.values[variable][name])
    ended, ended_again = whole.state(), again.state()
    assert set(ended) == set(ended_again)
    for name, values in ended.items():
        assert isinstance(values, np.ndarray)
        np.testing.assert_array_equal(values, ended_again[name])
        assert name in {"learned", "time_ms"} or values is not whole.state()[name]  # copies
    assert samples[-1].time_ms == 5 * plan.shown[0].duration_ms


def test_weights_are_kept_where_due():
    net = conv().with_rule("kolen_pollack")
    x, y = shown(net)
    eta = {"V1->V2": 0.1, "V2->V1": 0.1}
    names = ("V1->V2", "V2->V1")
    plan = planned(net, labelled(net, x, y, eta=eta), trials=4, count=1, weights=names, weights_every=2)
    probe = replace(plan.shown[1], stage="probe")
    session = session_of(net)
    samples = carried_out(session, replace(plan, shown=(*plan.shown, probe)))
    assert [set(s.weights) for s in samples] == [set(), set(names), set(), set(names), set()]
    for name in names:
        kept = samples[3].weights[name]
        assert kept.shape == net.weight_shape(net.projections[name])
        assert not np.array_equal(kept, samples[1].weights[name])


def test_only_the_wanted_phase_is_recorded():
    net = chain().with_rule("backprop")
    x, y = shown(net)
    look, learn = replace(labelled(net, x, y, nudge={}), name="look"), labelled(net, x, y)
    plan = planned(net, look, learn, phase="look")
    (sample,) = carried_out(session_of(net), plan)
    assert not sample.values["credit"]["IT"].any() and sample.values["rate"]["IT"].any()
    (sample,) = carried_out(session_of(net), planned(net, look, learn))
    assert sample.values["credit"]["IT"].any()


def test_a_protocol_teaches_a_network():
    """The protocol language, its plan, this session and the recording, on three easy classes."""
    net = chain("leaky_relu", "orthogonal").with_rule("gait_prop")
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=300)
    images = rng.normal(size=(3, 13))[labels] + 0.3 * rng.normal(size=(300, 13))
    look = cs.Protocol(cs.Phase("look", 100, drive={"retina": images}))
    teach = cs.Protocol(
        cs.Phase("teach", 100, drive={"retina": images}, nudge={"IT": labels}, plasticity=True),
        eta_per_s=0.2,
    )
    session = QuasiStatic(net, 0)

    def accuracy():
        seen = session.run(look)
        return float((seen.rate[:, seen.population == "IT"].values.argmax(1) == labels).mean())

    before = accuracy()
    learned = session.run(teach)
    assert before < 0.7 and accuracy() > 0.95
    assert learned.attrs["backend"] == "torch" and learned.sizes["presentation"] == 300


def test_attributes_say_what_made_the_recording():
    net = chain().with_rule("kolen_pollack")
    found = QuasiStatic(net, 3).attributes()
    assert found["network"] == "chain" and found["rule"] == "feedback_alignment, kolen_pollack"
    assert (found["seed"], found["backend"]) == (3, "torch")
    assert found["cortex_sim_version"] == cs.__version__


@pytest.mark.parametrize("word", sorted(TARGETS))
def test_target_rules_are_refused(word):
    with pytest.raises(cs.BuildError, match="finds targets layer by layer.*limit form"):
        QuasiStatic(chain().with_rule(word))


def test_a_rule_without_growth_is_refused():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Own:
        def change(self, w, r_pre, r_post):
            return 0 * w

    net = cs.Network("own")
    net.population("retina", 3)
    net.population("V1", 2)
    net.bottom_up("retina", "V1", plasticity=Own())
    with pytest.raises(cs.BuildError, match="retina->V1: rule Own: has no growth"):
        QuasiStatic(net)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"drive": {"retina": Series(np.zeros((2, 13)), 5.0)}}, "phase learn: the drive of retina is a time"),
        ({"drive": {"V1": White(0.0, 1.0, None)}}, "phase learn: the drive of V1 is noise.*brian2"),
        (
            {"spontaneous": {"V1": 1.0}, "eta": {"V1->V2": 1.0}},
            "phase learn: V1->V2 would learn from activity that noise drives.*brian2",
        ),
        ({"errors_silenced": frozenset(["V2->V1"])}, "without its error population V2->V1 keeps the credit"),
    ],
)
def test_what_does_not_settle_is_refused_before_anything_runs(change, says):
    net = chain().with_rule("gait_prop", damping=0)
    x, y = shown(net)
    fine = labelled(net, x, y, eta={"V1->V2": 1.0})
    session, heard = session_of(net), []
    before = session.state()
    plan = planned(net, fine)
    bad = replace(plan.shown[0], number=1, phases=(replace(labelled(net, x, y), **change),))
    with pytest.raises(cs.RunError, match=says):
        session.carry_out(replace(plan, shown=(plan.shown[0], bad)), 0, heard.append)
    assert not heard
    for name, values in session.state().items():
        np.testing.assert_array_equal(values, before[name])


def test_what_learns_from_spontaneous_activity_needs_some():
    net = chain().with_rule("weight_mirror")
    x, y = shown(net)
    phase = labelled(net, x, y, spontaneous={"V1": 1.0}, eta={"IT->V2": 1.0})
    with pytest.raises(cs.RunError, match="phase learn: IT->V2 learns from spontaneous activity of V2"):
        carried_out(session_of(net), planned(net, phase))


def test_time_within_a_phase_is_refused():
    net = chain().with_rule("backprop")
    x, y = shown(net)
    plan = planned(net, labelled(net, x, y))
    with pytest.raises(cs.RunError, match="every_ms=5 asks for time within a phase.*brian2"):
        session_of(net).carry_out(replace(plan, wanted=replace(plan.wanted, every_ms=5.0)), 0, print)


def test_weights_that_run_away_are_an_error():
    net = chain("linear").with_rule("hebbian")
    x, y = shown(net)
    phase = labelled(net, x, y, nudge={}, eta={p.name: 1e9 for p in net.bottom_ups}, duration_ms=1000.0)
    with np.errstate(all="ignore"), pytest.raises(cs.RunError, match="weights are no longer finite in trial"):
        carried_out(session_of(net), planned(net, phase, trials=30))
