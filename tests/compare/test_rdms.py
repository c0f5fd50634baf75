"""Dissimilarities equal their equations, one pair at a time, and rsatoolbox's."""

import itertools

import numpy as np
import pytest
from planted_responses import planted

from cortex_sim.compare.rdms import Crossnobis, measure_named, rdm
from cortex_sim.compare.responses import Responses
from cortex_sim.errors import DataError

STIMULI, NEUROIDS, REPEATS = 11, 7, 5


@pytest.fixture
def data():
    return planted(0, STIMULI, NEUROIDS, REPEATS)[1]


def dataset(repeats):
    from rsatoolbox.data import Dataset

    there = np.isfinite(repeats).all(2)
    repeat, stimulus = np.nonzero(there)
    return Dataset(repeats[there], obs_descriptors={"stimulus": stimulus, "repeat": repeat})


def rsatoolbox_rdm(repeats, noise=None):
    from rsatoolbox.rdm import calc_rdm

    named = {"method": "crossnobis", "descriptor": "stimulus", "cv_descriptor": "repeat", "noise": noise}
    return calc_rdm(dataset(repeats), **named).dissimilarities[0]


def crossnobis_by_pairs_of_repeats(repeats, precision):
    """(x_im − x_jm)ᵀ Σ⁻¹ (x_il − x_jl), averaged over m ≠ l; Walther et al. 2016, for complete repeats."""
    count, stimuli, neuroids = repeats.shape
    found = []
    for i, j in itertools.combinations(range(stimuli), 2):
        apart = repeats[:, i] - repeats[:, j]
        terms = [apart[m] @ precision @ apart[n] for m, n in itertools.permutations(range(count), 2)]
        found.append(np.mean(terms) / neuroids)
    return np.array(found)


def test_correlation_is_one_minus_pearson_of_two_patterns(data):
    expected = [1 - np.corrcoef(a, b)[0, 1] for a, b in itertools.combinations(data.values, 2)]
    np.testing.assert_allclose(rdm(data).values[0], expected, atol=1e-12)


def test_euclidean_is_squared_and_per_neuroid(data):
    expected = [((a - b) ** 2).mean() for a, b in itertools.combinations(data.values, 2)]
    np.testing.assert_allclose(rdm(data, "euclidean").values[0], expected, rtol=1e-12)


@pytest.mark.parametrize("measure", ["correlation", "euclidean"])
def test_equals_rsatoolbox(data, measure):
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    theirs = calc_rdm(Dataset(data.values), method=measure).dissimilarities[0]
    np.testing.assert_allclose(rdm(data, measure).values[0], theirs, atol=1e-12)


def covariance(repeats):
    residuals = (repeats - repeats.mean(0)).reshape(-1, repeats.shape[2])
    return residuals.T @ residuals / (len(residuals) - repeats.shape[1])


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # inside rsatoolbox
@pytest.mark.parametrize("noise", ["identity", "diagonal"])
def test_crossnobis_equals_its_equation_and_rsatoolbox(data, noise):
    spread = np.diag(covariance(data.repeats)) if noise == "diagonal" else np.ones(NEUROIDS)
    precision = np.diag(1 / spread)
    ours = rdm(data, Crossnobis(noise)).values[0]
    np.testing.assert_allclose(ours, crossnobis_by_pairs_of_repeats(data.repeats, precision), atol=1e-12)
    np.testing.assert_allclose(ours, rsatoolbox_rdm(data.repeats, precision), atol=1e-12)


def test_crossnobis_divides_by_the_shrunken_covariance(data):
    from rsatoolbox.data.noise import prec_from_unbalanced

    shared = np.random.default_rng(1).normal(size=(REPEATS, STIMULI, 1)) * np.linspace(-2, 2, NEUROIDS)
    repeats = data.repeats + shared
    data = Responses("data", data.stimuli, repeats.mean(0), repeats)
    precision = prec_from_unbalanced(dataset(data.repeats), "stimulus", method="shrinkage_diag")
    off = ~np.eye(NEUROIDS, dtype=bool)
    assert np.abs(precision[off]).max() > 0.02  # not the diagonal alone
    expected = crossnobis_by_pairs_of_repeats(data.repeats, precision)
    np.testing.assert_allclose(rdm(data, Crossnobis("shrinkage")).values[0], expected, rtol=1e-9)


