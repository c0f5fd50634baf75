"""Channels with plastic diffusion in time: settled they are torch's, and all weights take the same update."""

from dataclasses import replace

import numpy as np
import pytest
from agreement import relative_error
from networks import Spread, chain, conv
from own_euler import same_network
from timed import by_population

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.credit import BroadcastCredit, TrainedCredit

GAIN, UP, DOWN, CHANNELS = 1.7, 0.03, 0.05, 4
SETTLE_MS, LEARN_MS = 500.0, 40.0
ETA_T = 1e-6  # weights hardly move: in time they act back within the window


def under(net, decorrelated=False):
    form = BroadcastCredit(net.populations["IT"].size, CHANNELS, "dense", decorrelated)
    start = {"log_gain": GAIN, "log_decay_up": UP, "log_decay_down": DOWN, "log_scale": 0.8}
    shares = {"mixing": 1.0, "centring": 2.0} if decorrelated else {}
    given = {n: np.array(np.log(x)) for n, x in start.items()} | {n: np.array(x) for n, x in shares.items()}
    return net.with_rule("tdca", credit=TrainedCredit(form, form.draw(3) | given, {}))


def script(net, count, eta_t=ETA_T, **settings):
    rng = np.random.default_rng(4)
    x = 0.5 * rng.normal(size=(count, *net.populations["retina"].shape))
    y = rng.integers(net.populations["IT"].size, size=count)
    shown = {"drive": {"retina": x}, "nudge": {"IT": y}} | settings
    protocol = cs.Protocol(
        cs.Phase("settle", SETTLE_MS, **shown),
        cs.Phase("learn", LEARN_MS, plasticity=True, **shown),
        batch=count,
        record=cs.Record(("rate", "credit"), phase="settle", weights=True),
        eta_per_s=1e3 * eta_t / LEARN_MS,
    )
    return protocol, x, y


@pytest.mark.parametrize("decorrelated", [False, True], ids=["rates", "decorrelated"])
@pytest.mark.parametrize("network", [chain, conv])
def test_settles_to_torchs_rates_and_credits(network, decorrelated):
    net = under(network(init=Spread(0.8, 1.2)), decorrelated)
    protocol, x, y = script(net, 3)
    model, sim = cs.torch.build(net, precision="64"), cs.brian2.build(net)
    seen = sim.run(protocol)
    rates, credits = model.settle(x)[1], model.credits(x, y)
    in_time = by_population(net, seen, "credit")
    for name, r in by_population(net, seen, "rate").items():
        assert relative_error(r, rates[name].detach().flatten(1).numpy()) < 1e-6, name
    assert set(credits) == {p.post for p in net.top_downs}
    for name, c in credits.items():
        assert relative_error(in_time[name], c.detach().flatten(1).numpy()) < 1e-6, name


@pytest.mark.parametrize("engine", ["batched", "synapses"])
@pytest.mark.parametrize("network", [chain, conv])
def test_a_plateau_is_one_update_of_all_weights(network, engine):
    """Over η T: every weight by torch's change of it, less λ of it."""
    if network is conv and engine == "synapses":
        pytest.skip("synapses do not share weights")
    net = under(network(init=Spread(0.8, 1.2)))
    protocol, x, y = script(net, 1 if engine == "synapses" else 3)
    model, sim = cs.torch.build(net, precision="64"), cs.brian2.build(net, engine=engine)
    start, change = net.initial_weights(0), model.updates(x, y)
    sim.run(protocol)
    plastic = [p for p in net.projections.values() if p.plasticity is not None]
    assert {p.name for p in plastic if p.is_top_down} == {f"TDCA {n}->{n}" for n in net.teacher.hidden}
    for p in plastic:
        moved = (sim.weights_of(p.name) - start[p.name]) / ETA_T
        forgotten = (DOWN if p.is_top_down else UP) * start[p.name]
        assert relative_error(moved, change[p.name].numpy() - forgotten) < 1e-5, p.name


