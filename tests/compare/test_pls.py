"""PLS equals scikit-learn's, and the equations written with explicit deflation."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.compare import pls
from cortex_sim.compare.pls import PLS
from cortex_sim.errors import CortexSimError


def reference(x, y, new, components):
    """PLS2 with E and F deflated in full, each direction from a full SVD."""
    e, f, at = x - x.mean(0), y - y.mean(0), new - x.mean(0)
    predicted = np.tile(y.mean(0), (len(new), 1))
    for _ in range(components):
        w = np.linalg.svd(e.T @ f)[0][:, 0]
        t = e @ w
        p, q = e.T @ t / (t @ t), f.T @ t / (t @ t)
        score = at @ w
        predicted += np.outer(score, q)
        e, f, at = e - np.outer(t, p), f - np.outer(t, q), at - np.outer(score, p)
    return predicted


def scikit_learn(x, y, new, components):
    from sklearn.cross_decomposition import PLSRegression

    fitted = PLSRegression(components, scale=False, tol=1e-24, max_iter=100_000).fit(x, y)
    return fitted.predict(new)


def draw(seed, n, p, q, latent=7, noise=0.5, spectrum=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n + 11, latent)) @ rng.normal(size=(latent, p)) + rng.normal(size=(n + 11, p))
    if spectrum is not None:
        x = x @ np.linalg.qr(rng.normal(size=(p, p)))[0] * spectrum
    y = x[:n] @ rng.normal(size=(p, q)) / np.sqrt(p) + noise * rng.normal(size=(n, q)) + 3.0
    return x[:n] + 1.0, y, x[n:] + 1.0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 9999), st.sampled_from([(31, 13, 7), (29, 41, 5), (53, 17, 23)]), st.integers(1, 9))
def test_equals_the_equations_and_scikit_learn(seed, shape, components):
    x, y, new = draw(seed, *shape)
    found = PLS(components).fit(x, y).predict(new)
    np.testing.assert_allclose(found, reference(x, y, new, components), atol=1e-9)
    np.testing.assert_allclose(found, scikit_learn(x, y, new, components), atol=1e-7)


@pytest.mark.parametrize("shape", [(307, 151, 131), (203, 131, 251)])
def test_the_search_for_directions_equals_a_full_decomposition(shape):
    """More features and neuroids than `SMALL`, both ways round: block Lanczos finds them."""
    assert min(shape[1:]) > pls.SMALL
    x, y, new = draw(1, *shape, latent=40)
    np.testing.assert_allclose(PLS(25).fit(x, y).predict(new), reference(x, y, new, 25), atol=1e-8)


def test_the_search_agrees_where_there_is_no_structure():
    rng = np.random.default_rng(2)
    x, y, new = rng.normal(size=(307, 151)), rng.normal(size=(307, 131)), rng.normal(size=(5, 151))
    np.testing.assert_allclose(PLS(10).fit(x, y).predict(new), reference(x, y, new, 10), atol=1e-7)


def test_ill_conditioned_features():
    x, y, new = draw(3, 83, 29, 11, spectrum=np.logspace(0, -5, 29))
    found = PLS(20).fit(x, y).predict(new)
    np.testing.assert_allclose(found, reference(x, y, new, 20), atol=1e-6)
    np.testing.assert_allclose(found, scikit_learn(x, y, new, 20), atol=1e-6)


def test_as_many_components_as_features_are_least_squares():
    x, y, new = draw(4, 61, 13, 5)
    weights = np.linalg.lstsq(np.c_[np.ones(61), x], y, rcond=None)[0]
    np.testing.assert_allclose(PLS(13).fit(x, y).predict(new), np.c_[np.ones(11), new] @ weights, atol=1e-9)


def test_fewer_stimuli_than_components_interpolate_with_the_smallest_weights():
    x, y, new = draw(5, 12, 37, 5)
    fitted = PLS(25).fit(x, y)
    assert fitted.components == 11
    np.testing.assert_allclose(fitted.predict(x), y, atol=1e-9)
    least = np.linalg.pinv(x - x.mean(0)) @ (y - y.mean(0))
    np.testing.assert_allclose(fitted.predict(new), (new - x.mean(0)) @ least + y.mean(0), atol=1e-8)


def test_features_of_low_rank_give_as_many_components():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(41, 3)) @ rng.normal(size=(3, 19)), rng.normal(size=(41, 7))
    fitted = PLS(25).fit(x, y)
    assert fitted.components == 3
    basis = np.linalg.svd(x - x.mean(0))[0][:, :3]
    np.testing.assert_allclose(fitted.predict(x), basis @ (basis.T @ y) + y.mean(0), atol=1e-9)


def test_responses_that_are_fitted_exactly_end_the_search():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(47, 13))
    fitted = PLS(13).fit(x, x[:, :1] @ np.ones((1, 5)))
    assert np.isfinite(fitted.predict(x)).all()
    np.testing.assert_allclose(fitted.predict(x), x[:, :1] @ np.ones((1, 5)), atol=1e-8)


def test_on_all_principal_components_nothing_changes():
    x, y, new = draw(8, 61, 17, 5)
    np.testing.assert_allclose(
        PLS(6, most=17).fit(x, y).predict(new), PLS(6).fit(x, y).predict(new), atol=1e-10
    )
    assert not np.allclose(PLS(6, most=8).fit(x, y).predict(new), PLS(6).fit(x, y).predict(new))


def test_features_that_are_all_the_same_predict_the_mean():
    y = np.random.default_rng(0).normal(size=(9, 2))
    fitted = PLS(3).fit(np.ones((9, 4)), y)
    assert fitted.components == 0
    np.testing.assert_allclose(fitted.predict(np.zeros((5, 4))), np.tile(y.mean(0), (5, 1)))


@pytest.mark.parametrize("components", [0, -1, 2.5, True])
def test_components_are_counted(components):
    with pytest.raises(CortexSimError, match="PLS: components must be a whole number of at least 1"):
        PLS(components)


@pytest.mark.slow
def test_a_fold_of_a_large_recording_takes_its_share_of_three_minutes():
    """2000 images, 1000 features and neuroids, 10 folds must take 180 s: 18 s of CPU for a fold of noise.

    benchmarks/pls_speed.py measures the whole; CPU time is that of this process, whatever else runs.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1800, 1000)), rng.normal(size=(1800, 1000))
    start = time.process_time()
    assert PLS(25).fit(x, y).components == 25
    assert time.process_time() - start < 18
