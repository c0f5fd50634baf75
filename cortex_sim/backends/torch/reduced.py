"""Batch normalisation over the presentations of all ranks: statistics, and credit through them, are combined.

torch's SyncBatchNorm does the same but needs GPUs; this one works with every backend of torch.distributed.

With N values per channel over all ranks, x̂ = (a − mean)/√(variance + eps) and g = ∂E/∂n,

    ∂E/∂a = gain/√(variance + eps) · (g − Σg/N − x̂ Σ(g x̂)/N),

where both sums run over all ranks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from cortex_sim.backends.torch import distributed


def reduced_batch_norm(a: Tensor, gain: Tensor, offset: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
    """N of this rank's drives (presentation, channel[, row, column]), and the statistics of all ranks.

    The statistics are mean and unbiased variance, (2, channel), without a graph.
    """
    n, met = _Reduced.apply(a, gain, offset, eps)
    return n, met


class _Reduced(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, gain: Tensor, offset: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(a.device.type, enabled=False):
            x = _by_channel(a, gain.dtype)
            variance, mean = torch.var_mean(x, dim=(0, 2), correction=0)
            count = torch.full_like(mean, x.shape[0] * x.shape[2])
            means, variances, counts = distributed.gathered(
                torch.stack([mean, variance, count])[None]
            ).unbind(1)
            share = counts / counts.sum(0)
            whole = (share * means).sum(0)
            spread = (share * (variances + (means - whole) ** 2)).sum(0)
            scale = (spread + eps).rsqrt()
            values = float(counts[:, 0].sum())
            n = (x - whole[:, None]) * (scale * gain)[:, None]
            n = n if offset is None else n + offset.to(n.dtype)[:, None]
        ctx.save_for_backward(a, gain, whole, scale)
        ctx.values, ctx.has_offset = values, offset is not None
        met = torch.stack([whole, spread * values / (values - 1)])
        ctx.mark_non_differentiable(met)
        return n.reshape(a.shape).to(a.dtype), met

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        a, gain, mean, scale = ctx.saved_tensors
        g = _by_channel(grad, gain.dtype)
        normal = (_by_channel(a, gain.dtype) - mean[:, None]) * scale[:, None]
        own = torch.stack([g.sum((0, 2)), (g * normal).sum((0, 2))])
        whole = own.clone()
        dist.all_reduce(whole)
        of_mean, of_variance = whole[:, :, None] / ctx.values
        down = (gain * scale)[:, None] * (g - of_mean - normal * of_variance)
        return down.reshape(a.shape).to(a.dtype), own[1], own[0] if ctx.has_offset else None, None


def _by_channel(a: Tensor, dtype: torch.dtype) -> Tensor:
    """Values (presentation, channel, place)."""
    return a.reshape(*a.shape[:2], -1).to(dtype)
