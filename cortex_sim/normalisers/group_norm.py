"""Group normalisation: every group of channels at fixed mean and variance, presentation by presentation."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_count, require_finite, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.normalisers.base import Shape
from cortex_sim.registry import register


@register("normaliser", "group_norm")
@dataclass(frozen=True)
class GroupNorm:
    """Mean and variance over the units of a group of channels, in each presentation.

    Presentations are independent, in training too, and there are no running statistics. In a population
    without channels, the groups are of units.

    Parameters
    ----------
    groups : int
        Number of groups; divides the number of channels.
    eps : float, default 1e-5
        Added to the variance; positive.
    gain : float, default 1.0
        Initial gain.

    References
    ----------
    Wu & He (2018), arXiv 1803.08494, equations 1, 2 and 7.
    """

    groups: int
    eps: float = 1e-5
    gain: float = 1.0
    running: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_count("GroupNorm", groups=self.groups)
        require_positive(self, eps=self.eps)
        require_finite(self, gain=self.gain)

    def check(self, name: str, shape: Shape) -> None:
        """Check that groups are of equal size and have more than one unit.

        Raises
        ------
        DeclarationError
            If they are not, or have one unit.
        """
        what = "channels" if len(shape) == 3 else "units"
        if shape[0] % self.groups:
            raise DeclarationError(
                f"population {name}: GroupNorm needs groups of equally many {what}, but {self.groups} does "
                f"not divide {shape[0]}; use one of {_divisors(shape[0])}"
            )
        if prod(shape) == self.groups:
            raise DeclarationError(
                f"population {name}: with GroupNorm({self.groups}) every group is one unit, which always "
                "equals its mean; use fewer groups, or BatchNorm()"
            )

    def moments(self, a: Array) -> tuple[Array, Array]:
        """Mean and variance of drives (presentation, *shape), (presentation, channel, 1, 1) or (…, unit)."""
        return grouped_moments(a, self.groups)


def grouped_moments(a: Array, groups: int) -> tuple[Array, Array]:
    """Mean and variance over each of ``groups`` groups along axis 1 of drives (presentation, *shape)."""
    by_group = a.reshape(a.shape[0], groups, -1)
    mean = by_group.mean(2, keepdims=True)
    variance = ((by_group - mean) ** 2).mean(2, keepdims=True)
    xp, each = array_namespace(a), (a.shape[0], groups, a.shape[1] // groups)
    by_channel = (a.shape[0], a.shape[1], *[1] * (a.ndim - 2))
    return (
        xp.broadcast_to(mean, each).reshape(by_channel),
        xp.broadcast_to(variance, each).reshape(by_channel),
    )


def _divisors(number: int) -> str:
    found = [n for n in range(1, number + 1) if number % n == 0]
    return ", ".join(map(str, found if len(found) <= 8 else [*found[:7], "…", found[-1]]))
