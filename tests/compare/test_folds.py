"""Folds: every stimulus is held out once, whole groups together, in folds of even size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_sim.compare.bootstrap import interval
from cortex_sim.compare.folds import FOLDS, AcrossRuns, BlockedFolds, GroupedFolds, RandomFolds
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.errors import CortexSimError, DataError


def responses(n, groups=None, values=None):
    given = np.zeros((n, 2)) if values is None else values
    return Responses("V4", [f"s{i}" for i in range(n)], given, groups=groups)


def assign(kind, data, seed=0):
    return kind.assign(data, np.random.default_rng(seed))


@given(st.integers(2, 7), st.integers(7, 60), st.sampled_from([RandomFolds, BlockedFolds]))
def test_folds_are_even_and_cover_all(n, stimuli, kind):
    fold = assign(kind(n), responses(stimuli))
    sizes = np.bincount(fold, minlength=n)
    assert len(sizes) == n and sizes.min() >= 1 and sizes.max() - sizes.min() <= 1


def test_random_folds_follow_the_seed():
    data = responses(50)
    one, same, other = (assign(RandomFolds(5), data, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any() and (np.diff(one) != 0).sum() > 20


def test_blocks_are_contiguous():
    assert assign(BlockedFolds(3), responses(8)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


@given(st.integers(2, 5), st.lists(st.integers(1, 9), min_size=5, max_size=12), st.integers(0, 99))
def test_groups_stay_together(n, sizes, seed):
    groups = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    groups = np.random.default_rng(seed).permutation(groups)
    fold = assign(GroupedFolds(n), responses(len(groups), groups), seed)
    assert set(fold) == set(range(n))
    for group in set(groups):
        assert len(set(fold[groups == group])) == 1


def test_grouped_folds_are_even():
    groups = np.repeat(np.arange(12), [9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3])
    assert sorted(np.bincount(assign(GroupedFolds(3), responses(24, groups)))) == [7, 8, 9]


def test_each_run_is_a_fold():
    runs = np.array(["b", "a", "c", "a", "b"])
    assert assign(AcrossRuns(), responses(5, runs)).tolist() == [1, 0, 2, 0, 1]


@pytest.mark.parametrize(
    "kind, data, wrong",
    [
        (RandomFolds(10), responses(9), "10 folds need at least 10 stimuli. Got 9; use fewer folds"),
        (BlockedFolds(4), responses(3), "4 folds need at least 4 stimuli. Got 3"),
        (GroupedFolds(3), responses(9, np.arange(9) % 2), "3 folds need at least 3 groups. Got 2"),
        (GroupedFolds(3), responses(9), "grouped folds need the group of every stimulus"),
        (AcrossRuns(), responses(9), "across_runs folds need the group of every stimulus"),
        (AcrossRuns(), responses(9, np.zeros(9)), "2 folds need at least 2 runs. Got 1"),
    ],
)
def test_too_few_are_refused(kind, data, wrong):
    with pytest.raises(DataError, match=f"responses V4: {wrong}"):
        assign(kind, data)


@pytest.mark.parametrize("kind", [RandomFolds, BlockedFolds, GroupedFolds])
def test_one_fold_is_no_cross_validation(kind):
    with pytest.raises(CortexSimError, match="n must be a whole number of at least 2"):
        kind(1)


def test_folds_have_names():
    assert set(FOLDS) == {"random", "grouped", "blocked", "across_runs"}


@pytest.mark.parametrize("missing", [np.nan, None, ""])
def test_stimuli_without_a_group_are_no_group(missing):
    """They would all be held out together, and be drawn together for intervals."""
    groups = np.array(["a", "b", missing, "c", missing], dtype=object)
    if missing is not None:
        groups = groups.astype(str if missing == "" else object)
    with pytest.raises(DataError, match="2 of 5 are empty or NaN, such as entry 2"):
        Responses("five", list("vwxyz"), np.eye(5), groups=groups)
    varied = responses(5, values=np.vander(np.arange(5.0)))
    known = Rsa(measure="euclidean").evaluate(varied, varied)
    with pytest.raises(DataError, match="interval: groups: 2 of 5 are empty or NaN"):
        interval(known, groups=groups)
