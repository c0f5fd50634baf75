"""The sign of plasticity against frequency, and how history moves it."""

import math

import numpy as np
import pytest
from short_runs import both_engines, found, module, runs_on_disk

import cortex_sim as cs

NAME = "pairing_frequency"


def shorter(protocol, history_ms=200):
    history, *others = protocol.phases
    return cs.Phase(history.name, history_ms, drive=history.drive, plasticity=history.plasticity), *others


@pytest.mark.parametrize("arm", ["BCM, quiet, both moved", "Hebb, active, pre held"])
def test_both_engines_take_the_same_steps(arm):
    phases = shorter(found(NAME).arms[arm].protocol)
    _, condition = arm.split(", ", 1)  # with these phases the arms of a rule are all alike
    arms = [f"{rule}, {condition}" for rule in ("BCM", "covariance", "Hebb")]
    recording = both_engines(NAME, only=arms, phases=phases)
    assert len(module(NAME).change_per_pulse(recording, arm)) == len(module(NAME).FREQUENCIES)


def euler(rule, pre_hz, history_hz):
    """Change per pulse from the equations, rates at their settled values, in steps of 1 ms."""
    x, y = 0.1 * pre_hz, 0.1 * np.arange(1, 26)
    theta = square = 0.0  # mean post (and pre) rate; mean square
    for _ in range(12_000):
        theta += (0.1 * history_hz - theta) / 2000
        square += ((0.1 * history_hz) ** 2 - square) / 2000
    mean_x, mean_y, square = np.full(25, theta), np.full(25, theta), np.full(25, square)
    change = np.zeros(25)
    for _ in range(50):
        change += {"BCM": y * (y - square) * x, "covariance": (y - mean_y) * (x - mean_x), "Hebb": y * x}[
            rule
        ]
        mean_x, mean_y = mean_x + (x - mean_x) / 2000, mean_y + (y - mean_y) / 2000
        square = square + (y**2 - square) / 2000
    return change / 50 / x


@pytest.mark.slow
def test_every_curve_is_that_of_the_equations():
    made = module(NAME)
    recording = cs.brian2.run(found(NAME))
    for arm in made.experiment().arms:
        rule, history, stimulus = arm.split(", ")
        expected = euler(rule, made.STIMULI[stimulus], made.HISTORIES[history])
        # left over: rates approach their end within e⁻¹⁰, and weights move by a millionth
        np.testing.assert_allclose(made.change_per_pulse(recording, arm), expected, rtol=2e-4, atol=2e-5)
    assert made.figure(recording).axes


def test_crossing_of_closed_forms():
    hz = module(NAME).FREQUENCIES.astype(float)
    assert module(NAME).crossing_hz(hz - 7.25) == pytest.approx(7.25)
    assert math.isnan(module(NAME).crossing_hz(hz)) and math.isnan(module(NAME).crossing_hz(7.25 - hz))


@pytest.mark.slow
def test_known_result(tmp_path):
    rows = runs_on_disk(NAME, tmp_path)
    for arm, row in rows.items():
        if math.isnan(row["predicted (Hz)"]):
            assert math.isnan(row["crossing (Hz)"]) and row["lowest"] >= 0, arm
        else:
            assert row["crossing (Hz)"] == pytest.approx(row["predicted (Hz)"], abs=0.15), arm
            assert row["lowest"] < -0.05 and row["highest"] > 0.5, arm
    quiet, active = (rows[f"BCM, {history}, both moved"]["crossing (Hz)"] for history in ("quiet", "active"))
    assert active - quiet > 4
    assert rows["Hebb, quiet, pre held"]["highest"] == pytest.approx(
        rows["Hebb, active, pre held"]["highest"]
    )
