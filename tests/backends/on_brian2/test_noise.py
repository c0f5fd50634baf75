"""Noise on a resting drive: its mean, its standard deviation and how long it remembers, at any step."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.backends.brian2.noise import fluctuate

UNITS, TAU_MS, SD = 400, 10.0, 0.4


def resting(**settings):
    net = cs.Network("rest")
    net.population("retina", 1)
    net.population("V1", UNITS, tau_ms=TAU_MS)
    net.bottom_up("retina", "V1")
    return cs.brian2.build(net, noise={"V1": SD}, **settings)


def drives(sim, steps, **settings):
    """(step, unit), from rest."""
    dt_ms = sim.setup.dt_ms
    phase = cs.Phase("rest", steps * dt_ms, drive={"retina": np.zeros(1)})
    record = cs.Record(["drive"], populations=["V1"], every_ms=dt_ms)
    a = sim.run(cs.Protocol(phase, record=record, **settings))["drive"]
    return a.transpose("presentation", "time_bin", "neuroid").values.reshape(-1, UNITS)


@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
@pytest.mark.parametrize("dt_ms", [0.5, 2.0, 5.0, 15.0])
def test_a_resting_drive_is_the_process_asked_for(method, dt_ms):
    steps = 600
    a = drives(resting(dt_ms=dt_ms, method=method), steps)
    a = a[min(steps // 2, int(np.ceil(20 * TAU_MS / dt_ms))) :]
    rho = np.exp(-dt_ms / TAU_MS)
    count = a.size * (1 - rho) / (1 + rho)  # independent values, at least
    assert abs(a.mean()) < 5 * SD / np.sqrt(count)
    assert a.std() == pytest.approx(SD, rel=5 / np.sqrt(2 * count))
    for lag in (1, 2, 5):
        remembered = np.mean(a[lag:] * a[:-lag]) / np.mean(a**2)
        assert remembered == pytest.approx(rho**lag, abs=5 / np.sqrt(count))


@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
def test_the_input_makes_the_drive_follow_the_fluctuation_to_the_last_digits(method):
    """Whatever is drawn: the drive is the process itself, not something near it."""
    drawn, step = np.random.default_rng(0).normal(size=(50, 3)), 1.3
    kept = 1 - step if method == "euler" else np.exp(-step)
    a, xi, by_hand = np.zeros(3), np.zeros(3), np.zeros(3)
    for n in drawn:
        a = kept * a + (1 - kept) * fluctuate(xi, n, SD, step, method)
        by_hand = np.exp(-step) * by_hand + SD * np.sqrt(1 - np.exp(-2 * step)) * n
    np.testing.assert_allclose(xi, by_hand, atol=1e-14)
    np.testing.assert_allclose(a, by_hand, atol=1e-12)


def test_both_methods_and_engines_take_the_same_path():
    found = [
        drives(resting(dt_ms=5.0, method=method, engine=engine), 40)
        for method in ("euler", "exponential_euler")
        for engine in ("batched", "synapses")
    ]
    assert found[0].std() > 0.3
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=1e-12)


def test_a_trial_from_rest_starts_without_fluctuation_and_one_that_goes_on_keeps_it():
    for reset in (True, False):
        a = drives(resting(dt_ms=0.5), 400, trials=2, reset=reset)
        first, second = np.split(a, 2)
        assert first[0].std() < 0.2
        assert (second[0].std() < 0.2) == reset
        if not reset:
            assert np.corrcoef(first[-1], second[0])[0, 1] > 0.8
