"""Every step: both engines against Euler steps written from the equations, and against each other."""

import numpy as np
import pytest
from networks import ALL, chain, fan_out
from rate_dynamics import Reference
from timed import NEAR, by_population, protocol, shown

import cortex_sim as cs

ENGINES = ["batched", "synapses"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("word", ["gait_prop", "backprop", "feedback_alignment"])
def test_each_step_is_the_equations(engine, word):
    net = fan_out(init=NEAR).with_rule(word)
    x, y = shown(net, 1)
    sim = cs.brian2.build(net, engine=engine, dt_ms=2.0)
    weights = {p.name: sim.weights.outward(p.name) for p in net.bottom_ups}
    free = {n: sim.weights.outward(n) for n in sim.weights.matrix if n not in weights}
    by_hand = Reference(net, weights, free, 1e-3 if word == "gait_prop" else None, 2.0)
    seen = sim.run(protocol(net, x, y, ms=40.0, learn_ms=60.0, every_ms=2.0, whole_eta_per_s=3.0))
    rates, credits = by_population(net, seen, "rate"), by_population(net, seen, "credit")
    for step in range(50):
        by_hand.step(x[0], y[0], eta=3.0 if step >= 20 else 0.0)
        for name in by_hand.a:
            r = by_hand.rate(name, x[0])
            np.testing.assert_allclose(rates[name][0, step], r, atol=1e-12)
            np.testing.assert_allclose(credits[name][0, step], by_hand.credit(name, r, y[0]), atol=1e-12)
    for name, w in by_hand.w.items():
        assert np.abs(w - cs.brian2.build(net).weights.outward(name)).max() > 1e-4
        np.testing.assert_allclose(sim.weights.outward(name), w, atol=1e-12)


WORDS = [
    "backprop", "gait_prop", "feedback_alignment", "direct_feedback_alignment", "sign_symmetric",
    "kolen_pollack", "hebbian", "oja", "bcm", "covariance", "synaptic_scaling", "three_factor",
]  # fmt: skip


@pytest.mark.parametrize("word", [*WORDS, "gait_prop_learned", "weight_mirror"])
def test_engines_agree_step_by_step(word):
    net = fan_out(init=NEAR).with_rule(word)
    x, y = shown(net, 2)
    spontaneous = word in ("gait_prop_learned", "weight_mirror")
    further = {"spontaneous": ("V1", "dorsal", "ventral")} if spontaneous else {}
    found = []
    for engine in ENGINES:
        sim = cs.brian2.build(net, engine=engine, dt_ms=2.0)
        asked = None if net.top_downs == [] else y
        script = protocol(
            net, x, asked, ms=20.0, learn_ms=30.0, every_ms=2.0, batch=1, whole_eta_per_s=0.5, **further
        )
        # Of what passes, drives and compartments: the rest is an engine's own intermediate result.
        passing = [f"moving:{name}" for name in sim.built.moving_variables()]
        found.append((sim.run(script), passing, sim))
    (first, passing, one), (second, _, two) = found
    state, other = one.checkpoint(), two.checkpoint()
    state = {n: v for n, v in state.items() if n in passing or not n.startswith("moving:")}
    for variable in ("rate", "credit", "drive"):
        np.testing.assert_allclose(first[variable], second[variable], atol=1e-12)
    start = cs.brian2.build(net).checkpoint()
    assert any(np.abs(state[n] - w).max() > 1e-6 for n, w in start.items() if n.startswith("weight:"))
    for name, values in state.items():
        np.testing.assert_allclose(values, other[name], atol=1e-12, err_msg=name)


def test_engines_agree_on_lateral_recurrence():
    net = cs.Network("lateral")
    net.population("retina", 7)
    net.population("V1", 5, tau_ms=7.0)
    net.bottom_up("retina", "V1", cs.Dense(init="xavier"), plasticity="oja")
    net.lateral("V1", plasticity=cs.Decorrelation())
    x = np.random.default_rng(0).normal(size=(3, 7))
    found = []
    for engine in ENGINES:
        sim = cs.brian2.build(net, engine=engine)
        seen = sim.run(protocol(net, x, ms=10.0, learn_ms=40.0, every_ms=1.0, batch=1, whole_eta_per_s=2.0))
        found.append((seen["rate"].values, sim.weights.outward("V1->V1"), sim.weights.outward("retina->V1")))
    for first, second in zip(*found, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)
    lateral = found[0][1]
    assert np.abs(lateral).max() > 1e-3 and not np.diag(lateral).any()


def test_the_synapses_engine_says_what_it_cannot_share():
    conv = ALL["conv"](init=NEAR).with_rule("backprop")
    with pytest.raises(cs.BuildError, match='retina->V1: .* a convolution shares them; use engine="batched"'):
        cs.brian2.build(conv, engine="synapses")
    net = chain(init=NEAR).with_rule("backprop")
    x, y = shown(net, 2)
    with pytest.raises(cs.BuildError, match="shows one presentation at a time. Got batch=2"):
        cs.brian2.build(net, engine="synapses").run(protocol(net, x, y, ms=4.0, batch=2))
