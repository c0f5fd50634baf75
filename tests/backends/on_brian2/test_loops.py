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
