"""Split-half reliability: closed forms, planted truth, missing repeats, bounded memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.compare import ceilings
from cortex_sim.compare.ceilings import spearman_brown, split_half
from cortex_sim.compare.responses import Responses
from cortex_sim.errors import CortexSimError, DataError


def recorded(repeats, name="V4"):
    return Responses(name, range(repeats.shape[1]), np.nanmean(repeats, axis=0), repeats=repeats)


def draw(seed, repeats, stimuli, neuroids, noise):
    """Signal of variance 1, noise of variance noise² in every repeat."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(stimuli, neuroids)) + noise * rng.normal(size=(repeats, stimuli, neuroids))


def reference(repeats, splits, rng):
    """One split, one stimulus, one neuroid at a time."""
    found = np.zeros((splits, repeats.shape[2]))
    for split in range(splits):
        halves = np.zeros((2, *repeats.shape[1:]))
        for stimulus, neuroid in np.ndindex(repeats.shape[1:]):
            there = repeats[np.isfinite(repeats[:, stimulus, neuroid]), stimulus, neuroid]
            there = rng.permutation(there)
            halves[:, stimulus, neuroid] = there[: len(there) // 2].mean(), there[len(there) // 2 :].mean()
        for neuroid in range(repeats.shape[2]):
            found[split, neuroid] = np.corrcoef(*halves[:, :, neuroid])[0, 1]
    return found.mean(0)


def test_two_repeats_are_correlated():
    repeats = draw(0, 2, 23, 5, noise=0.7)
    found = split_half(recorded(repeats), splits=7)
    r = [np.corrcoef(repeats[0, :, i], repeats[1, :, i])[0, 1] for i in range(5)]
    # Which repeat comes first is drawn for each stimulus, so r is that of unordered pairs, on average.
    np.testing.assert_allclose(found.raw, r, atol=0.15)
    np.testing.assert_allclose(found.corrected, 2 * found.raw / (1 + found.raw), rtol=1e-12)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 99), st.sampled_from([(4, 0.0), (5, 0.0), (7, 0.3)]))
def test_equals_a_reference_that_loops(seed, case):
    count, missing = case
    repeats = draw(seed, count, 29, 3, noise=1.0)
    gone = np.random.default_rng(seed + 1).random(repeats.shape) < missing
    gone[:2] = False  # two repeats of every stimulus remain
    repeats[gone] = np.nan
    found = split_half(recorded(repeats), splits=500, seed=seed)
    np.testing.assert_allclose(found.raw, reference(repeats, 100, np.random.default_rng(2)), atol=0.05)


@pytest.mark.parametrize("count, noise", [(2, 0.5), (3, 1.0), (6, 2.0), (9, 3.0)])
def test_reliability_is_the_one_that_was_planted(count, noise):
    """ρ = 1/(1 + σ²/n), of the mean over all n repeats; also where n is odd."""
    found = split_half(recorded(draw(1, count, 1500, 17, noise)), splits=20)
    truth = 1 / (1 + noise**2 / count)
    assert found.overall == pytest.approx(truth, abs=0.02)
    assert np.median(found.corrected) == pytest.approx(truth, abs=0.03)


def test_a_neuroid_of_noise_is_not_reliable():
    repeats = np.random.default_rng(3).normal(size=(6, 400, 11))
    found = split_half(recorded(repeats), splits=50)
    assert np.abs(found.raw).max() < 0.15 and found.corrected.min() >= 0


def test_missing_repeats_are_drawn_around():
    """Reliability follows the repeats that there are; each neuroid may lack others."""
    repeats = draw(4, 8, 1200, 3, noise=1.5)
    repeats[4:, :, 1] = np.nan
    repeats[2:, ::2, 2] = np.nan
    found = split_half(recorded(repeats), splits=30)
    assert found.corrected[0] == pytest.approx(1 / (1 + 1.5**2 / 8), abs=0.03)
    assert found.corrected[1] == pytest.approx(1 / (1 + 1.5**2 / 4), abs=0.03)
    mixed = 1.5**2 * (1 / 2 + 1 / 8) / 2  # mean variance of the noise of the means
    assert found.corrected[2] == pytest.approx(1 / (1 + mixed), abs=0.04)
    assert found.measured.all() and found.left_out == 0


