"""Loops in time: every step on both engines against Euler steps written from the equations."""

import numpy as np
import pytest
from loops import ByHand, two_areas
from timed import by_population, protocol

import cortex_sim as cs

ENGINES = ["batched", "synapses"]


def oja(w, pre, post):
    return post * pre - post**2 * w


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("gain", [False, True])
def test_each_step_is_the_equations(engine, gain):
    net = two_areas("oja", gain=gain)
    x = np.random.default_rng(1).normal(size=(1, 7))
    sim = cs.brian2.build(net, engine=engine, dt_ms=0.5)
    before = {name: sim.weights.outward(name) for name in sim.weights.matrix}
    by_hand = ByHand(net, before, {"A": "tanh", "B": "softplus"}, 0.5, oja)
    seen = sim.run(
        protocol(
            net, x, ms=10.0, learn_ms=20.0, every_ms=0.5, whole_eta_per_s=3.0, variables=("rate", "drive")
        )
    )
    rates, drives = by_population(net, seen, "rate"), by_population(net, seen, "drive")
    for step in range(60):
        by_hand.step({"retina": x[0]}, eta=3.0 if step >= 20 else 0.0)
        r = by_hand.rates({"retina": x[0]})
        for name in by_hand.a:
            np.testing.assert_allclose(rates[name][0, step], r[name], atol=1e-12)
            np.testing.assert_allclose(drives[name][0, step], by_hand.a[name], atol=1e-12)
    for name, w in by_hand.w.items():
        assert np.abs(w - before[name]).max() > 1e-5, name
        np.testing.assert_allclose(sim.weights.outward(name), w, atol=1e-12, err_msg=name)


@pytest.mark.slow
def test_a_compiled_program_takes_the_same_steps():
    net = two_areas("oja", gain=True)
    x = np.random.default_rng(1).normal(size=(2, 7))
    script = protocol(net, x, ms=10.0, learn_ms=20.0, every_ms=1.0, batch=1, whole_eta_per_s=3.0)
    found = []
    for target in ("numpy", "cpp_standalone"):
        sim = cs.brian2.build(net, engine="synapses", target=target)
        found.append((sim.run(script).rate.values, {n: sim.weights.outward(n) for n in sim.weights.matrix}))
    (first, weights), (second, others) = found
    np.testing.assert_allclose(first, second, atol=1e-12)
    for name, w in weights.items():
        np.testing.assert_allclose(w, others[name], atol=1e-12, err_msg=name)


def test_a_copy_from_a_checkpoint_goes_on_in_the_same_way():
    """Weights, rule state, drives and gains are in it."""
    net = two_areas("oja", gain=True)
    x = np.random.default_rng(1).normal(size=(1, 7))
    show = cs.Phase("show", 7, drive={"retina": x}, plasticity=True)
    script = cs.Protocol(show, trials=2, reset=False, record=cs.Record(("rate", "drive")), eta_per_s=2.0)
    first, second = cs.brian2.build(net), cs.brian2.build(net)
    first.run(script)
    kept = first.checkpoint()
    assert any(name.endswith("A:g") and np.abs(values).max() > 0.01 for name, values in kept.items())
    second.restore(kept)
    np.testing.assert_array_equal(first.run(script).rate.values, second.run(script).rate.values)
