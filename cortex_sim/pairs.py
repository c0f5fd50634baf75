"""Settings of windows over sheets of units: one number for rows and columns alike, or a pair."""

from __future__ import annotations

from typing import Any

from cortex_sim.checks import name_of, require_count, short
from cortex_sim.errors import DeclarationError

#: One number for rows and columns alike, or (rows, columns).
Pair = int | tuple[int, int]


def as_pair(owner: object, minimum: int = 1, **values: Any) -> Pair:
    """The one value: a whole number as it is, of a pair a tuple, and one number where its two are equal.

    Raises
    ------
    DeclarationError
        Unless it is a whole number of at least ``minimum``, or two of them.
    """
    ((name, given),) = values.items()
    if not isinstance(given, (list, tuple)):
        require_count(owner, minimum=minimum, **{name: given})
        return int(given)
    if len(given) != 2:
        raise DeclarationError(
            f"{name_of(owner)}: {name} must be one number, or two for rows and columns. Got {short(given)}"
        )
    for number in given:
        require_count(owner, minimum=minimum, **{name: number})
    rows, columns = (int(number) for number in given)
    return rows if rows == columns else (rows, columns)


def both(pair: Pair) -> tuple[int, int]:
    """(rows, columns)."""
    return pair if isinstance(pair, tuple) else (pair, pair)


def written(pair: Pair) -> str:
    """For messages: ``3``, or ``3x5``."""
    return "x".join(map(str, pair)) if isinstance(pair, tuple) else str(pair)


def places_along(side: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Windows along one side; less than 1 where none fits."""
    return (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
