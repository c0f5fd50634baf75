"""Simulated recordings have the data's counts, missing repeats, reliability and shared noise."""

from __future__ import annotations

import numpy as np
import pytest
from planted_scores import responses
from scipy.spatial.distance import pdist

from cortex_sim.compare.ceilings import split_half
from cortex_sim.compare.responses import Dissimilarities
from cortex_sim.compare.simulated import noise_of, simulated, simulated_rdms, tuned_like
from cortex_sim.errors import DataError

RNG = np.random.default_rng


def recorded(rng, stimuli=200, neuroids=6, repeats=8, missing=0.0, shared=0.0):
    """Data with reliabilities that differ between neuroids, and noise shared by a share of its variance."""
    signal = rng.normal(size=(stimuli, neuroids))
    white = rng.normal(size=(repeats, stimuli, neuroids))
    common = rng.normal(size=(repeats, stimuli, 1))
    size = np.linspace(0.5, 3.0, neuroids)
    each = signal + size * (np.sqrt(1 - shared) * white + np.sqrt(shared) * common)
    each[rng.random((repeats, stimuli)) < missing] = np.nan
    each[:2][np.isnan(each[:2])] = 0.5
    return responses(np.nanmean(each, axis=0), "data", repeats=each)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_each_neuroid_is_as_reliable_as_in_the_data(missing):
    data = recorded(RNG(0), missing=missing)
    model = responses(RNG(1).normal(size=(200, 20)))
    noise = noise_of(data)
    found = [simulated(model, data, noise=noise, rng=RNG(i)) for i in range(4)]
    assert found[0].values.shape == data.values.shape and found[0].repeats.shape == data.repeats.shape
    np.testing.assert_array_equal(np.isnan(found[0].repeats), np.isnan(data.repeats))
    np.testing.assert_allclose(found[0].values, np.nanmean(found[0].repeats, axis=0))
    reliability = np.mean([split_half(one, splits=50).corrected for one in found], axis=0)
    np.testing.assert_allclose(reliability, noise.reliability, atol=0.06)
    assert np.ptp(noise.reliability) > 0.3
    np.testing.assert_allclose(np.mean([one.values.var(0) for one in found], axis=0), 1, atol=0.2)


def test_more_repeats_raise_the_reliability_by_spearman_and_brown():
    data = recorded(RNG(2))
    one, four = noise_of(data), noise_of(data, repeats=32)
    np.testing.assert_allclose(four.reliability, 4 * one.reliability / (1 + 3 * one.reliability))
    model = responses(RNG(3).normal(size=(200, 20)))
    found = simulated(model, data, noise=four, rng=RNG(4))
    assert found.repeats.shape[0] == 32
    np.testing.assert_allclose(split_half(found, splits=50).corrected, four.reliability, atol=0.08)


def test_noise_is_shared_among_neuroids_as_in_the_data():
    model = responses(RNG(5).normal(size=(200, 20)))
    for shared in (0.0, 0.8):
        data = recorded(RNG(6), shared=shared)
        found = simulated(model, data, rng=RNG(7))
        left = (found.repeats - found.values).reshape(-1, 6)
        between = np.corrcoef(left.T)[np.triu_indices(6, 1)].mean()
        assert between == pytest.approx(shared, abs=0.06)


def test_a_fitted_readout_is_the_best_linear_prediction_of_each_neuroid():
    rng = RNG(8)
    x = rng.normal(size=(300, 5))
    weights = rng.normal(size=(5, 4))
    data = responses(x @ weights + 0.2 * rng.normal(size=(300, 4)), "data")
    tuning = tuned_like(responses(x), data, "fitted", rng)
    truth = x @ weights
    r = [np.corrcoef(tuning[:, i], truth[:, i])[0, 1] for i in range(4)]
    assert min(r) > 0.99
    np.testing.assert_allclose(tuning.std(0), 1)


