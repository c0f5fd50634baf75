"""The mixed step's arithmetic with its backward pass written out.

The meta-gradient spends most of its time here; autograd's backward pass of the same lines stores and
multiplies about twice as much.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Moved(torch.autograd.Function):
    """W + η₁ g + η₂ m′ s, with m′ = m + (1 − β₁)(g − m), v′ = β₂ v + (1 − β₂) g², s = (k + q v′)^−½.

    Weights W, change g and means m and v have shape (run, post, pre); η₁, η₂, k and q (run, 1, 1). Gradients
    are computed for all but k and q, which depend on the number of steps alone.
    """

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        g: Tensor,
        m: Tensor,
        v: Tensor,
        eta_1: Tensor,
        eta_2: Tensor,
        k: Tensor,
        q: Tensor,
        first: float,
        second: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """New weight, m′ and v′."""
        ctx.set_materialize_grads(False)
        m = torch.lerp(m, g, 1 - first)
        v = (second * v).addcmul_(g, g, value=1 - second)
        s = torch.addcmul(k, v, q).rsqrt_()
        ctx.save_for_backward(g, m, s, eta_1, eta_2, q)
        ctx.decays = first, second
        return torch.addcmul(weight, eta_1, g).addcmul_(eta_2, m * s), m, v

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of the loss with respect to W, g, m, v, η₁ and η₂."""
        g, m, s, eta_1, eta_2, q = ctx.saved_tensors
        first, second = ctx.decays
        to_weight, to_m, to_v = grads
        to_eta_1 = to_eta_2 = None
        to_g = torch.zeros_like(g)
        if to_weight is not None:
            ms = m * s
            to_eta_1, to_eta_2 = _dot(to_weight, g), _dot(to_weight, ms)
            scaled = to_weight * eta_2
            through_m = scaled * s
            to_m = through_m if to_m is None else through_m.add_(to_m)
            through_v = scaled.mul_(ms).mul_(s).mul_(s).mul_(-0.5 * q)
            to_v = through_v if to_v is None else through_v.add_(to_v)
            to_g = to_weight * eta_1
        if to_m is not None:
            to_g = to_g.add_(to_m, alpha=1 - first)
            to_m = to_m * first
        if to_v is not None:
            to_g = to_g.addcmul_(g, to_v, value=2 * (1 - second))
            to_v = to_v * second
        return to_weight, to_g, to_m, to_v, to_eta_1, to_eta_2, None, None, None, None


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Sum of a·b over each inner run, (run, 1, 1), without their product in memory."""
    return torch.bmm(a.reshape(len(a), 1, -1), b.reshape(len(b), -1, 1))
