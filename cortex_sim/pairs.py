"""Settings of kernels and pooling windows: one number for both rows and columns, or a pair."""

from __future__ import annotations

from typing import Any

from cortex_sim.checks import name_of, require_count, short
from cortex_sim.errors import DeclarationError

#: One number for both rows and columns, or (rows, columns).
Pair = int | tuple[int, int]


def as_pair(owner: object, minimum: int = 1, **values: Any) -> Pair:
    """Return the one value as a whole number, or as a tuple if it is a pair of different numbers.

    Raises
    ------
    DeclarationError
        Unless it is one whole number of at least ``minimum``, or two.
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
    """Number of windows along one side; less than 1 if none fits."""
    return (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
