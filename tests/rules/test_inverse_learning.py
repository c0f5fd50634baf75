"""The delta rule on the reconstruction: ΔB ∝ (ξ − By)yᵀ (Ahmad et al. 2020, discussion)."""

import numpy as np
import pytest
from agreement import relative_error

import cortex_sim as cs

RULE = cs.InverseLearning(of="A->B")


def reference(b, y, xi):
    db = np.zeros_like(b)
    for i, j in np.ndindex(b.shape):
        for y_b, x_b in zip(y, xi, strict=True):
            db[i, j] += (x_b[i] - sum(b[i, k] * y_b[k] for k in range(len(y_b)))) * y_b[j] / len(y)
    return db


def test_equals_the_sum_over_synapses():
    rng = np.random.default_rng(0)
    b, y, xi = rng.normal(size=(5, 3)), rng.normal(size=(7, 3)), rng.normal(size=(7, 5))
    np.testing.assert_allclose(RULE.change(b, y, xi), reference(b, y, xi), atol=1e-12)


def activity(rng, fan_in, covariance_root):
    white = np.linalg.qr(rng.normal(size=(40, fan_in)))[0] * np.sqrt(40)
    return white @ covariance_root.T


def settled(w, xi, b, steps=4000, rate=0.05):
    for _ in range(steps):
        b = b + rate * RULE.change(b, xi @ w.T, xi)
    return b


def test_fixed_point_is_the_inverse_for_white_activity():
    rng = np.random.default_rng(1)
    w = rng.normal(size=(3, 5))
    xi = activity(rng, 5, np.eye(5))
    assert relative_error(settled(w, xi, rng.normal(size=(5, 3))), np.linalg.pinv(w)) < 1e-9
    assert np.abs(RULE.change(np.linalg.pinv(w), xi @ w.T, xi)).max() < 1e-12


def test_fixed_point_for_coloured_activity_is_another_right_inverse():
    """C Wᵀ(W C Wᵀ)⁻¹, C the covariance of ξ."""
    rng = np.random.default_rng(2)
    w, root = rng.normal(size=(2, 3)), np.diag([1.0, 2.0, 0.5])
    xi, c = activity(rng, 3, root), root @ root.T
    b = settled(w, xi, np.zeros((3, 2)))
    assert relative_error(b, c @ w.T @ np.linalg.inv(w @ c @ w.T)) < 1e-9
    np.testing.assert_allclose(w @ b, np.eye(2), atol=1e-9)
    assert relative_error(b, np.linalg.pinv(w)) > 0.05


@pytest.mark.parametrize("start, reached", [(0.0, True), (1.0, False)])
def test_where_units_outnumber_inputs_b_must_start_at_zero(start, reached):
    """What lies outside W's range is never unlearned."""
    rng = np.random.default_rng(3)
    w = np.linalg.qr(rng.normal(size=(5, 2)))[0]
    b = settled(w, activity(rng, 2, np.eye(2)), start * rng.normal(size=(2, 5)), steps=1000)
    assert (relative_error(b, np.linalg.pinv(w)) < 1e-9) == reached
    np.testing.assert_allclose(b @ w, np.eye(2), atol=1e-9)
