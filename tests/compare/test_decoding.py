"""Decoding of single repeats: known accuracies, no leaks, and the time course of macaque IT."""

from statistics import NormalDist

import numpy as np
import pytest

from cortex_sim.compare.ceilings import split_half
from cortex_sim.compare.decoding import decode, decode_over_time
from cortex_sim.compare.responses import Responses
from cortex_sim.errors import CortexSimError, DataError


def recorded(repeats):
    return Responses("IT", range(repeats.shape[1]), np.nanmean(repeats, axis=0), repeats=repeats)


def noisy(means, count, seed=0):
    """Repeats with noise of variance 1 about means (stimulus, neuroid)."""
    return recorded(means + np.random.default_rng(seed).normal(size=(count, *np.shape(means))))


def test_two_classes_of_known_distance():
    """Two Gaussians d apart are distinguished with probability Φ(d/2)."""
    means = np.array([[0.0, 0.0, 0.0], [1.2, 1.6, 0.0]])
    found = decode(noisy(means, 2000))
    assert found.accuracy == pytest.approx(NormalDist().cdf(1.0), abs=0.02)
    assert (found.chance, found.classes, found.trials, found.neuroids) == (0.5, 2, 4000, 3)


def test_noise_is_decoded_at_chance():
    found = [decode(noisy(np.zeros((4, 30)), 25, seed), seed=seed).accuracy for seed in range(8)]
    assert np.mean(found) == pytest.approx(0.25, abs=0.04)


def test_classes_of_stimuli():
    means = np.random.default_rng(1).normal(size=(2, 40))[[0, 1, 0, 1, 0, 1]]
    found = decode(noisy(means, 10), ["car", "face"] * 3)
    assert found.accuracy > 0.95 and found.classes == 2 and found.trials == 60


def test_across_groups_a_code_must_carry_over():
    """Objects at three positions: a code of their own at each position cannot be read at another."""
    rng, labels, position = np.random.default_rng(2), [0, 1] * 3, np.repeat([0, 1, 2], 2)
    shared, own = rng.normal(size=(2, 50))[labels], rng.normal(size=(6, 50))
    assert decode(noisy(shared, 20), labels, across=position).accuracy > 0.95
    assert decode(noisy(own, 20), labels).accuracy > 0.95
    across = [
        decode(noisy(np.random.default_rng(s).normal(size=(6, 50)), 20), labels, across=position).accuracy
        for s in range(20)
    ]
    assert np.mean(across) == pytest.approx(0.5, abs=0.15)


def test_missing_repeats_and_neuroids_that_are_silent():
    data = noisy(np.random.default_rng(3).normal(size=(3, 12)), 20)
    repeats = data.repeats.copy()
    repeats[15:, 1, 4] = np.nan
    repeats[:, :, 7] = 0.0
    found = decode(recorded(repeats))
    assert found.trials == 45 and found.neuroids == 11
    whole = decode(recorded(repeats), simultaneous=True)
    assert whole.trials == 55 and whole.accuracy > 0.8


def test_noise_that_neuroids_share_helps_only_where_they_were_recorded_together():
    rng = np.random.default_rng(4)
    means = np.array([[0.0, 0.0], [1.0, 0.0]])
    repeats = means + 3 * rng.normal(size=(400, 2, 1)) + 0.1 * rng.normal(size=(400, 2, 2))
    assert decode(recorded(repeats), simultaneous=True).accuracy > 0.95
    assert decode(recorded(repeats)).accuracy < 0.65


def test_nothing_varies():
    found = decode(recorded(np.ones((6, 4, 3))))
    assert found.accuracy == found.chance == 0.25 and found.neuroids == 0


@pytest.mark.parametrize(
    "repeats, settings, wrong",
    [
        (4, {}, "responses IT: 5 folds need as many repeats of every stimulus. Got 4; use fewer folds"),
        (6, {"labels": [0, 1]}, "labels must have one entry for each of 3 stimuli"),
        (6, {"labels": [1, 1, 1]}, "decoding needs at least 2 classes"),
        (6, {"across": [1, 1, 1]}, "decoding needs at least 2 classes and 2 folds"),
        (6, {"folds": 1}, "folds must be a whole number of at least 2"),
    ],
)
def test_what_cannot_be_decoded_is_refused(repeats, settings, wrong):
    with pytest.raises((DataError, CortexSimError), match=wrong):
        decode(noisy(np.zeros((3, 2)), repeats), **settings)
    with pytest.raises(DataError, match="responses means: no repeats"):
        decode(Responses("means", range(3), np.eye(3)))


@pytest.fixture
def it_bins(real):
    """Counts in 50 ms from -100 to 400 ms, one `Responses` a bin, binned here by a loop over neurons."""
    with np.load(real("macaque_it_spikes.npz"), allow_pickle=False) as z:
        names, trials = z["conditions"], z["trials_per_neuron"]
        neuron, trial, time = z["neuron"], z["trial"], z["time_ms"]
        condition = np.split(z["condition_index"], np.cumsum(trials)[:-1])
    edges = np.arange(-100, 401, 50)
    repeats = np.full((20, 21, len(trials), len(edges) - 1), np.nan)
    for n, shown in enumerate(condition):
        mine = neuron == n
        counts = np.histogram2d(trial[mine], time[mine], [np.arange(len(shown) + 1), edges])[0]
        for c in range(21):
            those = counts[shown == c]
            repeats[: len(those), c, n] = those
    return names, edges, [recorded(repeats[..., b]) for b in range(len(edges) - 1)]


def test_macaque_it_over_time(it_bins):
    """Objects can be read, and neurons are reliable, while the response lasts: most at 150 to 200 ms."""
    names, edges, bins = it_bins
    objects = [name.split("_")[0] for name in names]
    accuracy = np.array([one.accuracy for one in decode_over_time(bins, objects)])
    reliability = np.array([split_half(one, splits=30).overall for one in bins])
    before, peak, late = edges[:-1] < 50, np.flatnonzero(edges == 150)[0], edges[:-1] >= 350
    assert np.abs(accuracy[before] - 1 / 7).max() < 0.06
    assert accuracy.argmax() == peak and accuracy[peak] > 0.55
    assert (accuracy[late] < 0.75 * accuracy[peak]).all()
    assert reliability[before].max() < 0.15
    assert reliability.argmax() == peak and reliability[peak] > 0.4
    assert (reliability[late] < 0.85 * reliability[peak]).all()


def test_macaque_it_carries_over_between_positions(it_bins):
    names, edges, bins = it_bins
    at_peak = bins[int(np.flatnonzero(edges == 150)[0])]
    objects, positions = zip(*(name.split("_") for name in names), strict=True)
    within = decode(at_peak, objects).accuracy
    across = decode(at_peak, objects, across=positions).accuracy
    assert 0.3 < across < within


def test_a_label_that_is_missing_is_no_class():
    rng = np.random.default_rng(0)
    repeats = rng.normal(size=(3, 6, 2))
    data = Responses("d", range(6), repeats.mean(0), repeats)
    with pytest.raises(DataError, match="labels is nan in entry 2; give its class"):
        decode(data, [0, 1, np.nan, 0, 1, 0], folds=3)
