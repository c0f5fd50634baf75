"""TDCA in time: the credit network settles at torch's credits, and teaches as torch's update does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import chain, conv, shown
from taught import FORMS, taught
from timed import assert_close, by_population, expected, protocol, settled

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.errors import BuildError


@pytest.mark.parametrize(
    "network, form", [*((chain, form) for form in FORMS), (conv, "pooled"), (conv, "shared, raw")]
)
def test_settles_where_torch_says(network, form):
    net = taught(network, **FORMS[form])
    x, y = shown(net, 3)
    rates, credits = settled(cs.brian2.build(net, dt_ms=4.0), x, y)
    their_rates, their_credits = expected(net, x, y)
    assert_close(rates, their_rates, 1e-6)
    assert_close(credits, their_credits, 1e-6, skip=net.stimulated)
    assert all(np.abs(credits[name]).max() > 1e-2 for name in net.populations if name != "retina")


@pytest.mark.parametrize("form", FORMS)
def test_a_plateau_changes_weights_as_one_update_of_torch(form):
    net = taught(**FORMS[form])
    x, y = shown(net, 3)
    rate, seconds = 1e-3, 0.1
    model = cs.torch.build(net, precision="64")
    optimiser = torch.optim.SGD(model.parameters(), lr=rate)
    before = {name: w.detach().numpy().copy() for name, w in model.weights.items()}
    optimiser.zero_grad()
    model(x, y).backward()
    optimiser.step()
    sim = cs.brian2.build(net, dt_ms=2.0)
    script = protocol(net, x, y, batch=3, learn_ms=1000 * seconds, whole_eta_per_s=rate / seconds)
    sim.run(script)
    for name, start in before.items():
        theirs = model.weights[name].detach().numpy() - start
        ours = sim.weights.outward(name) - start
        assert np.abs(ours - theirs).max() < 1e-2 * np.abs(theirs).max()


@pytest.mark.parametrize("form", ["dense, error", "dense, raw"])
def test_synapses_take_the_same_steps(form):
    net = taught(**FORMS[form])
    x, y = shown(net, 1)
    script = protocol(net, x, y, ms=20.0, learn_ms=20.0, every_ms=4.0, batch=1, whole_eta_per_s=0.5)
    found = []
    for engine in ("batched", "synapses"):
        sim = cs.brian2.build(net, dt_ms=2.0, engine=engine)
        found.append((sim.run(script), sim.checkpoint()))
    (first, state), (second, other) = found
    for variable in ("rate", "credit", "drive"):
        np.testing.assert_allclose(first[variable], second[variable], atol=1e-12)
    for name in state:
        np.testing.assert_allclose(other[name], state[name], atol=1e-12)
    assert np.abs(first["credit"]).max() > 1e-2
    start = cs.brian2.build(net).weights.matrix["retina->V1"]
    assert np.abs(state["weight:retina->V1"] - start).max() > 1e-6


@pytest.mark.parametrize(
    "form, further, wrong",
    [
        ("shared, error", {"engine": "synapses"}, "the shared form of a credit network cannot be made"),
        ("pooled", {"engine": "synapses"}, "a credit network that pools hidden rates cannot be made"),
        ("dense, raw", {"engine": "synapses", "target": "cpp_standalone"}, "not yet part of a C.. program"),
    ],
)
def test_what_the_synapses_engine_cannot_do_is_refused(form, further, wrong):
    with pytest.raises(BuildError, match=wrong):
        cs.brian2.build(taught(**FORMS[form]), **further)


def test_equations_written_for_brian2_are_those_that_the_engine_computes():
    """Monitors read brian2's own text of every rate; the engine computes them apart, with numpy."""
    import brian2

    net = taught(context="raw")
    watched = ("TDCA context", "TDCA base", "TDCA", "TDCA deep", "TDCA IT", "TDCA V1", "TDCA V2")
    sim = cs.brian2.build(
        net,
        extra=lambda groups: [
            *(brian2.StateMonitor(groups[name], "r", record=True) for name in watched),
            brian2.StateMonitor(groups["IT"], ["base", "seen"], record=True),
        ],
    )
    x, y = shown(net, 1)
    settled(sim, x, y)
    of = {name: m.r[:, -1] for name, m in zip(watched, sim.built.own, strict=False)}
    top = sim.built.own[-1]
    np.testing.assert_allclose(of["TDCA base"], top.base[:, -1], rtol=1e-9)
    np.testing.assert_allclose(of["TDCA context"][:3], top.seen[:, -1], rtol=1e-9)
    _, credits = expected(net, x, y)
    np.testing.assert_allclose(of["TDCA IT"], credits["IT"][0], rtol=1e-6)
    for name in ("V1", "V2"):
        d = sim.weights.matrix[f"TDCA {name}->{name}"]
        np.testing.assert_allclose(d @ of[f"TDCA {name}"], credits[name][0], rtol=1e-6, atol=1e-9)


