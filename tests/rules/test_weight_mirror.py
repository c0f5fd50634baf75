import numpy as np
from agreement import relative_error

import cortex_sim as cs


def test_is_the_transpose_for_white_activity():
    """⟨ξ yᵀ⟩ = ⟨ξ ξᵀ⟩Wᵀ = Wᵀ where ξ's covariance is exactly I (Akrout et al. 2019, eq. 7)."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 5))
    xi = np.linalg.qr(rng.normal(size=(11, 5)))[0] * np.sqrt(11)
    ours = cs.WeightMirror(of="A->B").change(rng.normal(size=(5, 3)), xi @ w.T, xi)
    assert relative_error(ours, w.T) < 1e-12


def test_is_the_mean_of_outer_products():
    rng = np.random.default_rng(1)
    echo, xi = rng.normal(size=(7, 3)), rng.normal(size=(7, 5))
    outer = sum(np.outer(x, y) for x, y in zip(xi, echo, strict=True)) / 7
    ours = cs.WeightMirror(of="A->B").change(np.zeros((5, 3)), echo, xi)
    np.testing.assert_allclose(ours, outer, atol=1e-12)
