"""Top-down weights computed from bottom-up ones: the damped inverse, and the sign pattern.

Weights w are matrices (post, inputs), or for a connector with groups a stack of them, (group, post, inputs).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from cortex_sim.backends.torch.orthogonality import (
    diagonal,
    gram,
    is_wide,
    largest_eigenvalue_size,
    largest_growth,
    squared_gain,
)
from cortex_sim.errors import BuildError
from cortex_sim.feedback import Inverse

_log = logging.getLogger(__name__)

_SERIES_LIMIT = 0.2  # above this the truncated Neumann series is no longer an inverse


@dataclass(frozen=True)
class Solved:
    """A computed inverse and its status, which must still be read from the device.

    ``failed`` is nonzero if the solver failed.
    """

    kept: Tensor
    failed: Tensor | int
    plain: bool = False  # whether M is a multiple of the identity


@torch.no_grad()
def gram_inverse(w: Tensor, inverse: Inverse, name: str) -> Solved:
    """(G + αI)⁻¹, G the smaller of WWᵀ and WᵀW, from w (…, post, inputs); never below float32.

    B = WᵀM or MWᵀ with this M. M is stored instead of B because it varies more slowly: while W moves along
    orthogonal matrices, G changes only to second order, B to first order. The solver fails if the weights
    are rank-deficient and damping is 0.
    """
    wide = w.float() if w.dtype in (torch.bfloat16, torch.float16) else w
    scale = squared_gain(wide) + inverse.damping
    iterative = inverse.solver == "iterative"
    if iterative and _is_nearly_orthogonal(wide, scale, inverse):
        one = torch.eye(min(wide.shape[-2:]), dtype=wide.dtype, device=wide.device)
        one = one.repeat(*wide.shape[:-2], 1, 1)
        return Solved(one if inverse.rescale else one / scale, 0, plain=True)
    g = gram(wide)
    diagonal(g).add_(inverse.damping)
    m = _series(g, scale, inverse, name) if iterative else None
    if m is not None:
        return Solved(m if inverse.rescale else m / scale, 0)
    factor, failed = torch.linalg.cholesky_ex(g)
    diagonal(factor).add_((failed != 0)[..., None])  # a failed factor is not used, but must not be singular
    m = torch.cholesky_inverse(factor)
    return Solved(m * scale if inverse.rescale else m, failed.amax())


@torch.no_grad()
def difference_to_transpose(w: Tensor, inverse: Inverse, name: str) -> Solved:
    """(B − Wᵀ)ᵀ of a rescaled inverse, of w's shape (…, post, inputs): (M − I)W or W(M − I)."""
    solved = gram_inverse(w, inverse, name)
    if solved.plain:
        return Solved(torch.zeros_like(w), solved.failed)
    beyond = solved.kept.to(w.dtype).clone()
    diagonal(beyond).sub_(1)
    return Solved(beyond @ w if is_wide(w) else w @ beyond, solved.failed)


def lost_rank(name: str) -> str:
    """Message where `gram_inverse` failed."""
    return (
        f"projection {name}: its weights have lost full rank and cannot be inverted; give "
        "Inverse(damping=1e-3), a smaller learning rate, or an orthogonality regulariser"
    )


@torch.no_grad()
def as_number(m: Tensor) -> float | None:
    """The number x if M is exactly xI, so that no matrix product is needed; else None."""
    first = m.diagonal()[0]
    plain = torch.diag(first.expand(len(m)))
    return float(first) if torch.equal(m, plain) else None


@torch.no_grad()
def inverse_from_gram(w: Tensor, m: Tensor) -> Tensor:
    """B (…, inputs, post) from w (…, post, inputs) and M of `gram_inverse`."""
    return w.mT @ m if is_wide(w) else m @ w.mT


def _is_nearly_orthogonal(w: Tensor, scale: Tensor, inverse: Inverse) -> bool:
    """Whether I in place of β(G + αI)⁻¹ errs by less than the tolerance; found without computing G."""
    if not inverse.tolerance:
        return False
    short = w if is_wide(w) else w.mT

    def off(v: Tensor) -> Tensor:
        gram_v = short @ (short.mT @ v)
        return v - (gram_v + inverse.damping * v) / scale

    return bool(largest_growth(off, short).max() < inverse.tolerance)


def _series(g: Tensor, scale: Tensor, inverse: Inverse, name: str) -> Tensor | None:
    """β(G + αI)⁻¹ as I + E + E² + …, E = I − (G + αI)/β, β = s² + α; None where it would not converge."""
    off = g / -(float(scale) if scale.ndim == 0 else scale)
    diagonal(off).add_(1)
    radius = largest_eigenvalue_size(off)
    if not radius < _SERIES_LIMIT:
        _log.warning("%s: the series of the inverse would err by %.2f; solved directly instead", name, radius)
        return None
    total = off.clone()
    diagonal(total).add_(1)
    for _ in range(inverse.iterations - 1):
        total = off @ total
        diagonal(total).add_(1)
    return total


@torch.no_grad()
def auxiliary_inverse(w: Tensor, auxiliary: Tensor, rescale: bool) -> Solved:
    """Columns of [W; A]⁻¹ that belong to real units, (…, inputs, post)."""
    square = torch.cat([w, auxiliary], dim=-2)
    columns = torch.eye(square.shape[-1], w.shape[-2], dtype=w.dtype, device=w.device)
    columns = columns.expand(*w.shape[:-2], -1, -1)
    b, failed = torch.linalg.solve_ex(square, columns)
    return Solved(b * squared_gain(w) if rescale else b, failed.amax())


def singular_together(name: str) -> str:
    """Message where `auxiliary_inverse` failed."""
    return (
        f"projection {name}: weights and auxiliary units together form a singular matrix; give the "
        "projection an orthogonality regulariser, or use auxiliary=False"
    )


@torch.no_grad()
def complement(w: Tensor) -> Tensor:
    """Auxiliary rows A (…, inputs − post, inputs), orthogonal to w (…, post, inputs) and of equal gain."""
    q, _ = torch.linalg.qr(w.double().mT, mode="complete")
    rows = q[..., w.shape[-2] :].mT * squared_gain(w.double()).sqrt()
    return rows.to(w.dtype).contiguous()


@torch.no_grad()
def sign_pattern(w: Tensor) -> Tensor:
    """sign(W)·‖W‖_F/√(number of weights), of w's own shape."""
    return w.sign() * (w.square().mean().sqrt())


def check_invertible(w: Tensor, inverse: Inverse, name: str) -> None:
    """Raise `BuildError` where rank-deficient weights would be inverted without damping."""
    if inverse.damping:
        return
    values = torch.linalg.svdvals(w.double())
    floor = max(w.shape[-2:]) * torch.finfo(w.dtype).eps * values.amax(-1, keepdim=True)
    rank, full = int((values > floor).sum(-1).min()), values.shape[-1]
    if rank < full:
        of = "" if w.ndim == 2 else " in one of its groups"
        raise BuildError(
            f"projection {name}: weights have rank {rank} of {full}{of}, so they have no inverse; give "
            "Inverse(damping=1e-3), or initial weights of full rank"
        )
