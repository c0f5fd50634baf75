"""What is undefined is an error, or None with its reason, never NaN: empty samples and silent neuroids."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cortex_sim.compare.bootstrap import interval
from cortex_sim.compare.choosing import cross_fitted
from cortex_sim.compare.cka import Cka
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.rdm_comparators import COMPARATORS, Rdm
from cortex_sim.compare.recovery import recover
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.shape_distance import ShapeDistance
from cortex_sim.compare.soft_matching import SoftMatching
from cortex_sim.errors import DataError, DeclarationError

STIMULI, UNITS, NEUROIDS, REPEATS = 23, 7, 5, 4
IDS = [f"image {i}" for i in range(STIMULI)]
METRICS = [
    Predictivity(splits=20),
    Rsa(),
    Rsa("euclidean", "pearson"),
    Cka(),
    ShapeDistance(),
    SoftMatching(),
]


@pytest.fixture
def planted():
    rng = np.random.default_rng(11)
    x = rng.normal(size=(STIMULI, UNITS))
    signal = x @ rng.normal(size=(UNITS, NEUROIDS))
    repeats = signal + rng.normal(size=(REPEATS, STIMULI, NEUROIDS))
    return Responses("model", IDS, x), repeats


def data_of(repeats):
    return Responses("data", IDS, np.nanmean(repeats, axis=0), repeats)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_sample_without_stimuli_has_no_score(planted, metric):
    model, repeats = planted
    found = metric.evaluate(model, data_of(repeats))
    with pytest.raises(DataError, match="this sample holds none of the 23 stimuli"):
        found.score(np.zeros(0, int))


def test_a_sample_without_rdms_has_no_score(planted):
    model, _ = planted
    rdms = Dissimilarities("rdms", IDS, np.random.default_rng(0).random((3, STIMULI * (STIMULI - 1) // 2)))
    with pytest.raises(DataError, match="holds none of the 3"):
        Rsa().evaluate(model, rdms).score(None, np.zeros(0, int))


@pytest.mark.parametrize("metric", [Cka(), ShapeDistance(), SoftMatching()], ids=lambda metric: metric.name)
def test_neuroids_that_are_silent_where_there_are_repeats_say_nothing_of_the_ceiling(planted, metric):
    model, repeats = planted
    repeats[1:, :5] = np.nan
    without = metric.evaluate(model, data_of(repeats).take(neuroids=[1, 2, 3, 4])).ceiling
    repeats[:, 5:, 0] = 0.0  # it responds to the five stimuli with one repeat alone
    assert metric.evaluate(model, data_of(repeats)).ceiling == pytest.approx(without, rel=1e-12)
    repeats[:, 5:] = 0.0
    assert metric.evaluate(model, data_of(repeats)).ceiling is None


def test_equal_dissimilarities_where_there_are_repeats_leave_the_ceiling_unknown(planted):
    model, repeats = planted
    repeats[1:, :5] = np.nan
    repeats[:, 5:] = 0.0
    found = Rsa("euclidean", "pearson").evaluate(model, data_of(repeats))
    assert math.isfinite(found.score())
    assert found.ceiling is None and found.reliability is None
    assert any("no ceiling" in note and "18 stimuli with repeats are equal" in note for note in found.notes)


def test_a_half_in_which_all_are_silent_leaves_the_ceiling_unknown_and_says_so(planted):
    """1 - r of a silent pattern is not defined, although that of the mean over repeats is."""
    model, repeats = planted
    repeats[:2, 3] = 0.0
    repeats[2:, 3] = [1.0, 2, 3, 4, 5]
    found = Rsa().evaluate(model, data_of(repeats))
    assert math.isfinite(found.score())
    assert found.ceiling is None
    assert any("no ceiling" in note and "'image 3'" in note for note in found.notes)
    with pytest.raises(DataError, match="have no ceiling"):
        Rsa(convention="over_ceiling").evaluate(model, data_of(repeats)).score()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_samples_hold_only_numbers_of_stimuli(planted, metric):
    model, repeats = planted
    found = metric.evaluate(model, data_of(repeats))
    for wrong in ([-1, 2, 3, 4, 5], [2, 3, 4, 5, STIMULI]):
        with pytest.raises(
            DataError, match="this sample numbers stimuli or units from .*; must be from 0 to 22"
        ):
            found.score(np.array(wrong))


@pytest.mark.parametrize("labels", [np.arange(STIMULI - 3), np.arange(STIMULI + 3)])
def test_intervals_refuse_groups_of_other_stimuli(planted, labels):
    """Too few labels would resample the first stimuli alone."""
    model, repeats = planted
    found = Cka().evaluate(model, data_of(repeats))
    with pytest.raises(DataError, match="groups: give one for each of 23 stimuli or units"):
        interval(found, groups=labels, resamples=100)
    with pytest.raises(DataError, match="groups: give one for each of 23 stimuli or units"):
        cross_fitted({"V1": found}, groups=labels)


def test_seeds_are_whole_numbers(planted):
    model, repeats = planted
    found = Cka().evaluate(model, data_of(repeats))
    for wrong in (-1, 0.5):
        with pytest.raises(DeclarationError, match="seed must be a whole number of at least 0"):
            interval(found, seed=wrong)
        with pytest.raises(DeclarationError, match="seed must be a whole number of at least 0"):
            Predictivity().evaluate(model, data_of(repeats), seed=wrong)


@pytest.mark.parametrize("comparator", COMPARATORS.values(), ids=lambda one: one.name)
def test_counts_of_stimuli_may_be_whole_numbers(comparator):
    rng = np.random.default_rng(2)
    one, other = (Rdm(name, rng.random(36), 9) for name in ("one", "other"))
    counts = rng.integers(0, 3, size=9)
    as_whole = comparator.compare(one, other, counts)
    assert as_whole == comparator.compare(one, other, counts.astype(float))
    assert abs(as_whole) < 1


def test_recordings_are_simulated_from_a_stream_of_their_own(planted, monkeypatch):
    """numpy pads seeds with zeros: [0, 1, 0] draws what [0, 1] does, the halves on which one chooses."""
    drawn = []
    original = np.random.default_rng

    def noting(seed=None):
        drawn.append(tuple(np.trim_zeros(np.atleast_1d(seed), "b").tolist()))
        return original(seed)

    model, repeats = planted
    other = Responses("other", IDS, original(5).normal(size=(STIMULI, UNITS)))
    monkeypatch.setattr(np.random, "default_rng", noting)
    recover(Rsa("euclidean", splits=2), {"a": model, "b": other}, data_of(repeats), simulations=3)
    simulated = [seed for seed in drawn if len(seed) > 1 and seed[1] == 4]
    assert len(set(simulated)) == 6
    assert not {seed for seed in drawn if seed not in simulated} & set(simulated)
