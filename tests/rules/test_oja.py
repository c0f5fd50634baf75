import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs


def reference(w, x, y, norm):
    """The equation, one synapse and one presentation at a time."""
    dw = np.zeros_like(w)
    for i, j in np.ndindex(w.shape):
        for x_b, y_b in zip(x, y, strict=True):
            dw[i, j] += (y_b[i] * x_b[j] - y_b[i] ** 2 * w[i, j] / norm**2) / len(x)
    return dw


@given(seed=st.integers(0, 1000), norm=st.sampled_from([0.5, 1.0, 2.0]))
def test_equals_the_published_sum(seed, norm):
    rng = np.random.default_rng(seed)
    w, x, y = rng.normal(size=(3, 2)), rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    np.testing.assert_allclose(cs.Oja(norm=norm).change(w, x, y), reference(w, x, y, norm), atol=1e-12)


def test_silent_post_neither_learns_nor_forgets():
    assert not cs.Oja().change(np.ones((2, 3)), np.ones((5, 3)), np.zeros((5, 2))).any()


def test_finds_the_first_principal_component():
    x = np.random.default_rng(0).normal(size=(500, 5)) * [3, 1, 1, 1, 1]
    w = np.full((1, 5), 0.1)
    for _ in range(500):
        w = w + 0.01 * cs.Oja(norm=2.0).change(w, x, x @ w.T)
    component = np.linalg.eigh(x.T @ x)[1][:, -1]
    np.testing.assert_allclose(abs(w[0]), 2.0 * abs(component), atol=1e-6)


@pytest.mark.parametrize("norm", [0, -1, float("nan"), "1"])
def test_norm_must_be_positive(norm):
    with pytest.raises(cs.DeclarationError, match="Oja: norm must be a positive number"):
        cs.Oja(norm=norm)
