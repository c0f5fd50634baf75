import numpy as np

import cortex_sim as cs


def test_equals_the_sum_over_synapses_and_presentations():
    rng = np.random.default_rng(0)
    w, x, y = rng.normal(size=(3, 2)), rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    expected = np.zeros((3, 2))
    for b, i, j in np.ndindex(5, 3, 2):
        expected[i, j] += y[b, i] * x[b, j] / 5
    np.testing.assert_allclose(cs.Hebbian().change(w, x, y), expected, atol=1e-14)


def test_grows_along_the_first_principal_component():
    x = np.random.default_rng(0).normal(size=(300, 4)) * [3, 1, 1, 1]
    w = np.full((1, 4), 0.1)
    for _ in range(200):
        w = w + 0.01 * cs.Hebbian().change(w, x, x @ w.T)
    component = np.linalg.eigh(x.T @ x)[1][:, -1]
    assert np.linalg.norm(w) > 10
    np.testing.assert_allclose(abs(w[0] / np.linalg.norm(w)), abs(component), atol=1e-6)


def test_silence_on_either_side_leaves_the_weights():
    ones, none = np.ones((5, 2)), np.zeros((5, 2))
    assert not cs.Hebbian().change(np.ones((2, 2)), ones, none).any()
    assert not cs.Hebbian().change(np.ones((2, 2)), none, ones).any()
