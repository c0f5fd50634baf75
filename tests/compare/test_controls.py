"""Controls: where they should be for planted likeness, and warned of where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from planted_scores import Overlap, responses

from cortex_sim.compare.chance import Chance, moved, shares
from cortex_sim.compare.control_warnings import control_warnings
from cortex_sim.compare.controls import controls
from cortex_sim.compare.folds import GroupedFolds
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.shape_distance import ShapeDistance
from cortex_sim.compare.shifted import shifted
from cortex_sim.errors import DataError

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
    assert found.sentence.endswith("no control speaks against the score")


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
    assert any("no sign of similarity" in one for one in found.warnings)
    assert "no untrained network was given" in found.sentence


@pytest.mark.parametrize(
    "noise, how", [(0.0, "no less than the model's"), (0.58, "not clearly below the model's")]
)
def test_an_untrained_network_as_good_as_the_model_is_said(noise, how):
    rng = np.random.default_rng(3)
    model, neural = like(rng)
    untrained = responses(neural.values + noise * rng.normal(size=(60, 4)), "untrained")
    found = controls(Overlap(), model, neural, untrained=untrained, **SETTINGS)
    assert any("untrained network scores" in one and how in one for one in found.warnings)


def test_chance_away_from_zero_is_said_for_metrics_fitted_where_they_are_scored():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(30, 12))
    found = controls(ShapeDistance(), responses(x), responses(x + 0.2 * rng.normal(size=x.shape)), **SETTINGS)
    assert found.permuted.score > 0.3
    assert any("chance is not at 0" in one for one in found.warnings)
    assert abs(found.shifted.chance) < 4  # near chance, not near 0


def test_stimuli_sorted_by_category_are_seen_by_the_shifted_control():
    rng = np.random.default_rng(5)
    category = np.repeat(rng.normal(size=(4, 10)), 12, axis=0)
    model = responses(category + 0.3 * rng.normal(size=(48, 10)))
    neural = responses(category + 0.3 * rng.normal(size=(48, 10)))
    found = controls(Rsa(), model, neural, **SETTINGS)
    assert any("because they are sorted" in one for one in found.warnings)
    assert abs(found.permuted.score) < 0.05


def permutation_of(found, whole):
    """Stimuli of the model by place, in an evaluation whose data stay; each occurs once."""
    order = [int(np.flatnonzero((whole.model == row).all(1))[0]) for row in found.model]
    np.testing.assert_array_equal(found.neural, whole.neural)
    assert sorted(order) == list(range(len(order)))
    return order


def test_orders_are_the_shift_and_permutations_of_every_network():
    model, neural = like(np.random.default_rng(6), stimuli=23)
    whole = Overlap().evaluate(model, neural)
    each = [moved(Overlap(), model, neural, whole, permutations=3, seed=5, network=n) for n in (0, 1)]
    assert permutation_of(each[0].shifted, whole) == [22, *range(22)]
    orders = [permutation_of(one, whole) for network in each for one in network.permuted]
    assert len({tuple(order) for order in [*orders, range(23)]}) == 7
    folds = np.random.default_rng(5).permutation(23)
    assert all(order != folds.tolist() for order in orders)


@pytest.mark.parametrize("metric", [Overlap(), Rsa(), ShapeDistance()], ids=lambda m: m.name)
def test_the_shift_is_that_of_the_model_by_as_many_stimuli(metric):
    model, neural = like(np.random.default_rng(7), stimuli=31)
    found = moved(metric, model, neural, metric.evaluate(model, neural), permutations=1, shift=4)
    alone = metric.evaluate(shifted(model, 4), neural).raw()
    assert found.shifted.raw() == pytest.approx(alone, abs=1e-9)
    with pytest.raises(DataError, match="multiple of the number of stimuli, 31. Got 62"):
        moved(metric, model, neural, metric.evaluate(model, neural), shift=62)


def test_a_regression_scores_the_same_neuroids_with_the_same_folds_as_single_fits():
    """Grouped folds stay at the model's stimuli, and neuroids that the score leaves out stay out."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(40, 5))
    each = (x @ rng.normal(size=(5, 4)))[None] + rng.normal(size=(6, 40, 4))
    each[:, :, 2] = rng.normal(size=(6, 40))  # noise alone: no reliability
    model = responses(x, "model")
    neural = responses(each.mean(0), "V4", repeats=each, groups=np.arange(40) // 4)
    metric = Predictivity(folds=GroupedFolds(5), splits=50)
    own = metric.evaluate(model, neural)
    assert own.excluded["unreliable"] == 1
    found = moved(metric, model, neural, own, permutations=2)
    turned = responses(np.roll(each.mean(0), -1, 0)[:, own.neuroids], groups=neural.groups)
    assert found.shifted.units == 3
    assert found.shifted.raw() == pytest.approx(metric.evaluate(model, turned).raw(), abs=1e-9)


def test_scores_are_averaged_over_all_seeds_at_the_cost_of_as_many_permutations():
    rng = np.random.default_rng(9)
    neural = responses(rng.normal(size=(50, 4)), "neural")
    drift = np.roll(neural.values, -1, 0)  # the response to the next stimulus: found again when shifted
    seeds = [responses(drift + 1e-3, "drift"), responses(rng.normal(size=(50, 4)), "other")]
    found = controls(Overlap(), seeds, neural, permutations=11, resamples=100)
    one = [Overlap().evaluate(shifted(model), neural).raw() for model in seeds]
    assert one[0] == pytest.approx(1) and abs(one[1]) < 0.3
    assert found.shifted.score == found.chance.shifted == pytest.approx(np.mean(one))
    assert found.chance.permutations == 11
    assert found.model.score == pytest.approx(
        np.mean([Overlap().evaluate(model, neural).score() for model in seeds])
    )
    assert shares(11, 2) == [6, 5] and shares(20, 3) == [7, 7, 6] and shares(2, 3) == [1, 1, 1]
    with pytest.raises(DataError, match="an evaluation for each model. Got 1 for 2"):
        controls(Overlap(), seeds, neural, evaluation=Overlap().evaluate(seeds[0], neural))


def test_chance_is_the_mean_and_spread_of_permutations():
    found = Chance.of([(0.2, (0.0, 0.1)), (0.4, (0.2, 0.3))])
    assert found.shifted == pytest.approx(0.3) and found.permuted == pytest.approx(0.15)
    assert found.spread == pytest.approx(np.std([0, 0.1, 0.2, 0.3], ddof=1)) and found.permutations == 4
    assert found.distance(0.15 + 2 * found.spread * np.sqrt(5 / 4)) == pytest.approx(2)
    flat = Chance.of([(1.0, (1.0, 1.0))])
    assert flat.distance(1.0) == 0 and flat.distance(0.5) == -np.inf


def test_warnings_need_no_interval():
    calm = Chance(0.0, 0.0, 0.05, 20)
    assert control_warnings(0.5, calm, score=0.6, untrained=0.3) == []
    assert "no less than the model's 0.600" in control_warnings(0.5, calm, score=0.6, untrained=0.61)[0]
    assert "no sign of similarity" in control_warnings(0.1, calm)[0]
    assert len(control_warnings(0.4, Chance(0.6, 0.3, 0.05, 20))) == 4
