import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs


@given(count=st.sampled_from([1, 5]), units=st.sampled_from([1, 2, 7]), seed=st.integers(0, 1000))
def test_equals_the_equation(count, units, seed):
    rng = np.random.default_rng(seed)
    w, r = rng.normal(size=(units, units)), rng.normal(size=(count, units))
    expected = np.zeros((units, units))
    for b, i, j in np.ndindex(count, units, units):
        if i != j:
            expected[i, j] += r[b, i] * r[b, j] / count
    np.testing.assert_allclose(cs.Decorrelation().change(w, r, r), expected, atol=1e-12)


def test_post_is_the_row():
    """Rates as they differ where signals take time: L_ij grows with post i and pre j."""
    pre, post = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
    np.testing.assert_array_equal(cs.Decorrelation().change(np.zeros((2, 2)), pre, post), [[0, 0], [2, 0]])


def test_uncorrelated_activity_changes_nothing():
    r = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert not cs.Decorrelation().change(np.ones((2, 2)), r, r).any()


def test_makes_correlated_activity_uncorrelated():
    """r = (I + L)^-1 x: the second moment of x is taken apart, its diagonal is not."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 5)) @ rng.normal(size=(5, 5))
    inhibition = np.zeros((5, 5))
    for _ in range(4000):
        r = np.linalg.solve(np.eye(5) + inhibition, x.T).T
        inhibition = inhibition + 0.02 * cs.Decorrelation().change(inhibition, r, r)
    moment = r.T @ r / len(r)
    assert abs(moment - np.diag(np.diag(moment))).max() < 1e-3
    assert (np.diag(moment) > 0.01).all() and not np.diag(inhibition).any()
    np.testing.assert_allclose(inhibition, inhibition.T, atol=1e-12)