def test_random_readouts_keep_the_geometry_and_units_the_axes():
    rng = RNG(9)
    x = rng.normal(size=(40, 12)) * np.arange(1, 13) ** -0.5
    data = responses(rng.normal(size=(40, 3)), "data")
    many = tuned_like(responses(x), data, "units", rng, neuroids=12)
    match = np.abs(np.corrcoef(many.T, x.T)[:12, 12:])
    assert (match.max(1) > 1 - 1e-9).all() and len(set(match.argmax(1))) == 12  # without replacement
    wide = tuned_like(responses(x), data, "random", rng, neuroids=4000)
    assert np.corrcoef(pdist(wide), pdist(x))[0, 1] > 0.97
    uneven = x + rng.normal(size=12) + rng.normal(size=(40, 1))  # means of units, and of stimuli
    wide = tuned_like(responses(uneven), data, "contrasts", rng, neuroids=4000)
    assert np.corrcoef(pdist(wide, "correlation"), pdist(uneven, "correlation"))[0, 1] > 0.97
    assert (
        np.corrcoef(pdist(uneven, "correlation"), pdist(x, "correlation"))[0, 1] < 0.9
    )  # which x does not have


def test_more_stimuli_than_the_data_have():
    rng = RNG(10)
    model, data = responses(rng.normal(size=(90, 7))), recorded(rng, stimuli=60, neuroids=5)
    found = simulated(model, data, rng=rng)
    assert found.values.shape == (90, 5) and found.stimuli == model.stimuli


def test_data_without_repeats_need_their_reliability():
    rng = RNG(11)
    data = responses(rng.normal(size=(50, 3)), "V4")
    with pytest.raises(DataError, match="V4: no repeats, so their noise is unknown; give .*reliability="):
        noise_of(data)
    with pytest.raises(DataError, match="between 0 and 1. Got 1.5"):
        noise_of(data, reliability=1.5)
    with pytest.raises(DataError, match="unknown number of repeats"):
        noise_of(data, reliability=0.5, repeats=4)
    model = responses(rng.normal(size=(50, 8)))
    tuning = tuned_like(model, data, "random", RNG(12))
    found = simulated(model, data, readout="random", noise=noise_of(data, reliability=0.49), rng=RNG(12))
    assert found.repeats is None
    r = [np.corrcoef(found.values[:, i], tuning[:, i])[0, 1] for i in range(3)]
    assert np.mean(r) == pytest.approx(0.7, abs=0.15)  # √.49


def test_rdms_of_subjects_agree_as_those_of_the_data():
    rng = RNG(13)
    pairs = 30 * 29 // 2
    common = rng.normal(size=pairs)
    data = Dissimilarities(
        "IT", [f"s{i}" for i in range(30)], common + 1.2 * rng.normal(size=(4, pairs)), measure="1 - r"
    )
    model = responses(rng.normal(size=(30, 10)))
    found = simulated_rdms(model, data, rng=rng)
    wanted = np.corrcoef(data.values)[np.triu_indices(4, 1)].mean()
    assert found.values.shape == data.values.shape
    assert np.corrcoef(found.values)[np.triu_indices(4, 1)].mean() == pytest.approx(wanted, abs=0.01)
    one = Dissimilarities("IT", data.stimuli, data.values[:1])
    with pytest.raises(DataError, match="there is only one, so its noise is unknown; give agreement="):
        simulated_rdms(model, one, rng=rng)
    assert simulated_rdms(model, one, agreement=0.4, rng=rng).values.shape == (1, pairs)


def test_a_population_that_does_not_vary_is_refused():
    flat, data = responses(np.ones((20, 3)), "dead"), responses(RNG(14).normal(size=(20, 2)))
    for readout in ("random", "contrasts", "units"):
        with pytest.raises(DataError, match="dead: no readout of this population varies"):
            tuned_like(flat, data, readout, RNG(0))
    with pytest.raises(DataError, match="unknown readout 'linear'; known: contrasts, fitted, random, units"):
        tuned_like(flat, data, "linear", RNG(0))
