"""Rules that learn from an echo read what arrives in the same step, also through a gate."""

import numpy as np
import pytest
from networks import fan_out
from timed import NEAR, protocol, shown

import cortex_sim as cs

ENGINES = ("batched", "synapses")
WORDS = ("gait_prop_learned", "weight_mirror")
SLEEPING = ("V1", "dorsal", "ventral")


def network(word):
    net = fan_out(init=NEAR).with_rule(word)
    return net, [p.name for p in net.bottom_ups], [p.name for p in net.top_downs]


def slept(word, engine, **gates):
    net, _, _ = network(word)
    x, y = shown(net, 2)
    sim = cs.brian2.build(net, engine=engine, dt_ms=2.0)
    awake = cs.Phase("awake", 12, drive={"retina": x}, nudge={"IT": y}, plasticity=True, **gates)
    first, again = (
        cs.Phase(name, 30, drive={"retina": x}, spontaneous=SLEEPING, plasticity=True, **gates)
        for name in ("asleep", "again")
    )
    record = cs.Record(("rate", "credit", "drive"), every_ms=2.0, weights=True)
    seen = sim.run(cs.Protocol(first, awake, again, batch=1, eta_per_s=2.0, record=record))
    return seen, sim.weights.as_state()


def assert_same(one, other, tolerance):
    (first, learned), (second, also) = one, other
    for variable in ("rate", "credit", "drive"):
        np.testing.assert_allclose(first[variable], second[variable], atol=tolerance)
    for name, values in learned.items():
        np.testing.assert_allclose(values, also[name], atol=tolerance, err_msg=name)


def every(names, value):
    return dict.fromkeys(names, value)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("gate", ["delay_ms", "noise"])
def test_engines_agree_on_an_echo_that_is_delayed_or_noisy(word, gate):
    _, ups, downs = network(word)
    gates = {gate: every([*ups, *downs], 4.0 if gate == "delay_ms" else 0.1)}
    assert_same(slept(word, "batched", **gates), slept(word, "synapses", **gates), 1e-11)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("word", [*WORDS, "gait_prop"])
def test_a_gate_that_changes_nothing_changes_nothing(word, engine):
    """The inverse's gain, too, follows weights that move as where there is no gate."""
    _, ups, downs = network("gait_prop_learned")
    if word != "gait_prop":
        gates = {"scale": every([*ups, *downs], 1.0), "noise": every([*ups, *downs], 1e-12)}
        assert_same(slept(word, engine), slept(word, engine, **gates), 1e-9)
        return
    net = fan_out(init=NEAR).with_rule("gait_prop", rescale=True)
    x, y = shown(net, 2)
    found = []
    for size in (0.0, 1e-12):
        sim = cs.brian2.build(net, engine=engine, dt_ms=2.0)
        noise = {"noise": every([*ups, *downs], size)}
        script = protocol(
            net, x, y, ms=60.0, learn_ms=60.0, every_ms=2.0, batch=1, whole_eta_per_s=3.0, **noise
        )
        found.append((sim.run(script), sim.weights.as_state()))
    assert_same(*found, 1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_echo_is_that_of_the_delayed_activity(engine):
    """Weight mirrors learn Δb = η dt (r_below ⊗ echo − b), the echo as old as the delay."""
    net = cs.Network("mirror")
    net.population("retina", 3)
    net.population("V1", 4)
    net.population("IT", 2)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "squared_error")
    net = net.with_rule("weight_mirror")
    sim = cs.brian2.build(net, engine=engine)
    w, b = sim.weights.outward("V1->IT"), sim.weights.outward("IT->V1")
    asleep = cs.Phase("asleep", 9, spontaneous=["V1"], plasticity=True, delay_ms={"V1->IT": 3.0})
    record = cs.Record(("rate",), populations=["V1"], every_ms=1.0)
    rates = sim.run(cs.Protocol(asleep, eta_per_s=5.0, record=record)).rate.values
    rates = rates.reshape(4, 9).T
    for step in range(9):
        echo = w @ rates[step - 3] if step >= 3 else np.zeros(2)
        b = b + 5e-3 * (np.outer(rates[step], echo) - b)
    np.testing.assert_allclose(sim.weights.outward("IT->V1"), b, atol=1e-12)
