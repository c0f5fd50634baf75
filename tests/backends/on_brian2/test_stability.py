"""A time step that is too long is refused, with the one that would do; and that one does."""

import re

import numpy as np
import pytest
from networks import Spread, chain, conv
from timed import NEAR, protocol, shown

import cortex_sim as cs
from cortex_sim.backends.brian2 import built
from cortex_sim.backends.brian2.stability import largest_step
from cortex_sim.backends.brian2.steps import whole_steps


def steep(method="euler", damping=0.5):
    return chain("linear", init=Spread(2.0, 3.0)).with_rule("gait_prop", damping=damping), method


@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_the_bound_is_where_the_loop_stops_settling(method, damping):
    """Just below it the credit shrinks towards its fixed point, just above it grows."""
    for factor, settles in ((0.97, True), (1.03, False)):
        tau, sigma2 = 10.0, 9.0
        dt = factor * largest_step(tau, sigma2, damping, method)
        x = dt / tau
        decay = np.exp(-damping * x) if method == "exponential_euler" and damping else 1 - damping * x
        loop = (1 - decay) / damping if method == "exponential_euler" and damping else x
        assert (abs(decay - loop * sigma2) < 1) == settles


@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
def test_an_unstable_loop_is_named_with_the_step_that_works(method):
    net, _ = steep()
    with pytest.raises(cs.BuildError, match=r"projection V2->V1: its loop is unstable at dt_ms=4") as refused:
        cs.brian2.build(net, dt_ms=4.0, method=method)
    longest = float(re.search(r"use dt_ms below ([\d.]+)", str(refused.value))[1])
    assert "largest squared singular value of V1->V2 is 9" in str(refused.value)
    with pytest.raises(cs.BuildError, match="unstable"):
        cs.brian2.build(net, dt_ms=1.01 * longest, method=method)
    step = float(f"{0.97 * longest:.3f}")
    sim = cs.brian2.build(net, dt_ms=step, method=method)
    x, y = shown(net, 1)
    seen = sim.run(protocol(net, x, y, ms=400 * step))
    assert np.isfinite(seen["credit"]).all() and np.abs(seen["credit"]).max() < 10


def test_a_step_too_long_for_a_population_or_compartment_is_refused():
    net = chain(init=NEAR).with_rule("backprop")
    with pytest.raises(
        cs.BuildError, match="population V1: a time step of 20 ms is too long for a time constant"
    ):
        cs.brian2.build(net, dt_ms=20.0)
    with pytest.raises(cs.BuildError, match="projection IT->V2: a time step of 5 ms is too long"):
        cs.brian2.build(net, dt_ms=5.0, apical_tau_ms={"IT->V2": 2.0})


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_weights_that_leave_the_stable_range_while_learning_are_named(engine):
    """When the window closes, not as NaN."""
    net = chain("linear", init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 1)
    sim = cs.brian2.build(net, engine=engine, dt_ms=8.0)
    script = protocol(net, 5 * x, y, ms=80.0, learn_ms=400.0, batch=1, whole_eta_per_s=4.0)
    with pytest.raises(
        cs.RunError,
        match=r"phase learn of trial 0: projection \S+: its (loop is unstable at dt_ms=8|weights are no)",
    ):
        sim.run(script)


