"""Intervals over outer seeds and inner runs at once: closed forms, and coverage on simulated outer loops."""

import numpy as np
import pytest
from scipy import stats

from cortex_sim.errors import DataError
from cortex_sim.tdca.studies.crossed import crossed_difference


def by_seed(matrix):
    return {seed: np.asarray(row, dtype=float) for seed, row in enumerate(matrix)}


def against_zero(matrix, **settings):
    return crossed_difference(by_seed(matrix), by_seed(np.zeros_like(matrix)), **settings)


def test_with_seeds_alone_it_is_the_t_interval_over_seeds():
    d = np.repeat([[0.3], [0.1], [0.5]], 4, axis=1)
    found = against_zero(d)
    low, high = stats.t.interval(0.95, 2, d.mean(), stats.sem(d[:, 0]))
    assert (found.low, found.high) == pytest.approx((low, high)) and found.freedom == 2
    assert found.p == pytest.approx(stats.ttest_1samp(d[:, 0], 0).pvalue)


def test_with_runs_alone_it_is_the_t_interval_over_runs():
    row = np.array([0.2, 0.4, -0.1, 0.3, 0.15])
    found = against_zero(np.tile(row, (3, 1)))
    low, high = stats.t.interval(0.95, 4, row.mean(), stats.sem(row))
    assert (found.low, found.high) == pytest.approx((low, high)) and found.freedom == 4


@pytest.mark.parametrize(
    "of_seed, of_run, rest", [(1, 0, 0.5), (0, 1, 0.5), (1, 1, 0), (0.7, 1, 1), (0, 0, 1)]
)
def test_it_covers_the_mean_of_other_seeds_and_runs(of_seed, of_run, rest):
    rng, hits, n = np.random.default_rng(0), 0, 600
    for _ in range(n):
        d = (
            0.4
            + of_seed * rng.normal(size=(3, 1))
            + of_run * rng.normal(size=(1, 18))
            + rest * rng.normal(size=(3, 18))
        )
        found = against_zero(d)
        hits += found.low <= 0.4 <= found.high
    assert hits / n > 0.92


def test_a_family_has_wider_intervals():
    d = np.random.default_rng(1).normal(size=(3, 6))
    one, ten = against_zero(d), against_zero(d, comparisons=10)
    assert ten.low < one.low < one.high < ten.high and one.p == ten.p


def test_what_has_no_interval():
    assert against_zero(np.ones((1, 6))) is None and against_zero(np.ones((3, 1))) is None
    same = against_zero(np.zeros((3, 6)))
    assert (same.low, same.high, same.p) == (0, 0, 1)
    with pytest.raises(DataError, match=r"\[5, 6\] inner runs"):
        crossed_difference(by_seed(np.ones((3, 6))), by_seed(np.ones((3, 5))))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_difference_that_is_not_finite_is_refused(wrong):
    ours = {0: np.array([0.1, wrong, 0.3]), 1: np.array([0.2, 0.3, 0.1])}
    with pytest.raises(DataError, match="arms hold NaN or infinity"):
        crossed_difference(ours, {0: np.zeros(3), 1: np.zeros(3)})