def test_missing_repeats_only_leave_fewer_pairs():
    _, data = planted(1, STIMULI, NEUROIDS, repeats=6, missing=0.5)
    there = np.isfinite(data.repeats).all(2)
    assert not there.all()
    centred = data.repeats - data.values.mean(0)  # where 0 lies matters if repeats are missing

    def product(i, j):
        pairs = itertools.permutations(range(6), 2)
        return np.mean([centred[m, i] @ centred[n, j] for m, n in pairs if there[m, i] and there[n, j]])

    pairs = itertools.combinations(range(STIMULI), 2)
    expected = [(product(i, i) + product(j, j) - 2 * product(i, j)) / NEUROIDS for i, j in pairs]
    np.testing.assert_allclose(rdm(data, "crossnobis").values[0], expected, atol=1e-12)


def test_crossnobis_has_no_bias_where_euclidean_has_that_of_the_noise():
    true, _ = planted(2, STIMULI, NEUROIDS)
    without_noise = rdm(true, "euclidean").values[0]
    found = {"crossnobis": [], "euclidean": []}
    for seed in range(300):
        noise = np.random.default_rng(seed).normal(size=(4, STIMULI, NEUROIDS))
        repeats = true.values + noise
        data = Responses("data", true.stimuli, repeats.mean(0), repeats)
        for measure, values in found.items():
            values.append(rdm(data, measure).values[0])
    bias = {measure: np.mean(values, axis=0) - without_noise for measure, values in found.items()}
    spread = np.std(found["crossnobis"], axis=0) / np.sqrt(300)
    assert np.abs(bias["crossnobis"] / spread).max() < 4
    assert abs(bias["euclidean"].mean() - 2 / 4) < 0.02  # two means of four repeats, variance 1


def test_a_stimulus_to_which_all_respond_alike_has_no_correlation(data):
    values = data.values.copy()
    values[3] = 2.0
    silent = Responses("relu", data.stimuli, values)
    with pytest.raises(DataError, match="relu: 1 - r is not defined for 1 of .* stimuli, such as 'image 3'"):
        rdm(silent)
    assert np.isfinite(rdm(silent, "euclidean").values).all()


def of_some_neuroids(repeats):
    missing = (np.arange(NEUROIDS) == 2) & (np.arange(REPEATS)[:, None, None] > 0)
    return np.where(missing, np.nan, repeats)


def without_noise(repeats):
    return np.broadcast_to(repeats.mean(0), repeats.shape)


@pytest.mark.parametrize(
    ("measure", "change", "message"),
    [
        ("crossnobis", lambda repeats: None, "needs repeats of the stimuli"),
        ("crossnobis", lambda repeats: repeats[:1], "needs 2 repeats of each stimulus; 11 of 11 stimuli"),
        ("crossnobis", of_some_neuroids, "all neuroids at once"),
        (Crossnobis("diagonal"), without_noise, "7 of 7 neuroids respond alike in all"),
    ],
)
def test_refuses_repeats_that_it_cannot_read(data, measure, change, message):
    broken = Responses("data", data.stimuli, data.values, change(data.repeats))
    with pytest.raises(DataError, match=message):
        rdm(broken, measure)


def test_refuses_too_few_neuroids_and_unknown_names(data):
    with pytest.raises(DataError, match="measure correlation needs at least 3 neuroids. Got 2"):
        rdm(data.take(neuroids=[0, 1]))
    with pytest.raises(DataError, match="unknown measure 'cosine'"):
        rdm(data, "cosine")
    with pytest.raises(DataError, match="unknown noise 'full'"):
        Crossnobis("full")
    with pytest.raises(DataError, match="noise diagonal is for measure crossnobis"):
        measure_named("correlation", "diagonal")


def test_keeps_what_all_neuroids_share(data):
    known = {"animal": np.array(["A"] * NEUROIDS), "neuroid_id": np.arange(NEUROIDS)}
    made = rdm(Responses("data", data.stimuli, data.values, units=known))
    assert made.measure == "correlation" and {k: list(v) for k, v in made.units.items()} == {"animal": ["A"]}
