"""What a step of an augmentation is."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from cortex_sim.checks import require_count
from cortex_sim.errors import DeclarationError

Shape = tuple[int, ...]
Pictures = NDArray[Any]


class Step(Protocol):
    """One change of pictures (n, channel, y, x), of 8 bits, or float32 from 0 to 1.

    A user-defined step is a frozen dataclass with these members, registered by
    ``cs.register("augmentation", NAME)``.
    """

    draws: ClassVar[int]
    """Number of random numbers that each presentation needs; 0 if the change is always the same."""

    sized: ClassVar[bool]
    """Whether pictures have the same size after the step whatever their sizes before it."""

    def within(self, size: tuple[int, int]) -> Step:
        """The step, with any size that was left open set to (rows, columns) of the population."""

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns) after the step, from those before it."""

    def __call__(self, x: Pictures, u: NDArray[Any]) -> Pictures:
        """Changed pictures; ``u`` (n, draws) holds the random numbers, at least 0 and below 1."""


Size = int | tuple[int, int] | None


def sides(owner: object, size: Size) -> tuple[int, int] | None:
    """Rows and columns; one number means both.

    Raises
    ------
    DeclarationError
        If ``size`` is anything else.
    """
    if size is None:
        return None
    given = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(given) != 2:
        raise DeclarationError(
            f"{type(owner).__name__}: size must be one number, or (rows, columns). Got {size!r}"
        )
    for number in given:
        require_count(owner, size=number)
    return int(given[0]), int(given[1])