def test_without_a_nudge_there_is_no_credit():
    net = taught(context="raw")
    x, _ = shown(net, 3)
    _, credits = settled(cs.brian2.build(net, dt_ms=2.0), x, None)
    assert not any(c.any() for c in credits.values())


def test_strength_scales_the_credit():
    net = taught()
    x, y = shown(net, 3)
    found = []
    for strength in (1.0, 0.25):
        sim = cs.brian2.build(net, dt_ms=2.0)
        found.append(by_population(net, sim.run(protocol(net, x, y, strength=strength)), "credit"))
    for name, whole in found[0].items():
        np.testing.assert_allclose(found[1][name], 0.25 * whole, atol=1e-12)
    assert np.abs(found[0]["V1"]).max() > 1e-2


def test_credit_comes_up_one_time_constant_after_another_and_goes_with_the_nudge():
    net = taught()
    x, y = shown(net, 2)
    shared = {"drive": {"retina": x}}
    script = cs.Protocol(
        cs.Phase("settle", 200, **shared),
        cs.Phase("told", 300, nudge={"IT": y}, **shared),
        cs.Phase("after", 300, **shared),
        record=cs.Record(("credit",), every_ms=10.0),
        batch=2,
    )
    credit = by_population(net, cs.brian2.build(net, dt_ms=2.0).run(script), "credit")["V1"]
    size = np.abs(credit).max(axis=2)  # (presentation, time_bin)
    assert not size[:, :20].any()
    assert (size[:, 20] < 0.3 * size[:, 49]).all()
    assert (size[:, 49] > 1e-2).all()
    assert (size[:, -1] < 1e-9).all()


def test_cutting_the_way_down_silences_that_populations_credit_alone():
    net = taught()
    x, y = shown(net, 3)
    sim, settled_at = cs.brian2.build(net, dt_ms=2.0), QuasiStatic(net)
    script = protocol(net, x, y, cut=["TDCA V1->V1"])
    credits, theirs = (by_population(net, s.run(script), "credit") for s in (sim, settled_at))
    assert not credits["V1"].any()
    _, intact = expected(net, x, y)
    for name in ("V2", "IT"):
        np.testing.assert_allclose(credits[name], intact[name], atol=1e-9)
        np.testing.assert_allclose(theirs[name], intact[name], atol=1e-12)


def test_delay_and_noise_act_on_the_credit_delivered():
    net = taught()
    x, y = shown(net, 3)
    plain = settled(cs.brian2.build(net, dt_ms=2.0), x, y)[1]
    late = by_population(
        net,
        cs.brian2.build(net, dt_ms=2.0).run(protocol(net, x, y, delay_ms={"TDCA V1->V1": 20.0})),
        "credit",
    )
    np.testing.assert_allclose(late["V1"], plain["V1"], atol=1e-9)
    script = protocol(net, x, y, noise={"TDCA V1->V1": 0.1})
    noisy = by_population(net, cs.brian2.build(net, dt_ms=2.0).run(script), "credit")
    off = noisy["V1"] - plain["V1"]
    assert 0.05 < off.std() < 0.2
    np.testing.assert_allclose(noisy["V2"], plain["V2"], atol=1e-12)


def test_a_time_step_too_long_for_a_credit_population_is_named():
    net = taught()
    net.teacher = replace(net.teacher, tau_ms=0.4)
    with pytest.raises(BuildError, match="population TDCA context: a time step of 2 ms is too long"):
        cs.brian2.build(net, dt_ms=2.0)


def test_the_state_of_a_session_holds_the_credit_populations():
    net = taught()
    x, y = shown(net, 1)
    one, other = cs.brian2.build(net, dt_ms=2.0), cs.brian2.build(net, dt_ms=2.0)
    one.run(protocol(net, x, y, ms=30.0))
    other.restore(one.checkpoint())
    for name in net.credit_populations:
        kept = other.checkpoint()[f"moving:{name}:a"]
        np.testing.assert_array_equal(kept, one.checkpoint()[f"moving:{name}:a"])
        assert np.abs(kept).max() > 1e-2
