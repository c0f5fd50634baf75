"""Controls: where they should be for planted likeness, and warned of where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from planted_scores import Overlap, responses

from cortex_sim.compare.controls import controls, permuted
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.shape_distance import ShapeDistance

SETTINGS = {"resamples": 200, "permutations": 12}


def like(rng, noise=0.5, stimuli=60, neuroids=4):
    x = rng.normal(size=(stimuli, neuroids))
    return responses(x, "model"), responses(x + noise * rng.normal(size=x.shape), "neural")


def test_nothing_speaks_against_a_planted_likeness():
    rng = np.random.default_rng(0)
    model, neural = like(rng)
    untrained = [responses(rng.normal(size=(60, 4)), "untrained") for _ in range(2)]
    found = controls(Overlap(), model, neural, untrained=untrained, **SETTINGS)
    assert found.warnings == ()
    assert found.model.score > 0.8 and abs(found.shifted.score) < 0.2 and abs(found.permuted.score) < 0.1
    assert found.untrained.score == pytest.approx(
        np.mean([Overlap().evaluate(one, neural).score() for one in untrained])
    )
    assert found.gain.low > 0.5
    assert found.sentence.endswith("No control speaks against the score.")


def test_a_drift_is_seen_by_the_shifted_control():
    """Slow noise shared by neighbours: the model predicts it, and predicts it as well one stimulus later."""
    rng = np.random.default_rng(1)
    drift = np.cumsum(rng.normal(size=(60, 4)), axis=0)
    found = controls(
        Overlap(), responses(drift), responses(drift + 0.1 * rng.normal(size=(60, 4))), **SETTINGS
    )
    assert found.shifted.score > 0.6
    assert any("neighbouring stimuli are alike" in one for one in found.warnings)


def test_unrelated_populations_are_not_above_chance():
    rng = np.random.default_rng(2)
    one, other = responses(rng.normal(size=(60, 4))), responses(rng.normal(size=(60, 4)))
    found = controls(Overlap(), one, other, **SETTINGS)
    assert any("it shows no likeness" in one for one in found.warnings)
    assert "no untrained network was given" in found.sentence


@pytest.mark.parametrize("noise, how", [(0.0, "above"), (0.58, "not clearly below")])
def test_an_untrained_network_as_good_as_the_model_is_said(noise, how):
    rng = np.random.default_rng(3)
    model, neural = like(rng)
    untrained = responses(neural.values + noise * rng.normal(size=(60, 4)), "untrained")
    found = controls(Overlap(), model, neural, untrained=untrained, **SETTINGS)
    assert any(f"is {how} the model" in one and "learning" in one for one in found.warnings)


def test_chance_away_from_zero_is_said_for_metrics_fitted_where_they_are_scored():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(30, 12))
    found = controls(ShapeDistance(), responses(x), responses(x + 0.2 * rng.normal(size=x.shape)), **SETTINGS)
    assert found.permuted.score > 0.3
    assert any("Chance is at" in one for one in found.warnings)
    assert abs(found.shifted.chance) < 4  # near chance, not near 0


def test_stimuli_sorted_by_category_are_seen_by_the_shifted_control():
    rng = np.random.default_rng(5)
    category = np.repeat(rng.normal(size=(4, 10)), 12, axis=0)
    model = responses(category + 0.3 * rng.normal(size=(48, 10)))
    neural = responses(category + 0.3 * rng.normal(size=(48, 10)))
    found = controls(Rsa(), model, neural, **SETTINGS)
    assert any("because they are sorted" in one for one in found.warnings)
    assert abs(found.permuted.score) < 0.05


def test_permuting_moves_repeats_along():
    x = np.arange(10.0)[:, None]
    found = permuted(responses(x, repeats=np.stack([x, x])), np.random.default_rng(6))
    np.testing.assert_array_equal(found.repeats[1], found.values)
    assert sorted(found.values[:, 0]) == list(range(10)) and (found.values != x).any()
    assert found.stimuli == responses(x).stimuli
