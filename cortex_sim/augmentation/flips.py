"""Mirror images of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from cortex_sim.augmentation.base import Pictures, Shape
from cortex_sim.checks import require_nonnegative
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register


@register("augmentation", "flip")
@dataclass(frozen=True)
class Flip:
    """Exchange left and right.

    Parameters
    ----------
    probability : float, default 0.5
        Share of presentations that are flipped, between 0 and 1.
    """

    probability: float = 0.5
    draws: ClassVar[int] = 1
    sized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_nonnegative(self, probability=self.probability)
        if self.probability > 1:
            raise DeclarationError(f"Flip: probability must be at most 1. Got {self.probability}")

    def within(self, size: tuple[int, int]) -> Flip:
        """Unchanged: a flip has no size."""
        return self

    def shape(self, have: Shape) -> Shape:
        """Unchanged."""
        return have

    def __call__(self, x: Pictures, u: NDArray[Any]) -> Pictures:
        """A copy."""
        x = x.copy()
        flipped = u[:, 0] < self.probability
        x[flipped] = x[flipped][..., ::-1]
        return x
