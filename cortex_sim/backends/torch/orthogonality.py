"""Orthogonality of weights: its measure, the soft penalties, and the projection back after a step.

Weights w are matrices (post, inputs), or for a connector with groups a stack of them, (group, post, inputs);
then each group is made orthogonal separately, with its own gain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from cortex_sim.operators import Operator
from cortex_sim.regularisers import HardOrthogonality, Orthogonality

_log = logging.getLogger(__name__)

# Rows of WWᵀ computed at once where it is large; its upper blocks are mirrored.
_ROWS = 256
# Newton–Schulz X ← 1.5X − ½XXᵀX converges for singular values below √3; stay clear of the edge.
_SAFE_SQUARED = 2.5


def gram(w: Tensor) -> Tensor:
    """The smaller of WWᵀ and WᵀW, from w (…, post, inputs)."""
    return outer(w) if is_wide(w) else outer(w.mT)


def outer(x: Tensor) -> Tensor:
    """XXᵀ; if it is large, three eighths of the products are left out, because it is symmetric."""
    size = x.shape[-2]
    if x.ndim > 2 or size < 4 * _ROWS or x.device.type != "cpu" or x.requires_grad:
        return x @ x.mT
    g = x.new_empty(size, size)
    for start in range(0, size, _ROWS):
        end = start + _ROWS
        torch.mm(x[start:], x[start:end].T, out=g[start:, start:end])
        g[start:end, end:] = g[end:, start:end].T
    return g


def is_wide(w: Tensor) -> bool:
    """Whether inputs are at least as many as post units."""
    return w.shape[-2] <= w.shape[-1]


def squared_gain(w: Tensor) -> Tensor:
    """s² = ‖W‖²_F / min(post, inputs), the mean squared singular value; (), or of groups (group, 1, 1)."""
    squares = w.square()
    total = squares.sum() if w.ndim == 2 else squares.sum((-2, -1), keepdim=True)
    return total / min(w.shape[-2:])


def diagonal(g: Tensor) -> Tensor:
    """Diagonal of each matrix, a view."""
    return g.diagonal(dim1=-2, dim2=-1)


def deviation(w: Tensor) -> float:
    """‖G/s² − I‖_F / √n, n = min(post, inputs): 0 for orthogonal weights of any gain s; G as in `gram`.

    With several groups, their root mean square.
    """
    wide = w.detach().double()
    g = gram(wide) / squared_gain(wide)
    diagonal(g).sub_(1)
    return float(g.norm() / (g.numel() // g.shape[-1]) ** 0.5)


def penalty_gradient(w: Tensor, rule: Orthogonality, generator: torch.Generator) -> Tensor:
    """Gradient 4λ(G − g²I)W of the penalty λ‖G − g²I‖², or its estimate from random probes.

    As in arXiv 2102.11598; without the diagonal, 4λW·off(WᵀW), as in the code of arXiv 2006.06438.
    """
    if not rule.diagonal:
        columns = w.square().sum(-2, keepdim=True)  # the diagonal, which off leaves out
        product = (w @ w.mT) @ w if is_wide(w) else w @ (w.mT @ w)
        return 4 * rule.strength * (product - w * columns)
    wide = w if is_wide(w) else w.mT
    goal = squared_gain(wide) if rule.gain is None else rule.gain**2
    if rule.probes is not None:
        size = (*wide.shape[:-1], rule.probes)
        v = torch.randn(size, generator=generator, dtype=w.dtype, device=w.device)
        echo = wide.mT @ v  # (inputs, probe)
        grad = (wide @ echo - goal * v) @ echo.mT / rule.probes
    else:
        g = wide @ wide.mT
        own = diagonal(g)
        own.sub_(goal.squeeze(-1) if isinstance(goal, Tensor) and w.ndim > 2 else goal)
        grad = g @ wide
    grad = 4 * rule.strength * grad
    return grad if is_wide(w) else grad.mT


def largest_eigenvalue_size(g: Tensor) -> float:
    """Largest |eigenvalue| of a symmetric matrix, or of several (group, n, n)."""
    return float(largest_eigenvalue_sizes(g).max())


def largest_eigenvalue_sizes(g: Tensor) -> Tensor:
    """Largest |eigenvalue| of each matrix, () or (group,)."""
    return largest_growth(lambda v: g @ v, g)


def largest_growth(product: Callable[[Tensor], Tensor], like: Tensor, steps: int = 12) -> Tensor:
    """Largest |eigenvalue| of a symmetric ``product``, () or (group,), by power iteration from a fixed start.

    ``product`` takes and returns (n,) or (group, n, 1), where n is the length of the last axis but one of
    ``like``.
    """
    v = torch.linspace(0.5, 1.5, like.shape[-2], dtype=like.dtype, device=like.device)
    v[1::2] *= -1
    v = v if like.ndim == 2 else v.expand(like.shape[:-1])[..., None]
    axis = None if like.ndim == 2 else -2
    for _ in range(steps):
        v = v / v.norm(dim=axis, keepdim=like.ndim > 2).clamp_min(torch.finfo(like.dtype).tiny)
        v = product(v)
    return v.norm() if like.ndim == 2 else v.norm(dim=-2)[..., 0]


@torch.no_grad()
def pull_back(w: Tensor, rule: HardOrthogonality, name: str) -> Tensor:
    """Weights closer to orthogonal, with the same gain s and shape (post, inputs).

    X ← X + ½ρ(X − XXᵀX) on X = W/s, with ρ the rule's strength, or the exact polar factor where this would
    not converge.
    """
    wide = w if is_wide(w) else w.mT
    x = _nearer(wide, rule, name) if w.ndim == 2 else _each_nearer(wide, rule, name)
    return x if is_wide(w) else x.mT


def _nearer(wide: Tensor, rule: HardOrthogonality, name: str) -> Tensor:
    s2 = squared_gain(wide)
    g = outer(wide).div_(s2)
    # Mean squared singular value is 1 by construction, so the Frobenius norm bounds the largest.
    if float((g.square().sum() - g.shape[0]).clamp_min(0).sqrt()) > _SAFE_SQUARED - 1:
        largest = largest_eigenvalue_size(g)
        if not largest < _SAFE_SQUARED:
            _warn(name, largest)
            return _polar(wide, s2)
    return _stepped(wide, g, s2, rule)


def _each_nearer(wide: Tensor, rule: HardOrthogonality, name: str) -> Tensor:
    """As `_nearer`, for every group; exact polar factors only of the groups that need them."""
    s2 = squared_gain(wide)
    g = wide @ wide.mT / s2
    x = _stepped(wide, g, s2, rule)
    bound = (g.square().sum((-2, -1)) - g.shape[-1]).clamp_min(0).sqrt()
    if float(bound.max()) > _SAFE_SQUARED - 1:
        largest = largest_eigenvalue_sizes(g)
        far = (bound > _SAFE_SQUARED - 1) & ~(largest < _SAFE_SQUARED)
        if bool(far.any()):
            _warn(name, float(largest.max()))
            x[far] = _polar(wide[far], s2[far])
    return x


def _warn(name: str, largest: float) -> None:
    _log.warning(
        "%s: largest squared singular value %.2f times the mean, too far from orthogonal for a "
        "Newton-Schulz step; made exactly orthogonal instead",
        name,
        largest,
    )


def _stepped(wide: Tensor, g: Tensor, s2: Tensor, rule: HardOrthogonality) -> Tensor:
    """Newton–Schulz steps; G = XXᵀ is given for the first."""
    x = wide
    for step in range(rule.steps):
        if step:
            g = outer(x).div_(s2)
        x = _moved(x, g, rule.strength)
    return x


def _moved(x: Tensor, g: Tensor, strength: float) -> Tensor:
    """X + ½ρ(X − GX)."""
    add = torch.addmm if x.ndim == 2 else torch.baddbmm
    return add(x, g, x, beta=1 + 0.5 * strength, alpha=-0.5 * strength)


@torch.no_grad()
def pull_back_in_place(
    w: Tensor, op: Operator, extra: Tensor | None, rule: HardOrthogonality, name: str
) -> None:
    """As `pull_back`, in place, for weights w of a connector, with auxiliary units as further rows."""
    rows = op.blocks(op.matrix(w))
    both = rows if extra is None else torch.cat([rows, extra], dim=-2)
    pulled = pull_back(both, rule, name)
    w.copy_(pulled[..., : rows.shape[-2], :].reshape(w.shape))
    if extra is not None:
        extra.copy_(pulled[..., rows.shape[-2] :, :])


def _polar(w: Tensor, s2: Tensor) -> Tensor:
    u, _, vh = torch.linalg.svd(w.double(), full_matrices=False)
    return (s2.double().sqrt() * (u @ vh)).to(w.dtype)