def test_neuroids_are_independent_of_those_recorded_with_them(monkeypatch):
    repeats = draw(5, 5, 40, 6, noise=1.0)
    repeats[3, ::3, 2:4] = np.nan
    whole = split_half(recorded(repeats), splits=30, seed=3)
    for some in ([1], [2, 3], [5, 2]):
        alone = split_half(recorded(repeats[:, :, some]), splits=30, seed=3)
        np.testing.assert_allclose(alone.raw, whole.raw[some], rtol=1e-12)
    monkeypatch.setattr(ceilings, "AT_ONCE", 4000)  # a neuroid and a few splits at a time
    assert not np.allclose(split_half(recorded(repeats), splits=30, seed=4).raw, whole.raw)
    np.testing.assert_allclose(split_half(recorded(repeats), splits=30, seed=3).raw, whole.raw, rtol=1e-12)


def test_single_repeats_are_left_out_and_counted():
    repeats = draw(6, 4, 200, 3, noise=0.5)
    repeats[1:, :20] = np.nan
    repeats[1:, :198, 2] = np.nan
    found = split_half(recorded(repeats), splits=20)
    assert found.left_out == 198
    assert found.measured.tolist() == [True, True, False] and found.corrected[2] == 0
    without = split_half(recorded(repeats[:, 20:, :2]), splits=20)
    np.testing.assert_allclose(found.raw[:2], without.raw, atol=0.02)


def test_a_half_without_variance_counts_as_no_correlation():
    repeats = np.zeros((2, 30, 2))
    repeats[0, :, 0] = np.arange(30)
    repeats[:, :, 1] = np.arange(30)
    repeats[0, 3, 1] = 7
    found = split_half(recorded(np.concatenate([repeats, repeats * 0 + 1])), splits=10)
    assert np.isfinite(found.raw).all()
    for dtype in (np.float64, np.float32):
        still = np.tile(np.array([0.1, 1 / 3], dtype), (5, 9, 1))
        assert split_half(recorded(still), splits=5).raw.tolist() == [0, 0]


@pytest.mark.parametrize("r, factor, corrected", [(0.5, 2, 2 / 3), (0.601, 2, 0.7508), (0.2, 5, 0.5556)])
def test_spearman_brown(r, factor, corrected):
    assert spearman_brown(r, factor) == pytest.approx(corrected, abs=1e-4)
    assert spearman_brown(-r) == 0 and spearman_brown(1.0, factor) == 1


def test_memory_does_not_grow_with_the_number_of_splits():
    data = recorded(draw(7, 6, 300, 100, noise=1.0))
    peaks = []
    for splits in (200, 600):
        tracemalloc.start()
        split_half(data, splits=splits)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # All halves of 600 splits would be 288 MB.
    assert peaks[1] < 1.05 * peaks[0] and peaks[1] < 160e6


@pytest.mark.slow
def test_a_thousand_splits_of_a_large_recording_stay_within_a_gibibyte():
    """1000 stimuli, 300 neuroids, 10 repeats: all halves would take 4.8 GB."""
    data = recorded(draw(8, 10, 1000, 300, noise=1.0))
    tracemalloc.start()
    found = split_half(data, splits=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**30
    assert found.overall == pytest.approx(1 / 1.1, abs=0.01)


def test_macaque_v4(real):
    """Known are .601 and .751 = 2 · .601/1.601: the mean over neuroids, corrected last, as in `overall`.

    The median over neuroids is .617 before and .763 after the correction.
    """
    with np.load(real("macaque_v4_210325.npz"), allow_pickle=False) as z:
        repeats = z["response_repeats"].transpose(1, 0, 2)
        np.testing.assert_allclose(np.nanmean(repeats, axis=0), z["response_mean"], rtol=1e-5)
    found = split_half(recorded(repeats), splits=200)
    assert found.raw.mean() == pytest.approx(0.601, abs=0.005)
    assert found.overall == pytest.approx(0.751, abs=0.005)
    assert np.median(found.corrected) == pytest.approx(0.763, abs=0.005)
    assert found.left_out == 0 and found.measured.all()


def test_without_repeats_there_is_no_reliability():
    data = Responses("V4 201025", range(5), np.eye(5))
    with pytest.raises(DataError, match="responses V4 201025: no repeats, so the reliability is unknown"):
        split_half(data)
    with pytest.raises(DataError, match="fewer than 3 stimuli have two repeats"):
        split_half(recorded(np.random.default_rng(0).normal(size=(1, 9, 2))))
    with pytest.raises(CortexSimError, match="splits must be a whole number"):
        split_half(data, splits=0)
