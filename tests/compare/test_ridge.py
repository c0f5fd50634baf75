"""Ridge regression equals the normal equations, and its penalties those of fits that really leave out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.compare.reduction import coordinates, principal_components
from cortex_sim.compare.ridge import PENALTIES, Ridge, left_out_errors
from cortex_sim.errors import CortexSimError


def solved(x, y, alpha):
    """Weights and intercept from the normal equations, α absolute."""
    centred = x - x.mean(0)
    w = np.linalg.solve(centred.T @ centred + alpha * np.eye(x.shape[1]), centred.T @ (y - y.mean(0)))
    return w, y.mean(0) - x.mean(0) @ w


def draw(seed, n, p, q, noise=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * np.linspace(2, 0.3, p) + 5
    return x, x @ rng.normal(size=(p, q)) + noise * rng.normal(size=(n, q)) - 2


def unit(x):
    """The mean of the squared singular values that are not zero."""
    s = np.linalg.svd(x - x.mean(0), compute_uv=False)
    return (s[s > 1e-9] ** 2).mean()


shapes = st.sampled_from([(31, 7, 5), (29, 41, 3), (43, 43, 2)])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 9999), shapes, st.sampled_from([0.01, 1.0, 30.0]))
def test_errors_equal_those_of_fits_without_the_stimuli(seed, shape, alpha):
    x, y = draw(seed, *shape)
    inner = np.random.default_rng(seed).integers(0, 5, len(x))
    expected = np.zeros(y.shape[1])
    for fold in np.unique(inner):
        out = inner == fold
        w, b = solved(x[~out], y[~out], alpha)
        expected += ((y[out] - x[out] @ w - b) ** 2).sum(0)
    found = principal_components(x)
    centred = y - y.mean(0)
    errors = left_out_errors(found, centred, found.left.T @ centred, np.array([alpha]), inner)
    np.testing.assert_allclose(errors[0], expected, rtol=1e-7)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 9999), shapes)
def test_predictions_equal_the_normal_equations_with_the_best_penalty(seed, shape):
    x, y = draw(seed, *shape, noise=3.0)
    inner, grid = np.arange(len(x)) % 4, np.array([0.03, 0.3, 3.0])
    fitted = Ridge(tuple(grid), share=1.0).fit(x, y, inner)
    errors = np.zeros((3, y.shape[1]))
    for a, alpha in enumerate(grid * unit(x)):
        for fold in range(4):
            out = inner == fold
            w, b = solved(x[~out], y[~out], alpha)
            errors[a] += ((y[out] - x[out] @ w - b) ** 2).sum(0)
    best = grid[errors.argmin(0)]
    np.testing.assert_array_equal(fitted.penalties, best)
    new = np.random.default_rng(seed + 1).normal(size=(11, x.shape[1]))
    for neuroid in range(y.shape[1]):
        w, b = solved(x, y[:, [neuroid]], best[neuroid] * unit(x))
        np.testing.assert_allclose(fitted.predict(new)[:, [neuroid]], new @ w + b, atol=1e-8)


def test_every_neuroid_has_a_penalty_of_its_own():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 40))
    signal = x @ rng.normal(size=(40, 1))
    y = np.hstack([signal + 0.01 * rng.normal(size=(80, 1)), signal + 20 * rng.normal(size=(80, 1))])
    penalties = Ridge().fit(x, y, np.arange(80) % 8).penalties
    assert penalties[0] * 100 < penalties[1]


def test_a_grid_that_is_too_narrow_is_widened():
    x, y = draw(1, 61, 23, 5, noise=8.0)
    inner = np.arange(61) % 5
    wide = Ridge().fit(x, y, inner)
    assert ((wide.penalties > 1e-3) & (wide.penalties < 1e3)).all() and len(wide.grid) == len(PENALTIES)
    for narrow in [(1e-4, 1e-3), (1e3, 1e4)]:  # all best penalties are beyond one edge
        fitted = Ridge(narrow).fit(x, y, inner)
        assert len(fitted.grid) > 2
        np.testing.assert_allclose(fitted.penalties, wide.penalties, rtol=1e-9)
        assert not fitted.at_edge.any()


def test_widening_ends_where_there_is_nothing_to_predict():
    rng = np.random.default_rng(2)
    fitted = Ridge().fit(rng.normal(size=(50, 20)), rng.normal(size=(50, 7)), np.arange(50) % 5)
    assert fitted.grid[-1] <= 1e3 * 20 * 100 and np.isfinite(fitted.predict(rng.normal(size=(3, 20)))).all()


def test_penalties_do_not_depend_on_the_units_of_either_side():
    x, y = draw(3, 47, 19, 3, noise=5.0)
    inner = np.arange(47) % 5
    one, other = Ridge().fit(x, y, inner), Ridge().fit(1000 * x, y / 50, inner)
    np.testing.assert_array_equal(one.penalties, other.penalties)
    np.testing.assert_allclose(one.predict(x), 50 * other.predict(1000 * x), rtol=1e-9)


def test_features_that_are_all_the_same_predict_the_mean():
    y = np.random.default_rng(0).normal(size=(9, 2))
    fitted = Ridge().fit(np.ones((9, 4)), y, np.arange(9) % 3)
    np.testing.assert_allclose(fitted.predict(np.zeros((5, 4))), np.tile(y.mean(0), (5, 1)))


@pytest.mark.parametrize(
    "penalties, wrong",
    [
        ((), "penalties is empty"),
        ((1.0, 0.0), "must be a positive number"),
        ((np.nan,), "must be a positive"),
    ],
)
def test_penalties_are_positive_numbers(penalties, wrong):
    with pytest.raises(CortexSimError, match=wrong):
        Ridge(penalties)


@pytest.mark.parametrize("shape", [(23, 7), (23, 61)])
def test_components_equal_scikit_learns(shape):
    from sklearn.decomposition import PCA

    x = np.random.default_rng(4).normal(size=shape) * np.linspace(3, 1, shape[1])
    new = np.random.default_rng(5).normal(size=(11, shape[1]))
    theirs, ours = PCA(5, svd_solver="full").fit(x), principal_components(x, 5)
    np.testing.assert_allclose(ours.sizes, theirs.singular_values_, rtol=1e-10)
    np.testing.assert_allclose(np.abs(ours.scores(new)), np.abs(theirs.transform(new)), atol=1e-10)
    np.testing.assert_allclose(ours.left * ours.sizes, ours.scores(x), atol=1e-10)
    assert principal_components(x).sizes.shape == (min(shape[0] - 1, shape[1]),)


def test_many_stimuli_and_features_are_projected_at_random(monkeypatch):
    monkeypatch.setattr("cortex_sim.compare.reduction.EXACT", 50)
    x = np.random.default_rng(6).normal(size=(131, 73)) * np.logspace(1, -2, 73)
    some = principal_components(x, 9, seed=1)
    monkeypatch.undo()
    exact = principal_components(x, 9)
    np.testing.assert_allclose(some.sizes, exact.sizes, rtol=1e-3)
    np.testing.assert_allclose(some.left.T @ some.left, np.eye(9), atol=1e-8)


def test_coordinates_keep_what_ridge_predicts():
    x, y = draw(7, 31, 101, 3)
    narrow = coordinates(x)
    assert narrow.shape == (31, 30)
    np.testing.assert_allclose(  # differences between stimuli
        np.linalg.norm(narrow[:, None] - narrow, axis=2), np.linalg.norm(x[:, None] - x, axis=2), atol=1e-9
    )
    train, inner = slice(0, 20), np.arange(20) % 4
    whole = Ridge().fit(x[train], y[train], inner).predict(x[20:])
    np.testing.assert_allclose(
        Ridge().fit(narrow[train], y[train], inner).predict(narrow[20:]), whole, atol=1e-8
    )
    np.testing.assert_array_equal(coordinates(x[:, :7]), x[:, :7])
