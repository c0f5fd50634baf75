"""Noise on a resting drive: its mean, its standard deviation and how long it remembers, at any step."""

import numpy as np
import pytest

import cortex_sim as cs

UNITS, TAU_MS = 400, 10.0


def kept(dt_ms, method):
    """What one step leaves of a drive."""
    return 1 - dt_ms / TAU_MS if method == "euler" else np.exp(-dt_ms / TAU_MS)


@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
@pytest.mark.parametrize("dt_ms", [0.5, 2.0, 5.0, 15.0])
def test_a_resting_drive_has_the_standard_deviation_asked_for(method, dt_ms):
    net = cs.Network("rest")
    net.population("retina", 1)
    net.population("V1", UNITS, tau_ms=TAU_MS)
    net.bottom_up("retina", "V1")
    sim = cs.brian2.build(net, dt_ms=dt_ms, noise={"V1": 0.4}, method=method)
    steps = 600
    phase = cs.Phase("rest", steps * dt_ms, drive={"retina": np.zeros(1)})
    record = cs.Record(["drive"], populations=["V1"], every_ms=dt_ms)
    a = sim.run(cs.Protocol(phase, record=record))["drive"].values
    a = a.reshape(UNITS, steps).T
    rho = kept(dt_ms, method)
    a = a[min(steps // 2, int(np.ceil(20 * TAU_MS / dt_ms)) if rho > 0 else 100) :]
    count = a.size * (1 - abs(rho)) / (1 + abs(rho))  # independent values, at least
    assert abs(a.mean()) < 5 * 0.4 / np.sqrt(a.size * (1 - rho) / (1 + rho))
    assert a.std() == pytest.approx(0.4, rel=5 / np.sqrt(2 * count))
    remembered = np.mean(a[1:] * a[:-1]) / np.mean(a**2)
    assert remembered == pytest.approx(rho, abs=5 / np.sqrt(count))
