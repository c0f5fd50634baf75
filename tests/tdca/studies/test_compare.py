"""Paired differences against scipy's own paired test; seeds are the unit where there are several."""

import numpy as np
import pytest
from scipy import stats

from cortex_sim.errors import DataError
from cortex_sim.tdca.studies.compare import accuracies_by_seed, difference, difference_over_runs, spread
from cortex_sim.tdca.studies.jobs import Folders

RNG = np.random.default_rng(0)
OURS = {seed: RNG.normal(0.9, 0.01, 6) for seed in (0, 1, 2)}
THEIRS = {seed: RNG.normal(0.8, 0.01, 6) for seed in (0, 1, 2)}


def test_one_seed_is_the_paired_t_test_over_lives():
    found = difference({0: OURS[0]}, THEIRS)
    expected = stats.ttest_rel(OURS[0], THEIRS[0]).confidence_interval(0.95)
    np.testing.assert_allclose((found.low, found.high), expected)
    assert found.mean == pytest.approx((OURS[0] - THEIRS[0]).mean())
    assert found.seeds == 1


def test_several_seeds_are_the_paired_t_test_over_their_means():
    found = difference(OURS, THEIRS)
    ours, theirs = ([side[s].mean() for s in (0, 1, 2)] for side in (OURS, THEIRS))
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    np.testing.assert_allclose((found.low, found.high), expected)


def test_over_lives_is_the_paired_t_test_over_means_of_seeds():
    found = difference_over_runs(OURS, THEIRS)
    ours, theirs = (np.mean([side[s] for s in (0, 1, 2)], axis=0) for side in (OURS, THEIRS))
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    np.testing.assert_allclose((found.low, found.high), expected)
    assert (found.mean, found.seeds) == (pytest.approx(difference(OURS, THEIRS).mean), 3)
    assert difference_over_runs({0: OURS[0]}, THEIRS) == difference({0: OURS[0]}, THEIRS)
    assert difference_over_runs({1: OURS[1]}, {2: THEIRS[2]}) is None


def test_over_lives_needs_the_same_lives_under_every_seed():
    few = {1: OURS[1][:4]}
    with pytest.raises(DataError, match=r"outer seeds have \[4, 6\] inner runs"):
        difference_over_runs({0: OURS[0], **few}, {0: THEIRS[0], 1: THEIRS[1][:4]})


def test_lives_are_paired_not_pooled():
    base = np.array([0.1, 0.5, 0.9])
    found = difference({0: base + np.array([0.01, 0.011, 0.012])}, {0: base})
    assert 0 < found.low < 0.011 < found.high < 0.02


def test_only_seeds_in_common_count():
    assert difference({1: OURS[1]}, {2: THEIRS[2]}) is None
    assert difference(OURS, {2: THEIRS[2]}) == difference({2: OURS[2]}, {2: THEIRS[2]})


def test_other_numbers_of_lives_are_no_pairs():
    with pytest.raises(DataError, match="6 inner runs on one side, 5 on the other"):
        difference(OURS, {0: THEIRS[0][:5]})


def test_spread_is_over_every_life():
    mean, sd = spread({0: np.array([0.0, 1.0]), 1: np.array([2.0, 3.0])})
    assert (mean, sd) == pytest.approx((1.5, np.std([0, 1, 2, 3], ddof=1)))
    assert spread({}) is None


def test_what_failed_or_was_not_run_has_no_lives(tmp_path):
    folders = Folders(tmp_path, tmp_path / "results")
    folders.keep("a-0", {"per_life": {"mnist": {"30": [0.123456789, 0.5]}, "deep": {"failed": "why"}}})
    np.testing.assert_array_equal(accuracies_by_seed(folders, "a", "mnist", 30)[0], [0.12346, 0.5])
    for label, steps in (("mnist", 100), ("deep", 30), ("other", 30)):
        assert accuracies_by_seed(folders, "a", label, steps) == {}
    assert accuracies_by_seed(folders, "b", "mnist", 30) == {}
