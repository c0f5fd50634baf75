"""Every connector's operator against the matrix it means, written down one unit at a time in float64."""

from math import prod

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.operators import operator_of

DENSE = (cs.Dense(), (2, 5, 3), (7,))
IDENTITY = (cs.Identity(), (2, 5, 3), (2, 5, 3))
CONVOLUTIONS = [
    (cs.Conv2d(1), (2, 5, 3), (3, 5, 3)),
    (cs.Conv2d(3), (2, 7, 5), (5, 5, 3)),
    (cs.Conv2d(3, stride=2, padding=1), (2, 7, 5), (5, 4, 3)),
    (cs.Conv2d(2, stride=3), (3, 7, 5), (2, 2, 2)),
    (cs.Conv2d(4, padding=2), (1, 5, 3), (2, 6, 4)),
]
ALL = [DENSE, IDENTITY, *CONVOLUTIONS]
WEIGHTED = [DENSE, *CONVOLUTIONS]
LEADS = [(), (2,), (2, 3)]
PRESENTATIONS = 4


def weights(connector, pre, post, lead=()):
    return np.random.default_rng(1).normal(size=(*lead, *connector.weight_shape(pre, post)))


def meant(connector, pre, post, w):
    """The matrix (post unit, pre unit), one synapse at a time."""
    m = np.zeros((*post, *pre))
    if isinstance(connector, cs.Dense):
        return w.copy()
    if isinstance(connector, cs.Identity):
        return np.eye(prod(pre))
    for o, row, column, c, i, j in np.ndindex(*post, pre[0], connector.kernel, connector.kernel):
        y = row * connector.stride + i - connector.padding
        x = column * connector.stride + j - connector.padding
        if 0 <= y < pre[1] and 0 <= x < pre[2]:
            m[o, row, column, c, y, x] += w[o, c, i, j]
    return m.reshape(prod(post), prod(pre))


def given(case, lead=()):
    """Operator, its matrix, the dense matrix, rates and credits."""
    connector, pre, post = case
    op, rng = operator_of(connector, pre, post), np.random.default_rng(2)
    w = weights(*case)
    r = rng.normal(size=(*lead, PRESENTATIONS, prod(pre)))
    u = rng.normal(size=(*lead, PRESENTATIONS, prod(post)))
    return op, op.matrix(w) if op.weighted else w, meant(connector, pre, post, w), r, u


def as_torch(x):
    return torch.as_tensor(x.copy())


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("case", ALL, ids=str)
def test_up_and_down_are_the_matrix_and_its_transpose(case, lead):
    op, w, m, r, u = given(case, lead)
    np.testing.assert_allclose(op.up(r, w), r @ m.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(op.down(u, w), u @ m, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(op.up(as_torch(r), as_torch(w)), r @ m.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(op.down(as_torch(u), as_torch(w)), u @ m, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose((op.up(r, w) * u).sum(), (r * op.down(u, w)).sum(), rtol=1e-10)


@pytest.mark.parametrize("case", WEIGHTED, ids=str)
def test_weights_of_their_own_for_each_network_side_by_side(case):
    connector, pre, post = case
    op, rng = operator_of(connector, pre, post), np.random.default_rng(3)
    several = weights(*case, lead=(3,))
    w = as_torch(np.stack([op.matrix(one) for one in several]))
    r, u = rng.normal(size=(3, PRESENTATIONS, prod(pre))), rng.normal(size=(3, PRESENTATIONS, prod(post)))
    up, down = op.up(as_torch(r), w), op.down(as_torch(u), w)
    for one, of_one in enumerate(several):
        m = meant(connector, pre, post, of_one)
        np.testing.assert_allclose(up[one], r[one] @ m.T, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(down[one], u[one] @ m, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, as_torch], ids=["numpy", "torch"])
@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("case", WEIGHTED, ids=str)
def test_places_go_there_and_back(case, lead, kind):
    op, w, _, r, u = given(case, lead)
    by_place, patches = op.by_place(kind(u)), op.patches(kind(r))
    assert by_place.shape == (*lead, PRESENTATIONS * op.places, w.shape[0])
    assert patches.shape == (*lead, PRESENTATIONS * op.places, w.shape[1])
    np.testing.assert_array_equal(op.placed(by_place), u)
    x = np.random.default_rng(4).normal(size=patches.shape)
    gathered = np.asarray(op.gathered(kind(x)))
    np.testing.assert_allclose((np.asarray(patches) * x).sum(), (r * gathered).sum(), rtol=1e-10)


@pytest.mark.parametrize("case", WEIGHTED, ids=str)
def test_weights_and_feedback_are_seen_in_the_same_memory(case):
    op, w = operator_of(*case), weights(*case)
    assert np.shares_memory(op.matrix(w), w)
    np.testing.assert_array_equal(op.matrix(w).reshape(w.shape), w)
    b = w if op.feedback_like_weights else w.T.copy()
    seen = op.feedback_matrix(b)
    assert seen.shape == op.matrix(w).T.shape
    assert np.shares_memory(seen, b)
    back = op.as_feedback(seen, b.shape)
    np.testing.assert_array_equal(back, b)
    assert np.shares_memory(back, b)


@pytest.mark.parametrize("kind", [np.asarray, as_torch], ids=["numpy", "torch"])
@pytest.mark.parametrize("case", ALL, ids=str)
def test_single_precision_follows_double(case, kind):
    op, w, m, r, u = given(case)
    half = [kind(x.astype(np.float32)) for x in (r, u, w)]
    up, down = op.up(half[0], half[2]), op.down(half[1], half[2])
    assert str(up.dtype).endswith("float32") and str(down.dtype).endswith("float32")
    np.testing.assert_allclose(up, r @ m.T, rtol=0, atol=1e-5 * abs(r @ m.T).max())
    np.testing.assert_allclose(down, u @ m, rtol=0, atol=1e-5 * abs(u @ m).max())
