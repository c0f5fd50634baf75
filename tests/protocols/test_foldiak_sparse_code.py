"""With anti-Hebbian inhibition each unit stands for a bar of its own; with constant one they share."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk, shortened

import cortex_sim as cs

NAME = "foldiak_sparse_code"
RULES = ("Competitive", "AntiHebbian", "Threshold")


def reference(bars, trials):
    """Weights, inhibition and thresholds after so many trials: Euler steps of 1 ms, τ = 10 ms."""
    images = ((bars.present(0) @ bars.bars()) > 0)[:trials].astype(float)
    q = bars.network("anti-Hebbian", 0).initial_weights(0)["retina->V1"]
    inhibition, t = np.zeros((16, 16)), np.ones(16)
    for x in images:
        a = np.zeros(16)
        for step in range(bars.SETTLE_MS + bars.LEARN_MS):
            y = 1 / (1 + np.exp(-10 * a))
            a = a + 0.1 * (-a + q @ x - inhibition @ y - t)
            if step >= bars.SETTLE_MS:
                together = 0.1 * (np.outer(y, y) - bars.P**2) * (1 - np.eye(16))
                inhibition = np.maximum(inhibition + together / bars.LEARN_MS, 0)
                q = q + 0.02 * y[:, None] * (x - q) / bars.LEARN_MS
                t = t + 0.02 * (y - bars.P) / bars.LEARN_MS
    return {"retina->V1": q, "V1->V1": inhibition, "constant->V1": -t[:, None]}


def test_equals_the_equations():
    settings = {"trials": 4, "probe": None, "record": cs.Record(phase="settle", weights=True)}
    recording = cs.brian2.run(shortened(NAME, only=["anti-Hebbian"], **settings), progress=False)
    for projection, expected in reference(module(NAME), 4).items():
        found = cs.recording.weights_of(recording, projection)[1][-1]
        np.testing.assert_allclose(found, expected, atol=1e-10, err_msg=projection)


def test_both_engines_take_the_same_steps():
    recording = both_engines(NAME, trials=2, probe=None, only=["anti-Hebbian", "constant"])
    assert cs.recording.weights_of(recording, "retina->V1", "constant")[1].shape[1:] == (16, 64)


@pytest.mark.parametrize("name", RULES)
def test_rules_are_what_they_say(name):
    assert "growth" in cs.check_rule(getattr(module(NAME), name)()).passed


def test_gain_is_the_slope_of_the_rate():
    steep, a = module(NAME).SteepLogistic(), np.linspace(-1, 1, 2001)
    np.testing.assert_allclose(np.gradient(steep.rate(a), a)[1:-1], steep.gain(a)[1:-1], atol=1e-4)
    for text, values in ((steep.rate_text, steep.rate(a)), (steep.gain_text, steep.gain(a))):
        np.testing.assert_allclose(eval(text, {"a": a, "tanh": np.tanh}), values, atol=1e-12)


def test_likeness_of_closed_forms():
    bars = module(NAME)
    one = bars.likeness(3 * bars.bars())
    expected = np.eye(16)
    expected[:8, 8:] = expected[8:, :8] = 1 / 8  # a row and a column share one of eight pixels
    np.testing.assert_allclose(one, expected, atol=1e-12)
    mean_image = np.maximum(bars.bars(), 1 - (1 - bars.P) ** 2)  # of those with a bar
    np.testing.assert_allclose(np.diag(bars.likeness(mean_image)), 0.85, atol=1e-3)
    assert abs(bars.present(3).mean() - bars.P) < 0.01


def test_figure_and_numbers_of_a_short_run():
    bars = module(NAME)
    recording = cs.brian2.run(shortened(NAME, trials=2), progress=False)
    assert bars.figure(recording).axes and set(bars.statistics(recording)) == set(bars.INHIBITION)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_known_result(seed, tmp_path):
    found = runs_on_disk(NAME, tmp_path, seed)
    learned, constant, none = (found[arm] for arm in ("anti-Hebbian", "constant", "none"))
    assert learned["bars with a unit"] == 16 and learned["correlation with its bar"] > 0.9
    assert learned["correlation of units"] < 0.08 and abs(learned["mean rate"] - 1 / 8) < 0.02
    assert constant["bars with a unit"] < 15 and constant["correlation with its bar"] < 0.75
    assert none["bars with a unit"] <= 2 and none["correlation of units"] > 0.95
