"""The best population is scored on other stimuli than it was chosen on, for every model alike."""

from __future__ import annotations

import numpy as np
import pytest
from planted_scores import Mean, Overlap, responses

from cortex_sim.compare.bootstrap import interval
from cortex_sim.compare.choosing import best_population, choosing_again, cross_fitted
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.errors import DataError


def unrelated(rng, populations=8, stimuli=32):
    neural = responses(rng.normal(size=(stimuli, 1)), "neural")
    return {f"p{i}": responses(rng.normal(size=(stimuli, 1))) for i in range(populations)}, neural


def test_the_best_of_unrelated_populations_is_not_above_zero():
    """The maximum of eight correlations over 32 stimuli is about .25; on other stimuli it is 0 ± .18/√60."""
    rng, inflated, fair = np.random.default_rng(0), [], []
    for seed in range(60):
        populations, neural = unrelated(rng)
        found = best_population(Overlap(), populations, neural, seed=seed)
        inflated.append(max(one.score() for one in found.evaluations.values()))
        fair.append(found.score())
    assert np.mean(inflated) > 0.2
    assert abs(np.mean(fair)) < 0.06


def test_the_population_that_made_the_data_is_chosen():
    rng = np.random.default_rng(1)
    populations, _ = unrelated(rng)
    neural = responses(populations["p3"].values + 0.5 * rng.normal(size=(32, 1)), "neural")
    found = best_population(Overlap(), populations, neural, splits=3)
    assert found.population == "p3"
    assert found.shares["p3"] == 1.0 and sum(found.shares.values()) == 1.0
    assert found.score() == pytest.approx(found.evaluations["p3"].score(), abs=0.1)
    assert (found.stimuli, found.units, len(found.parts)) == (32, 1, 6)


def test_nothing_is_scored_where_it_was_chosen():
    """p0 is 1 on the first half and 0 on the second, p1 the reverse: each is chosen where it is scored 0."""
    halves = np.repeat([1.0, 0.0], 8)[:, None]
    first, second = Mean(halves), Mean(1 - halves)
    found = cross_fitted({"p0": first, "p1": second}, groups=np.repeat([0, 1, 2, 3], 4), splits=8)
    for part in found.parts:
        scores = {name: one.values[~part.scored_on].mean() for name, one in found.evaluations.items()}
        assert scores[part.population] == max(scores.values())
        assert part.scored_on.reshape(4, 4).std(1).max() == 0  # groups stay together
    assert found.score() < 0.5 < max(first.score(), second.score()) + 1e-9


def test_splits_are_the_same_for_every_model():
    rng = np.random.default_rng(2)
    one, two = (cross_fitted({"a": Mean(rng.normal(size=(20, 2)))}, seed=5) for _ in range(2))
    for a, b in zip(one.parts, two.parts, strict=True):
        np.testing.assert_array_equal(a.scored_on, b.scored_on)
    other = cross_fitted(one.evaluations, seed=6)
    assert (other.parts[0].scored_on != one.parts[0].scored_on).any()


def test_a_choice_is_an_evaluation_with_an_interval():
    rng = np.random.default_rng(3)
    populations, neural = unrelated(rng, 3, 40)
    found = best_population(Overlap(), populations, neural)
    known = interval(found, resamples=200)
    assert known.score == found.score()
    again = interval(found, refit=choosing_again(Overlap(), populations, neural), splits=5, resamples=100)
    assert again.score == known.score and again.error > 0


@pytest.mark.slow
def test_fits_to_the_choosing_half_leave_no_bias():
    """Six random populations: the best is .13 above their mean; by predictions of all fits it is .04."""
    rng, fair, held_out, best = np.random.default_rng(4), [], [], []
    for seed in range(40):
        neural = responses(rng.normal(size=(40, 6)), "neural")
        populations = {f"p{i}": responses(rng.normal(size=(40, 10))) for i in range(6)}
        found = best_population(Predictivity(convention="raw"), populations, neural, seed=seed)
        each = [one.score() for one in found.evaluations.values()]
        fair.append(found.score() - np.mean(each))
        held_out.append(cross_fitted(found.evaluations, seed=seed).score() - np.mean(each))
        best.append(max(each) - np.mean(each))
    assert abs(np.mean(fair)) < 3 * np.std(fair) / 40**0.5
    assert np.mean(fair) < np.mean(held_out) < np.mean(best) / 2


def test_nothing_of_the_scored_half_is_seen_when_choosing():
    table, asked = Mean(np.random.default_rng(5).normal(size=(20, 2))), []

    def refit(half):
        asked.append(half)
        return Mean(table.values[half])

    found = cross_fitted({"a": table, "b": table}, refits={"a": refit, "b": refit}, splits=1)
    assert [len(half) for half in asked] == [10, 10, 10, 10]
    for part, half in zip(np.repeat(found.parts, 2), asked, strict=True):
        assert not part.scored_on[half].any()


@pytest.mark.parametrize(
    "given, groups, said",
    [
        ({}, None, "no evaluation"),
        ({"a": Mean(np.zeros((9, 1)))}, None, "at least 16 stimuli.* Got 9"),
        ({"a": Mean(np.zeros((20, 1))), "b": Mean(np.zeros((21, 1)))}, None, "same stimuli. Got 20, 21"),
        ({"a": Mean(np.zeros((20, 1)))}, np.arange(20) % 3, "at least 4 groups of stimuli. Got 3"),
    ],
)
def test_too_little_to_choose_from_is_refused(given, groups, said):
    with pytest.raises(DataError, match=said):
        cross_fitted(given, groups=groups)
