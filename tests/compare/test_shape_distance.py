"""The shape distance is a metric, equals the best rotation, and its fit does not profit from copies."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_responses import planted, population, unrelated
from scipy.linalg import orthogonal_procrustes

from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.rdms import rdm
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.shape_distance import ShapeDistance, shape_distance
from cortex_sim.errors import DataError


def responses(name, values):
    return Responses(name, range(len(values)), values)


def reference(x, y):
    """arccos of the largest inner product over rotations, after padding with zeros; Williams et al. 2021."""
    wide = max(x.shape[1], y.shape[1])
    x, y = (np.pad(a - a.mean(0), ((0, 0), (0, wide - a.shape[1]))) for a in (x, y))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    rotation, _ = orthogonal_procrustes(y, x)
    return np.arccos(np.sum(x * (y @ rotation)))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([3, 5, 11]),
    st.sampled_from([1, 2, 7]),
    st.sampled_from([1, 4, 13]),
)
def test_equals_the_best_rotation(seed, stimuli, p, q):  # fmt: skip
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(stimuli, p)), rng.normal(size=(stimuli, q)) + 4
    assert np.cos(shape_distance(x, y)) == pytest.approx(np.cos(reference(x, y)), abs=1e-12)


def test_no_other_rotation_is_better():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 7, 4))
    x, y = x - x.mean(0), y - y.mean(0)
    best = np.cos(shape_distance(x, y)) * np.linalg.norm(x) * np.linalg.norm(y)
    others = [np.sum(x * (y @ np.linalg.qr(rng.normal(size=(4, 4)))[0])) for _ in range(2000)]
    assert max(others) <= best and max(others) > 0.7 * best


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_is_a_metric_on_populations_of_any_width(seed):
    rng = np.random.default_rng(seed)
    shapes = [rng.normal(size=(11, width)) for width in (2, 3, 7, 17)]
    for x, y, z in itertools.permutations(shapes, 3):
        assert shape_distance(x, y) == pytest.approx(shape_distance(y, x))
        assert shape_distance(x, z) <= shape_distance(x, y) + shape_distance(y, z) + 1e-9
        assert 0 < shape_distance(x, y) <= np.pi / 2
    rotated = 3 * shapes[1] @ np.linalg.qr(rng.normal(size=(5, 3)))[0].T - 2
    assert shape_distance(shapes[1], rotated) == pytest.approx(0, abs=1e-6)


def test_axes_of_the_population_may_not_be_stretched():
    x = np.random.default_rng(1).normal(size=(50, 6))
    assert shape_distance(x, x * np.linspace(0.1, 3, 6)) > 0.3


def test_is_a_metric_of_the_package_and_its_evaluation_an_evaluation():
    true, data = planted(0, stimuli=12, neuroids=17, repeats=2)
    metric: Metric = ShapeDistance()
    evaluation = metric.evaluate(true, data)
    assert isinstance(evaluation, Evaluation)
    assert (evaluation.stimuli, evaluation.units) == (12, 17)
    assert (
        evaluation.raw() == evaluation.score() == pytest.approx(np.cos(reference(true.values, data.values)))
    )
    assert evaluation.angle == pytest.approx(reference(true.values, data.values))


@pytest.mark.parametrize(("p", "q"), [(5, 17), (17, 5)])
def test_resampled_stimuli_keep_the_rotation(p, q):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(11, p)), rng.normal(size=(11, q))
    evaluation = ShapeDistance().evaluate(responses("x", x), responses("y", y))
    wide = 17
    x, y = (np.pad(a - a.mean(0), ((0, 0), (0, wide - a.shape[1]))) for a in (x, y))
    rotation, _ = orthogonal_procrustes(x, y)
    chosen = rng.integers(0, 11, 11)
    a, b = x[chosen] @ rotation, y[chosen]
    a, b = a - a.mean(0), b - b.mean(0)
    expected = np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
    assert evaluation.raw(stimuli=chosen) == pytest.approx(expected)


def test_resampled_stimuli_vary_about_the_score_where_a_new_fit_would_be_above_it():
    _, data = planted(3, stimuli=60, neuroids=40, repeats=4)
    evaluation = ShapeDistance().evaluate(unrelated(data, 0), data)
    rng = np.random.default_rng(4)
    samples = [rng.integers(0, 60, 60) for _ in range(100)]
    kept = np.mean([evaluation.raw(s) for s in samples])
    values = unrelated(data, 0).values
    fitted = np.mean([np.cos(shape_distance(values[s], data.values[s])) for s in samples])
    assert kept == pytest.approx(evaluation.raw(), abs=0.02)
    assert fitted > evaluation.raw() + 0.05


def test_resampled_neuroids_are_fitted_again():
    true, data = planted(5, stimuli=12, neuroids=7, repeats=2)
    evaluation = ShapeDistance().evaluate(true, data)
    chosen = np.array([6, 1, 1, 4])
    expected = np.cos(shape_distance(true.values, data.values[:, chosen]))
    assert evaluation.raw(units=chosen) == pytest.approx(expected)
    assert evaluation.raw(units=np.arange(7)) == pytest.approx(evaluation.raw())


def test_unrelated_populations_are_near_one_if_they_have_many_units():
    rng = np.random.default_rng(6)
    found = []
    for stimuli in (2000, 20):
        x, y = rng.normal(size=(stimuli, 400)), rng.normal(size=(stimuli, 300))
        found.append(ShapeDistance().evaluate(responses("x", x), responses("y", y)).raw())
    assert found[0] < 0.5 and found[1] > 0.95


@pytest.mark.parametrize(("noise", "repeats"), [(1.5, 10), (1.5, 3), (3.0, 10)])
def test_a_planted_model_reaches_the_ceiling_and_no_other_does(noise, repeats):
    metric = ShapeDistance(convention="over_ceiling")
    ratios, others = [], []
    for seed in range(6):
        true, data = planted(seed, repeats=repeats, noise=noise)
        evaluation = metric.evaluate(true, data)
        assert evaluation.raw() < 0.96
        ratios.append(evaluation.score())
        others.append(metric.evaluate(unrelated(data, seed), data).score())
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert np.max(others) < 0.9 * np.min(ratios)


def test_the_ceiling_takes_repeats_with_gaps():
    true, data = planted(7, repeats=8, missing=0.3)
    evaluation = ShapeDistance().evaluate(true, data)
    assert evaluation.raw() / evaluation.ceiling[0] == pytest.approx(1, abs=0.05)
    assert ShapeDistance().evaluate(true, Responses("means", data.stimuli, data.values)).ceiling is None


def test_constant_neuroids_are_left_out_and_bad_input_refused():
    rng = np.random.default_rng(8)
    x, y = population(rng, 12, 5), population(rng, 12, 4)
    wide = responses("wide", np.c_[x, np.ones((12, 3))])
    evaluation = ShapeDistance().evaluate(wide, responses("y", y))
    assert evaluation.raw() == pytest.approx(np.cos(shape_distance(x, y)))
    assert dict(evaluation.excluded) == {"model": 3, "neural": 0}
    with pytest.raises(DataError, match="0 of 2 neuroids of flat vary"):
        ShapeDistance().evaluate(wide, responses("flat", np.ones((12, 2))))
    with pytest.raises(DataError, match="needs responses of neuroids"):
        ShapeDistance().evaluate(wide, rdm(responses("y", y)))
    with pytest.raises(DataError, match="is the same to all these stimuli; give more"):
        evaluation.raw(np.array([3, 3, 3]))
    with pytest.raises(DataError, match="response of one population is the same"):
        shape_distance(x, np.ones((12, 2)))
