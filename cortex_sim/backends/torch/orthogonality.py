"""Orthogonality of weights: its measure, the soft penalties, and the projection back after a step."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from cortex_sim.regularisers import HardOrthogonality, Orthogonality

_log = logging.getLogger(__name__)

# Newton–Schulz X ← 1.5X − ½XXᵀX converges for singular values below √3; stay clear of the edge.
_SAFE_SQUARED = 2.5


def gram(w: Tensor) -> Tensor:
    """The smaller of WWᵀ and WᵀW, from w (post, inputs)."""
    return w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w


def squared_gain(w: Tensor) -> Tensor:
    """s² = ‖W‖²_F / min(post, inputs), the mean squared singular value."""
    return w.square().sum() / min(w.shape)


def deviation(w: Tensor) -> float:
    """‖G/s² − I‖_F / √n, n = min(post, inputs): 0 for orthogonal weights of any gain."""
    wide = w.detach().double()
    g = gram(wide) / squared_gain(wide)
    g.diagonal().sub_(1)
    return float(g.norm() / g.shape[0] ** 0.5)


def penalty_gradient(w: Tensor, rule: Orthogonality, generator: torch.Generator) -> Tensor:
    """Gradient 4λ(G − g²I)W of the penalty λ‖G − g²I‖², or its estimate from probes.

    arXiv 2102.11598; without the diagonal, 4λW·off(WᵀW), the code of arXiv 2006.06438.
    """
    if not rule.diagonal:
        columns = w.square().sum(0)  # the diagonal, which off leaves out
        product = (w @ w.T) @ w if w.shape[0] <= w.shape[1] else w @ (w.T @ w)
        return 4 * rule.strength * (product - w * columns)
    wide = w if w.shape[0] <= w.shape[1] else w.T
    goal = squared_gain(wide) if rule.gain is None else rule.gain**2
    if rule.probes is not None:
        v = torch.randn(wide.shape[0], rule.probes, generator=generator, dtype=w.dtype, device=w.device)
        echo = wide.T @ v  # (inputs, probe)
        grad = (wide @ echo - goal * v) @ echo.T / rule.probes
    else:
        g = wide @ wide.T
        g.diagonal().sub_(goal)
        grad = g @ wide
    grad = 4 * rule.strength * grad
    return grad if w.shape[0] <= w.shape[1] else grad.T


def largest_eigenvalue_size(g: Tensor, steps: int = 12) -> float:
    """Largest |eigenvalue| of a symmetric matrix, by power iteration from a fixed start."""
    v = torch.linspace(0.5, 1.5, g.shape[0], dtype=g.dtype, device=g.device)
    v[1::2] *= -1
    for _ in range(steps):
        v = v / v.norm().clamp_min(torch.finfo(g.dtype).tiny)
        v = g @ v
    return float(v.norm())


@torch.no_grad()
def pull_back(w: Tensor, rule: HardOrthogonality, name: str) -> Tensor:
    """Weights nearer to orthogonal, of the same gain s and shape (post, inputs).

    X ← X + ½ρ(X − XXᵀX) on X = W/s, or the exact polar factor where that would not converge.
    """
    wide = w if w.shape[0] <= w.shape[1] else w.T
    s2 = squared_gain(wide)
    g = wide @ wide.T / s2
    # Mean squared singular value is 1 by construction, so the Frobenius norm bounds the largest.
    if float((g.square().sum() - g.shape[0]).clamp_min(0).sqrt()) > _SAFE_SQUARED - 1:
        largest = largest_eigenvalue_size(g)
        if not largest < _SAFE_SQUARED:
            _log.warning(
                "%s: largest squared singular value %.2f of its mean, exact polar factor",
                name,
                largest,
            )
            pulled = _polar(wide, s2)
            return pulled if w.shape[0] <= w.shape[1] else pulled.T
    x = wide
    for step in range(rule.steps):
        if step:
            g = x @ x.T / s2
        x = torch.addmm(x, g, x, beta=1 + 0.5 * rule.strength, alpha=-0.5 * rule.strength)
    return x if w.shape[0] <= w.shape[1] else x.T


@torch.no_grad()
def pull_back_in_place(
    w: Tensor, rows: Tensor, extra: Tensor | None, rule: HardOrthogonality, name: str
) -> None:
    """The same for weights w whose matrix are ``rows``, with auxiliary units as further rows."""
    both = rows if extra is None else torch.cat([rows, extra])
    pulled = pull_back(both, rule, name)
    w.copy_(pulled[: len(rows)].reshape(w.shape))
    if extra is not None:
        extra.copy_(pulled[len(rows) :])


def _polar(w: Tensor, s2: Tensor) -> Tensor:
    u, _, vh = torch.linalg.svd(w.double(), full_matrices=False)
    return (s2.double().sqrt() * (u @ vh)).to(w.dtype)
