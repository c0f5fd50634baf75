"""A plan in one run does what the same plan does step by step; here without a compiler.

The tables, resets and monitors of a program are brian2 objects like any other, so they are carried
out with numpy; that C++ does the same with them is asked in test_standalone.
"""

from dataclasses import replace

import numpy as np
import pytest
from networks import chain, fan_out
from timed import NEAR, protocol, shown

import cortex_sim as cs
from cortex_sim.backends.brian2.built import STANDALONE, BuiltCircuit, brian2_as_found
from cortex_sim.backends.brian2.program import Program
from cortex_sim.backends.brian2.timetable import timetable
from cortex_sim.errors import RunError
from cortex_sim.protocol.planning import plan


def step_by_step(net, made, **settings):
    sim = cs.brian2.build(net, engine="synapses", **settings)
    found = []
    sim.carry_out(made, 0, found.append)
    return found, sim.weights.as_state()


def at_once(net, made, **settings):
    sim = cs.brian2.build(net, engine="synapses", **settings)
    setup = replace(sim.setup, target=STANDALONE)
    with brian2_as_found("numpy"):
        built = BuiltCircuit(sim.circuit, sim.weights, setup, 1, frozenset())
        program = Program(built, sim.weights, timetable(made, setup.dt_ms))
        program.write()
        program.read()
    return list(program.samples(made)), sim.weights.as_state()


def assert_same(net, script, tolerance=1e-12, **settings):
    """Compare samples and what was learned; return the samples, by variable and population."""
    made = plan(script, net, 0)
    (ours, learned), (theirs, expected) = at_once(net, made, **settings), step_by_step(net, made, **settings)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shown is other.shown and one.time_ms == pytest.approx(other.time_ms)
        assert set(one.values) == set(other.values)
        for variable, by_population in other.values.items():
            for name, values in by_population.items():
                found = one.values[variable][name]
                assert found.shape == values.shape
                np.testing.assert_allclose(found, values, atol=tolerance, err_msg=f"{variable} of {name}")
    assert set(learned) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(learned[name], values, atol=tolerance, err_msg=name)
    start = cs.brian2.build(net).weights.as_state()
    moved = {name for name, values in expected.items() if np.abs(values - start[name]).max() > 1e-6}
    return ours, moved


WORDS = [
    "backprop", "gait_prop", "feedback_alignment", "direct_feedback_alignment", "kolen_pollack",
    "hebbian", "oja", "bcm", "covariance", "synaptic_scaling", "three_factor",
]  # fmt: skip


ALWAYS = ("gait_prop", "kolen_pollack", "covariance", "three_factor")  # an inverse, plastic B, state


@pytest.mark.parametrize(
    "word", [pytest.param(w, marks=[pytest.mark.slow] * (w not in ALWAYS)) for w in WORDS]
)
def test_every_rule_learns_the_same(word):
    net = fan_out(init=NEAR).with_rule(word)
    x, y = shown(net, 3)
    asked = y if net.top_downs else None
    _, moved = assert_same(
        net, protocol(net, x, asked, ms=20.0, learn_ms=30.0, batch=1, whole_eta_per_s=2.0), dt_ms=2.0
    )
    assert any(name.startswith("weight:") for name in moved)


def test_manipulations_of_single_phases_begin_and_end_with_them():
    net = chain(init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 2)
    drive, nudge = {"retina": x}, {"IT": y}
    script = cs.Protocol(
        cs.Phase("whole", 60, drive=drive, nudge=nudge),
        cs.Phase("cut", 30, drive=drive, nudge=nudge, cut=["IT->V2"], plasticity=["V1->V2"]),
        cs.Phase("mended", 24, drive={**drive, "V1": 0.3}, nudge=nudge, silence=["V1/3", "V2/0"]),
        cs.Phase("deaf", 12, drive=drive, nudge=nudge, silence_error=["IT->V2"], strength=0.5),
        cs.Phase("dim", 18, scale={"retina->V1": 0.2, "V2->V1": 3.0}, plasticity=True),
        record=cs.Record(("rate", "credit", "drive"), every_ms=6.0),
        eta_per_s=2.0,
    )
    ours, moved = assert_same(net, script, dt_ms=2.0)
    credit = ours[1].values["credit"]["V2"][0]
    assert credit[9].any() and not credit[10:15].any() and credit[15].any()
    assert "weight:V1->V2" in moved


def test_a_time_series_changes_within_its_phase():
    net = chain(init=NEAR).with_rule("oja")
    film = np.random.default_rng(0).normal(size=(5, 13))
    phase = cs.Phase("film", 40, drive={"retina": cs.TimeSeries(film, bin_ms=6.0)}, plasticity=True)
    script = cs.Protocol(phase, trials=2, record=cs.Record(("rate", "drive"), every_ms=4.0), eta_per_s=1.0)
    ours, moved = assert_same(net, script, dt_ms=2.0)
    np.testing.assert_array_equal(ours[1].values["rate"]["retina"][0], film[[0, 1, 1, 2, 3, 3, 4, 4, 4, 4]])
    assert moved


def test_trials_go_on_from_one_another_if_asked():
    net = chain(init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 3)
    further = {"ms": 20.0, "batch": 1, "whole_reset": False, "dt_ms": 2.0}
    dt_ms = further.pop("dt_ms")
    on, _ = assert_same(net, protocol(net, x, y, **further), dt_ms=dt_ms)
    anew, _ = assert_same(net, protocol(net, x, y, **{**further, "whole_reset": True}), dt_ms=dt_ms)
    assert np.abs(on[2].values["rate"]["V1"] - anew[2].values["rate"]["V1"]).max() > 1e-2


def test_a_modulator_changes_from_phase_to_phase():
    net = chain(init=NEAR).with_rule("three_factor")
    x, _ = shown(net, 2)
    drive = {"retina": x}
    script = cs.Protocol(
        cs.Phase("pairing", 40, drive=drive, plasticity=True, modulator=0.0),
        cs.Phase("reward", 20, drive=drive, plasticity=True, modulator=-2.0),
        record=cs.Record(("rate",)),
        batch=1,
        eta_per_s=2.0,
    )
    _, moved = assert_same(net, script, dt_ms=2.0)
    assert any(name.startswith("weight:") for name in moved)


def test_an_odd_time_step_keeps_to_its_boundaries():
    """3 × 0.1 is not 0.3 in binary; boundaries are counted in steps."""
    net = chain(init=NEAR).with_rule("hebbian")
    x, _ = shown(net, 7)
    script = protocol(net, x, ms=2.1, learn_ms=0.9, every_ms=0.3, batch=1, whole_eta_per_s=5.0)
    _, moved = assert_same(net, script, dt_ms=0.1)
    assert moved


def test_rates_that_explode_are_named():
    net = chain(activation="linear", init=NEAR).with_rule("hebbian")
    x, _ = shown(net, 2)
    made = plan(protocol(net, 1e3 * x, ms=10.0, learn_ms=400.0, batch=1, whole_eta_per_s=1e4), net, 0)
    with pytest.raises(RunError, match="no longer finite"):
        at_once(net, made)