@pytest.mark.parametrize("engine", ["batched", "synapses"])
@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_is_the_reference_loop_at_every_step(engine, strength):
    """The equations one Euler step after another, all from the state before; g is what is delivered."""
    net, w, v = same_network(cs)
    net = under(net)
    m, d = net.teacher.parameters["broadcast"], net.initial_weights(0)["TDCA V1->V1"]
    x, goal, eta = np.random.default_rng(3).normal(size=7), np.array([0.5, -1.0, 0.2]), 30.0
    shown = {"drive": {"retina": x[None]}, "nudge": {"IT": goal[None]}, "strength": strength}
    protocol = cs.Protocol(
        cs.Phase("settle", 15.0, **shown), cs.Phase("learn", 30.0, plasticity=True, **shown), eta_per_s=eta
    )
    sim = cs.brian2.build(net, engine=engine, dt_ms=1.0)
    sim.run(protocol)
    a, c, g = np.zeros(5), np.zeros(5), np.zeros(CHANNELS)
    top, c_top, base, of_top = np.zeros((4, 3))
    for step in range(45):
        rate, r, delivered = eta / 1000 if step >= 15 else 0.0, np.tanh(a), strength * g
        changes = np.outer(c * (1 - r**2), x), np.outer(c_top, r), GAIN * np.outer(r, delivered)
        below = w @ x - a, v @ r - top
        within = goal - top - base, base - of_top, m @ base - g
        moved = *below, *within, d @ delivered - c, strength * of_top - c_top
        a, top, base, of_top, g, c, c_top = (
            old + change / 10 for old, change in zip((a, top, base, of_top, g, c, c_top), moved, strict=True)
        )
        w, v, d = (
            old + rate * (change - lost * old)
            for old, change, lost in zip((w, v, d), changes, (UP, UP, DOWN), strict=True)
        )
    for name, expected in (("retina->V1", w), ("V1->IT", v), ("TDCA V1->V1", d)):
        assert np.abs(expected - net.initial_weights(0)[name]).max() > 1e-3
        np.testing.assert_allclose(sim.weights_of(name), expected, atol=1e-12, err_msg=name)


def test_at_equilibrium_under_a_protocol_too():
    net = under(chain(init=Spread(0.8, 1.2)), decorrelated=True)
    protocol, *_ = script(net, 3, strength=0.5)
    in_time, settled = cs.brian2.build(net), QuasiStatic(net)
    for session in (in_time, settled):
        session.run(protocol)
    for name, w in net.initial_weights(0).items():
        theirs = settled.weights_of(name) - w
        assert relative_error(in_time.weights_of(name) - w, theirs) < 1e-5, name
    assert np.abs(theirs).max() == 0 and name == "TDCA IT->IT"  # the top's own credit, one to one


@pytest.mark.parametrize(
    "settings, still",
    [
        ({"silence": ["TDCA V1"]}, {"retina->V1", "TDCA V1->V1"}),
        ({"cut": ["TDCA V1->V1"]}, {"retina->V1"}),
        ({"silence_credit": ["V1"]}, {"retina->V1"}),
        ({"cut": ["TDCA base->TDCA V2"]}, {"V1->V2", "TDCA V2->V2"}),
        ({"cut": ["TDCA base->TDCA IT"]}, {"V2->IT"}),
    ],
    ids=lambda part: str(sorted(part) if isinstance(part, set) else part),
)
def test_a_lesion_stops_the_learning_below_it_and_no_other(settings, still):
    """Its own D goes on where only the way to the units is cut: its synapses still receive g."""
    net = same_chain()
    protocol, *_ = script(net, 1, **settings)
    for session in (cs.brian2.build(net, dt_ms=2.0), cs.brian2.build(net, dt_ms=2.0, engine="synapses")):
        session.run(protocol)
        start = net.initial_weights(0)
        unmoved = {n for n, w in start.items() if relative_change(session.weights_of(n), w) < 1e-12}
        assert unmoved == still | {"TDCA IT->IT"}


def same_chain():
    net = under(chain(init=Spread(0.8, 1.2)))
    for p in list(net.projections.values()):  # without forgetting, what does not learn stays
        net.projections[p.name] = replace(p, regularisers=())
    return net


def relative_change(now, before):
    return np.abs(now - before).max() / ETA_T
