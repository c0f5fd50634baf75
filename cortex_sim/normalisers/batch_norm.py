"""Batch normalisation: every unit, or channel, at fixed mean and variance over presentations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.arrays import Array
from cortex_sim.checks import require_finite, require_flag, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.normalisers.base import Shape
from cortex_sim.registry import register


@register("normaliser", "batch_norm")
@dataclass(frozen=True)
class BatchNorm:
    """Mean and variance of each unit over presentations, or of each channel over presentations and places.

    In training, by `model(x, y)`, they are those of the batch, and update running averages,
    m ← (1 − momentum) m + momentum · (the batch's), with the unbiased estimate of the variance. Everything
    else, from `respond` and `updates` to protocols on both backends, uses the running averages: presentations
    are then independent, and the normaliser is one affine map.

    Parameters
    ----------
    momentum : float, default 0.1
        Weight of the latest batch in the running statistics, above 0 and at most 1.
    eps : float, default 1e-5
        Added to the variance; positive.
    gain : float, default 1.0
        Initial gain; 0 at the end of a residual block lets the skip alone drive the population at first.
    reduced : bool, default False
        In training on several ranks (processes), whether mean and variance are taken over the presentations
        of all ranks. By default each rank normalises by its own, and running statistics are means over ranks.

    References
    ----------
    Ioffe & Szegedy (2015), arXiv 1502.03167, algorithms 1 and 2.
    """

    momentum: float = 0.1
    eps: float = 1e-5
    gain: float = 1.0
    reduced: bool = False
    running: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive(self, momentum=self.momentum, eps=self.eps)
        require_finite(self, gain=self.gain)
        require_flag("BatchNorm", reduced=self.reduced)
        if self.momentum > 1:
            raise DeclarationError(f"BatchNorm: momentum must be at most 1. Got {self.momentum}")

    def check(self, name: str, shape: Shape) -> None:
        """Any shape can be normalised over presentations."""

    def moments(self, a: Array) -> tuple[Array, Array]:
        """Mean and variance of drives (presentation, *shape), (1, channel, 1, 1) or (1, unit)."""
        over = (0, *range(2, a.ndim))
        mean = a.mean(over, keepdims=True)
        return mean, ((a - mean) ** 2).mean(over, keepdims=True)
