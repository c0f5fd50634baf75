"""A layered, plastic credit network in time: settled it is torch's, and its weights take the same update."""

import numpy as np
import pytest
from agreement import relative_error
from networks import Spread, chain, conv
from own_euler import same_network
from timed import by_population

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.credit import LayeredCredit, TrainedCredit

GAIN, UP, DOWN = 1.7, 0.03, 0.05
SETTLE_MS, LEARN_MS = 500.0, 40.0
ETA_T = 1e-6  # weights hardly move: in time they act back within the window


def credit(mirror=0, decorrelated=False):
    start = {"log_gain": GAIN, "log_decay_up": UP, "log_decay_down": DOWN, "log_scale": 0.8}
    shares = {"mixing": 1.0, "centring": 2.0} if decorrelated else {}
    parameters = {n: np.array(np.log(x)) for n, x in start.items()} | {
        n: np.array(x) for n, x in shares.items()
    }
    return TrainedCredit(LayeredCredit(mirror, decorrelated), parameters, {})


def script(net, count, settle_ms=SETTLE_MS, eta_t=ETA_T):
    rng = np.random.default_rng(4)
    x = 0.5 * rng.normal(size=(count, *net.populations["retina"].shape))
    y = rng.integers(net.populations["IT"].size, size=count)
    shown = {"drive": {"retina": x}, "nudge": {"IT": y}}
    protocol = cs.Protocol(
        cs.Phase("settle", settle_ms, **shown),
        cs.Phase("learn", LEARN_MS, plasticity=True, **shown),
        batch=count,
        record=cs.Record(("rate", "credit"), phase="settle", weights=True),
        eta_per_s=1e3 * eta_t / LEARN_MS,
    )
    return protocol, x, y


@pytest.mark.parametrize("decorrelated", [False, True], ids=["rates", "decorrelated"])
@pytest.mark.parametrize("network", [chain, conv])
def test_settles_to_torchs_rates_and_credits(network, decorrelated):
    net = network(init=Spread(0.8, 1.2)).with_rule("tdca", credit=credit(20, decorrelated))
    protocol, x, y = script(net, 3)
    model, sim = cs.torch.build(net, precision="64"), cs.brian2.build(net)
    seen = sim.run(protocol)
    rates = model.settle(x)[1]
    credits = model.credits(x, y)
    in_time = by_population(net, seen, "credit")
    for name, r in by_population(net, seen, "rate").items():
        assert relative_error(r, rates[name].detach().flatten(1).numpy()) < 1e-6, name
    assert set(credits) >= {p.post for p in net.top_downs}
    for name, c in credits.items():
        assert relative_error(in_time[name], c.detach().flatten(1).numpy()) < 1e-6, name


@pytest.mark.parametrize("engine", ["batched", "synapses"])
@pytest.mark.parametrize("network", [chain, conv])
def test_a_plateau_is_one_update_of_both_weights(network, engine):
    """Over η T: W by U − λ_W W and B by κ Uᵀ − λ_B B, U torch's change of W."""
    if network is conv and engine == "synapses":
        pytest.skip("synapses do not share weights")
    net = network(init=Spread(0.8, 1.2)).with_rule("tdca", credit=credit())
    protocol, x, y = script(net, 1 if engine == "synapses" else 3)
    model, sim = cs.torch.build(net, precision="64"), cs.brian2.build(net, engine=engine)
    start, change = net.initial_weights(0), model.updates(x, y)
    sim.run(protocol)
    moved = {n: (sim.weights_of(n) - w) / ETA_T for n, w in start.items()}
    for p in net.top_downs:
        up, op = p.reverse_name, net.operator(p)
        u = change[up].numpy()
        assert relative_error(moved[up], u - UP * start[up]) < 1e-5
        turned = np.asarray(op.as_feedback(op.matrix(u).T, start[p.name].shape))
        assert relative_error(moved[p.name], GAIN * turned - DOWN * start[p.name]) < 1e-5


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_is_the_reference_loop_at_every_step(engine):
    """The equations one Euler step after another, with B of its own."""
    net, w, v = same_network(cs)
    net = net.with_rule("tdca", credit=credit())
    b, eta = net.initial_weights(0)["IT->V1"], 30.0
    x, goal = np.random.default_rng(3).normal(size=7), np.array([0.5, -1.0, 0.2])
    shown = {"drive": {"retina": x[None]}, "nudge": {"IT": goal[None]}}
    protocol = cs.Protocol(
        cs.Phase("settle", 15.0, **shown), cs.Phase("learn", 30.0, plasticity=True, **shown), eta_per_s=eta
    )
    sim = cs.brian2.build(net, engine=engine, dt_ms=1.0)
    sim.run(protocol)
    a, top, c = np.zeros(5), np.zeros(3), np.zeros(5)
    for step in range(45):
        r, u_top = np.tanh(a), goal - top
        u, rate = c * (1 - r**2), eta / 1000 if step >= 15 else 0.0
        a, top, c = a + (w @ x - a) / 10, top + (v @ r - top) / 10, c + (b @ u_top - c) / 10
        w = w + rate * (np.outer(u, x) - UP * w)
        v, b = v + rate * (np.outer(u_top, r) - UP * v), b + rate * (GAIN * np.outer(r, u_top) - DOWN * b)
    for name, expected in (("retina->V1", w), ("V1->IT", v), ("IT->V1", b)):
        assert np.abs(expected - net.initial_weights(0)[name]).max() > 1e-3
        np.testing.assert_allclose(sim.weights_of(name), expected, atol=1e-12, err_msg=name)


def test_at_equilibrium_under_a_protocol_too():
    net = chain(init=Spread(0.8, 1.2)).with_rule("tdca", credit=credit(20, decorrelated=True))
    protocol, *_ = script(net, 3)
    in_time, settled = cs.brian2.build(net), QuasiStatic(net)
    for session in (in_time, settled):
        session.run(protocol)
    start = net.initial_weights(0)
    for name, w in start.items():
        theirs = settled.weights_of(name) - w
        assert relative_error(in_time.weights_of(name) - w, theirs) < 1e-5, name
