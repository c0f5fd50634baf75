"""What a step of an augmentation is."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from cortex_sim.checks import require_count
from cortex_sim.errors import DeclarationError

Shape = tuple[int, ...]
Pictures = NDArray[Any]


class Step(Protocol):
    """One change of pictures (n, channel, y, x); of 8 bits, or float32 from 0 to 1.

    A user's own is a frozen dataclass with these, registered by ``cs.register("augmentation", NAME)``.
    """

    draws: ClassVar[int]
    """Random numbers that a presentation needs; 0 where the change is always the same."""

    sized: ClassVar[bool]
    """Whether the size afterwards does not depend on the size before; then pictures may differ in theirs."""

    def within(self, size: tuple[int, int]) -> Step:
        """The same with sizes that were left open set to (rows, columns) of the population."""

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns) after it."""

    def __call__(self, x: Pictures, u: NDArray[Any]) -> Pictures:
        """Changed pictures; ``u`` (n, draws) are the random numbers, from 0 to below 1."""


Size = int | tuple[int, int] | None


def sides(owner: object, size: Size) -> tuple[int, int] | None:
    """Rows and columns; one number means both.

    Raises
    ------
    DeclarationError
        If it is something else.
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
