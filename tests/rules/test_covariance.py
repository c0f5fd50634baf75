import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs


@given(seed=st.integers(0, 1000), count=st.sampled_from([1, 5]), window=st.sampled_from([1.0, 4.0, 100.0]))
def test_equals_the_published_sum_and_slides_its_means(seed, count, window):
    rng = np.random.default_rng(seed)
    w, x, y = rng.normal(size=(3, 2)), rng.normal(size=(count, 2)), rng.normal(size=(count, 3))
    means = {"mean_post": rng.normal(size=3), "mean_pre": rng.normal(size=2)}
    expected = np.zeros((3, 2))
    for b, i, j in np.ndindex(count, 3, 2):
        expected[i, j] += (y[b, i] - means["mean_post"][i]) * (x[b, j] - means["mean_pre"][j]) / count
    moved = {name: value.copy() for name, value in means.items()}
    for _ in range(count):
        moved["mean_post"] += (y.mean(0) - moved["mean_post"]) / window
        moved["mean_pre"] += (x.mean(0) - moved["mean_pre"]) / window
    change, state = cs.Covariance(window=window).change(w, x, y, means)
    np.testing.assert_allclose(change, expected, atol=1e-12)
    for name, value in moved.items():
        np.testing.assert_allclose(state[name], value, atol=1e-12)


def test_usual_rates_change_nothing():
    state = {"mean_post": np.full(2, 3.0), "mean_pre": np.full(4, 1.5)}
    change, after = cs.Covariance().change(np.ones((2, 4)), np.full((5, 4), 1.5), np.full((5, 2), 3.0), state)
    assert not change.any()
    np.testing.assert_array_equal(after["mean_pre"], state["mean_pre"])


def test_opposite_departures_weaken():
    state = {"mean_post": np.ones(1), "mean_pre": np.ones(1)}
    change, _ = cs.Covariance().change(np.ones((1, 1)), np.array([[2.0]]), np.array([[0.5]]), state)
    assert change[0, 0] == pytest.approx(-0.5)


def test_window_is_at_least_one_presentation():
    with pytest.raises(cs.DeclarationError, match="Covariance: window must be at least 1 presentation"):
        cs.Covariance(window=0.5)
