"""Layer normalisation: all units of a population at fixed mean and variance, presentation by presentation."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from cortex_sim.arrays import Array
from cortex_sim.checks import require_finite, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.normalisers.base import Shape
from cortex_sim.normalisers.group_norm import grouped_moments
from cortex_sim.registry import register


@register("normaliser", "layer_norm")
@dataclass(frozen=True)
class LayerNorm:
    """Mean and variance over all units of the population, in each presentation; one group of `GroupNorm`.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance; positive.
    gain : float, default 1.0
        Initial gain.

    References
    ----------
    Ba, Kiros & Hinton (2016), arXiv 1607.06450, equations 2 to 4; here with one gain and offset per channel
    where the shape has channels.
    """

    eps: float = 1e-5
    gain: float = 1.0
    running: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_positive(self, eps=self.eps)
        require_finite(self, gain=self.gain)

    def check(self, name: str, shape: Shape) -> None:
        """Check that there is more than one unit.

        Raises
        ------
        DeclarationError
            If there is only one.
        """
        if prod(shape) == 1:
            raise DeclarationError(
                f"population {name}: LayerNorm needs more than one unit, since one unit always equals its "
                "mean; use BatchNorm(), or more units"
            )

    def moments(self, a: Array) -> tuple[Array, Array]:
        """Mean and variance of drives (presentation, *shape), (presentation, channel, 1, 1) or (…, unit)."""
        return grouped_moments(a, 1)
