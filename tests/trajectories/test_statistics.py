"""Statistics of an observable against sums written out, scipy, and full decompositions."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.errors import DataError
from cortex_sim.trajectories import statistics
from cortex_sim.trajectories.statistics import NAMED, OBSERVABLES, History

SHAPES = [(7, 3), (3, 11), (13, 5), (5, 5)]  # (sample, unit), more of either


@st.composite
def histories(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = draw(st.sampled_from(SHAPES))
    size = 10.0 ** draw(st.integers(-6, 4))
    # Skewed, with an offset: so that mean, median and root mean square differ.
    return History(*(size * (rng.gamma(1.5, size=shape) - 0.7) for _ in range(3)))


def entries(x):
    return [x[i, j] for i, j in np.ndindex(x.shape)]


def mean(values):
    return sum(values) / len(values)


def dot(a, b):
    return sum(p * q for p, q in zip(entries(a), entries(b), strict=True))


def cosine(a, b):
    return dot(a, b) / (dot(a, a) ** 0.5 * dot(b, b) ** 0.5)


def pearson_of_pairs(x):
    pairs = itertools.combinations(x.T, 2)
    return mean([scipy.stats.pearsonr(a, b).statistic for a, b in pairs])


def dimension(x):
    values = np.linalg.eigvalsh(np.atleast_2d(np.cov(x.T)))
    return values.sum() ** 2 / (values**2).sum()


def stable_rank(x):
    values = np.linalg.svd(x, compute_uv=False)
    return (values**2).sum() / values[0] ** 2


def treves_rolls(x):
    sizes = [abs(v) for v in entries(x)]
    n = len(sizes)
    return (1 - mean(sizes) ** 2 / mean([s * s for s in sizes])) / (1 - 1 / n)


def norms(x):
    return [dot(x[:, j : j + 1], x[:, j : j + 1]) ** 0.5 for j in range(x.shape[1])]


REFERENCES = {
    "mean": lambda h: mean(entries(h.now)),
    "mean_abs": lambda h: mean([abs(v) for v in entries(h.now)]),
    "median": lambda h: scipy.stats.scoreatpercentile(entries(h.now), 50),
    "median_abs": lambda h: scipy.stats.scoreatpercentile(np.abs(entries(h.now)), 50),
    "third_quartile": lambda h: scipy.stats.scoreatpercentile(entries(h.now), 75),
    "variance": lambda h: mean([(v - mean(entries(h.now))) ** 2 for v in entries(h.now)]),
    "rms": lambda h: mean([v * v for v in entries(h.now)]) ** 0.5,
    "frobenius_norm": lambda h: (
        np.linalg.svd(h.now, compute_uv=False).dot(np.linalg.svd(h.now, compute_uv=False)) ** 0.5
    ),
    "spectral_norm": lambda h: np.linalg.svd(h.now, compute_uv=False)[0],
    "skewness": lambda h: scipy.stats.skew(entries(h.now)),
    "nonparametric_skewness": lambda h: (
        3 * (mean(entries(h.now)) - np.median(entries(h.now))) / np.std(entries(h.now))
    ),
    "kurtosis": lambda h: scipy.stats.kurtosis(entries(h.now)),
    "sparsity": lambda h: treves_rolls(h.now),
    "participation_ratio": lambda h: dimension(h.now),
    "relative_dimension": lambda h: dimension(h.now) / min(h.now.shape[1], h.now.shape[0] - 1),
    "stable_rank": lambda h: stable_rank(h.now),
    "mean_correlation": lambda h: pearson_of_pairs(h.now),
    "spread_over_units": lambda h: np.std(norms(h.now)) / np.mean(norms(h.now)),
    "mean_abs_change": lambda h: mean([abs(v) for v in entries(h.now - h.before)]),
    "relative_change": lambda h: (
        dot(h.now - h.before, h.now - h.before) ** 0.5 / dot(h.before, h.before) ** 0.5
    ),
    "cosine_to_before": lambda h: cosine(h.now, h.before),
    "cosine_to_first": lambda h: cosine(h.now, h.first),
    "change_along_before": lambda h: cosine(h.now - h.before, h.before),
    "change_stable_rank": lambda h: stable_rank(h.now - h.before),
}


def test_every_statistic_has_a_reference():
    assert set(REFERENCES) == set(NAMED)


@pytest.mark.parametrize("name", NAMED)
@settings(max_examples=12, deadline=None)
@given(history=histories())
def test_equals_the_formula_written_out(name, history):
    expected = REFERENCES[name](history)
    scale = 1.0 if NAMED[name].scale_free else np.abs(history.now).max()
    if name == "variance":
        scale = scale**2
    np.testing.assert_allclose(NAMED[name].of(history), expected, rtol=1e-8, atol=1e-9 * scale)


@pytest.mark.parametrize("name", NAMED)
@settings(max_examples=12, deadline=None)
@given(history=histories())
def test_scale_free_means_what_it_says(name, history):
    larger = History(*(1000.0 * x for x in (history.now, history.before, history.first)))
    same = np.isclose(NAMED[name].of(larger), NAMED[name].of(history), rtol=1e-6, atol=1e-9)
    assert same == NAMED[name].scale_free


@pytest.mark.parametrize("name", NAMED)
def test_which_units_are_called_first_does_not_matter(name):
    rng = np.random.default_rng(0)
    history = History(*rng.normal(size=(3, 7, 5)))
    order = rng.permutation(5)
    other = History(*(x[:, order] for x in (history.now, history.before, history.first)))
    np.testing.assert_allclose(NAMED[name].of(other), NAMED[name].of(history), rtol=1e-9, atol=1e-12)


def test_known_values():
    sparse = np.zeros((3, 4))
    sparse[1, 2] = -5.0
    assert statistics.sparsity(sparse) == pytest.approx(1.0)
    assert statistics.sparsity(np.full((3, 4), -2.0)) == pytest.approx(0.0)
    outer = np.outer([1.0, -2.0, 3.0, 0.5], [2.0, 1.0, -1.0])
    assert statistics.participation_ratio(outer) == pytest.approx(1.0)
    assert statistics.stable_rank(outer) == pytest.approx(1.0)
    assert statistics.stable_rank(np.eye(4)) == pytest.approx(4.0)
    assert statistics.mean_correlation(np.tile(np.arange(4.0)[:, None], 3)) == pytest.approx(1.0)
    assert statistics.spread_over_units(np.eye(4)) == pytest.approx(0.0)


def test_many_independent_normal_units_have_known_values():
    x = np.random.default_rng(0).normal(size=(4000, 20))
    assert abs(statistics.kurtosis(x)) < 0.1 and abs(statistics.skewness(x)) < 0.05
    assert statistics.participation_ratio(x) == pytest.approx(20, rel=0.02)
    assert statistics.sparsity(x) == pytest.approx(1 - 2 / np.pi, rel=0.02)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e-9])
def test_a_constant_population_has_numbers_not_nan(value):
    constant = np.full((6, 4), value)
    found = statistics.statistics({o: History(constant, constant, constant) for o in OBSERVABLES})
    assert np.isfinite(found).all()
    named = dict(zip(statistics.names(), found, strict=True))
    for name in ("skewness", "kurtosis", "participation_ratio", "mean_correlation", "change_stable_rank"):
        assert named[f"activity_{name}"] == 0


def test_at_the_first_snapshot_nothing_has_changed():
    x = np.random.default_rng(0).normal(size=(6, 4))
    found = statistics.statistics({o: History(x, x, x) for o in OBSERVABLES})
    named = dict(zip(statistics.names(), found, strict=True))
    for name in ("mean_abs_change", "relative_change", "change_along_before", "change_stable_rank"):
        assert named[f"weights_{name}"] == 0
    assert named["weights_cosine_to_first"] == pytest.approx(1.0)
    assert named["credit_activity_change_along"] == 0


def test_activity_that_follows_its_credit_is_recognised():
    rng = np.random.default_rng(0)
    before, credit, after = rng.normal(size=(3, 6, 4))
    activity = History(before + 0.1 * credit, before, before)
    weights = History(*rng.normal(size=(3, 5, 4)))
    found = statistics.statistics(
        {"activity": activity, "weights": weights, "credit": History(after, credit, credit)}
    )
    named = dict(zip(statistics.names(), found, strict=True))
    assert named["credit_activity_change_along"] == pytest.approx(1.0)
    assert named["credit_cosine_to_activity"] == pytest.approx(cosine(after, activity.now))


def test_names_say_which_observable_is_needed():
    names = statistics.names()
    assert len(set(names)) == len(names) == 3 * len(NAMED) + 2
    assert {statistics.observable_of(name) for name in names} == set(OBSERVABLES)
    assert statistics.observable_of("credit_cosine_to_activity") == "credit"
    assert statistics.is_scale_free("weights_stable_rank") and not statistics.is_scale_free("weights_mean")


@pytest.mark.parametrize(
    "x, match",
    [
        (np.ones((1, 4)), "at least 2 by 2"),
        (np.ones(4), "at least 2 by 2"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), "must be finite"),
    ],
)
def test_what_has_no_statistics_is_refused(x, match):
    good = np.ones((2, 2))
    bad = {"activity": History(good, good, good), "weights": History(x, x, x)}
    with pytest.raises(DataError, match=match):
        statistics.statistics({**bad, "credit": History(good, good, good)})


def test_snapshots_of_different_units_are_refused():
    x, y = np.ones((2, 2)), np.ones((2, 3))
    with pytest.raises(DataError, match="must have one shape"):
        statistics.statistics({o: History(x, y, x) for o in OBSERVABLES})