def test_a_recurrence_that_runs_away_is_named():
    net = cs.Network("lateral")
    net.population("retina", 3)
    net.population("V1", 3)
    net.bottom_up("retina", "V1", cs.Dense())
    net.lateral("V1", plasticity=cs.Decorrelation())
    script = cs.Protocol(
        cs.Phase("learn", 100, drive={"retina": np.array([[5.0, -5.0, 5.0]])}, plasticity=True),
        eta_per_s=50.0,
    )
    with pytest.raises(cs.RunError, match=r"V1->V1: its (recurrence|weights are no longer finite)"):
        cs.brian2.build(net).run(script)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"engine": "fast"}, "unknown engine 'fast'; known: batched, synapses"),
        ({"method": "rk4"}, "unknown method 'rk4'"),
        ({"target": "cuda"}, "unknown target 'cuda'"),
        ({"dt_ms": 0}, "dt_ms must be a positive number. Got 0"),
        ({"noise": -1.0}, "noise must be 0 or more. Got -1.0"),
        ({"noise": {"retina": 1.0}}, "unknown population with a drive in noise of chain 'retina'"),
        ({"apical_tau_ms": {"V1->V2": 1.0}}, "unknown top-down projection of chain in apical_tau_ms"),
        ({"equations": {"V9": "x : 1"}}, "unknown population of chain in equations 'V9'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(cs.CortexSimError, match=re.escape(message)):
        cs.brian2.build(chain().with_rule("backprop"), **settings)


def test_what_has_no_rate_dynamics_is_refused_by_name():
    finite = chain(init=NEAR).with_rule(cs.GaitProp(form="finite"))
    with pytest.raises(
        cs.BuildError, match="computes targets layer by layer, for which there are no rate dynamics"
    ):
        cs.brian2.build(finite)
    auxiliary = chain(init=NEAR).with_rule("gait_prop", auxiliary=True, damping=0)
    with pytest.raises(cs.BuildError, match=r"projection \S+: auxiliary units have no rate dynamics"):
        cs.brian2.build(auxiliary)


def test_durations_must_be_whole_steps():
    net = chain().with_rule("backprop")
    x, y = shown(net, 1)
    with pytest.raises(cs.RunError, match="phase settle: duration_ms must be a multiple of dt_ms=2. Got 9"):
        cs.brian2.build(net, dt_ms=2.0).run(protocol(net, x, y, ms=9.0))
    with pytest.raises(cs.RunError, match="projection IT->V2: delay_ms must be a multiple of dt_ms=2. Got 3"):
        cs.brian2.build(net, dt_ms=2.0).run(protocol(net, x, y, ms=10.0, delay_ms={"IT->V2": 3.0}))


def test_convolutions_beyond_the_documented_size_are_named(monkeypatch):
    """Every patch of an inverted convolution has a state: places times C_in·k·k, times presentations."""
    net = conv(init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 3)
    states = 3 * (3 * 2) * (7 * 2 * 2)  # presentations, places of V2->V4 with kernel 2, inputs of a patch
    monkeypatch.setattr(built, "PATCH_LIMIT", states - 1)
    message = rf"projection V4->V2: {states} apical states of patches are too many .* backend \"torch\""
    with pytest.raises(cs.BuildError, match=message):
        cs.brian2.build(net, dt_ms=2.0).run(protocol(net, x, y, ms=4.0, batch=3))
    monkeypatch.setattr(built, "PATCH_LIMIT", states)
    assert (
        cs.brian2.build(net, dt_ms=2.0).run(protocol(net, x, y, ms=4.0, batch=3)).sizes["presentation"] == 3
    )


@pytest.mark.parametrize(
    "duration_ms, dt_ms",
    [(1e6 + 0.5, 1.0), (1e8 + 0.25, 1.0), (2.0001, 1.0), (1e-9, 1.0), (0.3, 0.2), (1e5 + 0.05, 0.1)],
)
def test_no_part_of_a_step_passes_however_long_the_phase(duration_ms, dt_ms):
    with pytest.raises(cs.RunError, match="phase long must be a multiple of dt_ms"):
        whole_steps("phase long", duration_ms, dt_ms)


@pytest.mark.parametrize("steps", [1, 3, 7, 10**5 + 1, 10**8 + 3])
@pytest.mark.parametrize("dt_ms", [0.1, 0.3, 1.0, 1 / 3, 0.7])
def test_whole_steps_are_whole_after_rounding(steps, dt_ms):
    assert whole_steps("phase", steps * dt_ms, dt_ms) == steps
    assert whole_steps("phase", float(f"{steps * dt_ms:.12g}"), float(f"{dt_ms:.12g}")) == steps


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_noise_is_held_for_whole_steps(engine):
    sim = cs.brian2.build(chain(init=NEAR).with_rule("gait_prop"), engine=engine, dt_ms=2.0)

    def held(hold_ms):
        given = cs.Noise(1.0, hold_ms=hold_ms)
        record = cs.Record(("rate",), populations=["retina"], every_ms=2.0)
        return cs.Protocol(cs.Phase("flicker", 24, drive={"retina": given}), record=record)

    for hold_ms in (1.0, 3.0, 5.0):
        with pytest.raises(cs.RunError, match="phase flicker: drive of retina: hold_ms must be a multiple"):
            sim.run(held(hold_ms))
    rates = sim.run(held(6.0)).rate.isel(neuroid=0).values.ravel()
    assert len(set(rates)) == 4 and (rates.reshape(4, 3) == rates[::3, None]).all()


def test_bins_shorter_than_a_step_are_refused():
    sim = cs.brian2.build(chain(init=NEAR).with_rule("gait_prop"), dt_ms=2.0)
    film = cs.TimeSeries(np.arange(20.0), bin_ms=1.0)
    with pytest.raises(cs.RunError, match="drive of retina: bin_ms must be a multiple of dt_ms=2"):
        sim.run(cs.Protocol(cs.Phase("film", 20, drive={"retina": film})))


def test_a_second_run_meets_the_same_noise_and_another_seed_other_noise():
    net = chain(init=NEAR).with_rule("gait_prop")
    sim = cs.brian2.build(net, dt_ms=2.0, noise=0.1)
    script = cs.Protocol(cs.Phase("rest", 40), trials=2)
    first, second = sim.run(script).rate.values, sim.run(script).rate.values
    np.testing.assert_array_equal(first, second)
    assert (first[0] != first[1]).any()
    other = cs.brian2.build(net, seed=1, state=sim, dt_ms=2.0, noise=0.1)
    assert (other.run(script).rate.values != first).any()
    for name, w in sim.weights.matrix.items():
        np.testing.assert_array_equal(other.weights.matrix[name], w)
