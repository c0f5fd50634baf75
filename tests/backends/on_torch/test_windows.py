"""What open plasticity windows change in a phase: against `Model.updates`, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import relative_error
from networks import built, chain, conv, shown
from quasi import (
    carried_out,
    labelled,
    moved,
    own_rules,
    planned,
    session_of,
    spontaneous,
)

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.protocol.plan import Constant, Gate, Images, PhasePlan

every_word = pytest.mark.parametrize("word", own_rules())


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
    opened = [p for p in net.projections.values() if p.plasticity is not None and not spontaneous(p)]
    eta = {p.name: 0.3 + 0.1 * i for i, p in enumerate(opened)}
    before = session.checkpoint()
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


@pytest.mark.parametrize("word", ["weight_mirror", "gait_prop_learned"])
@pytest.mark.parametrize("network", [chain, conv])
def test_spontaneous_activity_changes_on_average_as_the_model_says(network, word):
    net = network().with_rule(word)
    session = session_of(net)
    opened = {p.name: 0.5 for p in net.top_downs if spontaneous(p)}
    rest = {p.post: 0.7 for p in net.top_downs}
    before = session.checkpoint()
    phase = PhasePlan("rest", 20_000.0, spontaneous=rest, eta=opened)
    carried_out(session, planned(net, phase, count=2))
    changes = moved(session, before)
    assert opened
    for name in opened:
        p = net.projections[name]
        w = before[f"weight:{p.reverse_name}"]
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
        before = session.checkpoint()
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
        before = session.checkpoint()
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
    before = session.checkpoint()
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
    before = session.checkpoint()
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
    for name, value in together.checkpoint().items():
        if name.startswith(("weight", "bias")):
            np.testing.assert_array_equal(apart.checkpoint()[name], value)


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
    before = session.checkpoint()
    carried_out(session, planned(net, replace(phase, eta={"V1->V1": 0.7}), count=4))
    r = a * alive
    growth = r.T @ r / 4
    np.fill_diagonal(growth, 0)
    np.testing.assert_allclose(
        moved(session, before)["V1->V1"], 0.1 * 0.7 * (growth - 0.2 * inhibition), atol=1e-10
    )


def test_credit_is_multiplied_by_what_projections_of_gain_make_of_the_slope():
    net = cs.Network("attention")
    net.population("retina", 4)
    net.population("FEF", 6)
    net.population("V1", 6, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.top_down("FEF", "V1", effect="gain", connector="identity")
    net.objective("IT", "squared_error")
    net = net.with_rule("backprop")
    rng = np.random.default_rng(0)
    x = {"retina": rng.normal(size=(1, 4)), "FEF": np.array([[-2, -0.5, 0.0, 0.5, 1.0, 2.0]])}
    goal = rng.normal(size=(1, 3))
    session = QuasiStatic(net)
    before, expected = session.checkpoint(), session.model.updates(x, goal, biases=True)
    phase = cs.Phase("learn", 100, drive=x, nudge={"IT": goal}, plasticity=True)
    session.run(cs.Protocol(phase, eta_per_s=1e-3), progress=False)
    changes = moved(session, before)
    for name, change in expected.items():
        np.testing.assert_allclose(changes[name], 1e-4 * change.numpy(), rtol=1e-6, atol=1e-14)
    assert np.abs(changes["V1"]).max() > 1e-6
