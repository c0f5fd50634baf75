"""Where a phase settles: against the model, and with lesions against a reference by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import ALL, built, chain, fan_out, residual, several_inputs, shown
from quasi import (
    EVERYTHING,
    carried_out,
    labelled,
    planned,
    session_of,
)

import cortex_sim as cs
from cortex_sim.protocol.plan import Constant, Gate, Goal, Images, PhasePlan

every_network = pytest.mark.parametrize("network", ALL.values(), ids=list(ALL))


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
            up = w[p.reverse_name]
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
