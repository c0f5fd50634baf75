"""Pooling: connectors without weights, from sheets of units to smaller ones, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cortex_sim.connectors import Shape, Unweighted, check_sheets
from cortex_sim.errors import DeclarationError
from cortex_sim.pairs import Pair, as_pair, both, places_along, written
from cortex_sim.registry import register


@dataclass(frozen=True)
class Pool2d(Unweighted):
    """Base of pooling over windows: `AveragePool2d` and `MaxPool2d`.

    Parameters
    ----------
    kernel : int or pair of int
        Sides of a window, in units.
    stride : int or pair of int, optional
        Step between windows, in units; by default the kernel, so that windows tile the sheet.
    padding : int or pair of int, default 0
        Places added on each side, at most half a window.
    """

    kernel: Pair
    stride: Any = None
    padding: Pair = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", as_pair(self, kernel=self.kernel))
        stride = self.kernel if self.stride is None else self.stride
        object.__setattr__(self, "stride", as_pair(self, stride=stride))
        object.__setattr__(self, "padding", as_pair(self, minimum=0, padding=self.padding))
        for side, edge in zip(both(self.kernel), both(self.padding), strict=True):
            if 2 * edge > side:
                raise DeclarationError(
                    f"{type(self).__name__}: padding must be at most half the kernel, so that no window lies "
                    f"outside. Got padding={written(self.padding)} with kernel={written(self.kernel)}"
                )

    def post_sides(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns that a pre population with so many of them leads to."""
        each = (both(x) for x in (self.kernel, self.stride, self.padding))
        return tuple(map(places_along, (rows, columns), *each))  # type: ignore[return-value]

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Shapes must be (channel, row, column), and post as large as the windows make it."""
        word = type(self).__name__
        check_sheets(name, word, pre, post, "Dense()")
        before, _, after = name.partition("->")
        rows, columns = self.post_sides(*pre[1:])
        if min(rows, columns) < 1:
            raise DeclarationError(
                f"projection {name}: a window of {written(self.kernel)} is larger than {before} with padding "
                f"{written(self.padding)} ({pre[1]}x{pre[2]}); use a smaller kernel"
            )
        if post != (pre[0], rows, columns):
            raise DeclarationError(
                f"projection {name}: {word} takes {pre} to {(pre[0], rows, columns)}, but {after} has shape "
                f"{post}; give {after} shape {(pre[0], rows, columns)}"
            )


@register("connector", "average_pool2d")
@dataclass(frozen=True)
class AveragePool2d(Pool2d):
    """Mean over windows of each channel; not plastic.

    Padding counts as silent units, so that every window has the same weights. Credit returns by the
    transpose: each unit of a window receives the credit of the post unit divided by the window's units.

    Parameters
    ----------
    kernel, stride, padding
        As of `Pool2d`.
    """


@register("connector", "max_pool2d")
@dataclass(frozen=True)
class MaxPool2d(Pool2d):
    """Largest rate in each window of each channel; not plastic, and not linear.

    Credit returns to the winner, the unit with the largest rate (the first of several, in order of rows), and
    to no other. Padding never wins.

    Parameters
    ----------
    kernel, stride, padding
        As of `Pool2d`.
    """


@register("connector", "global_average_pool2d")
@dataclass(frozen=True)
class GlobalAveragePool2d(Unweighted):
    """Mean of each channel over all places; post shape (channel,) or (channel, 1, 1); not plastic.

    Credit returns by the transpose: every place receives the credit of its channel divided by the places.
    """

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Pre must have shape (channel, row, column), post one unit a channel."""
        before, _, after = name.partition("->")
        if len(pre) != 3:
            raise DeclarationError(
                f"projection {name}: GlobalAveragePool2d needs a pre population of shape (channel, row, "
                f"column), but {before} has shape {pre}; give it three numbers, or use Dense()"
            )
        if post not in ((pre[0],), (pre[0], 1, 1)):
            raise DeclarationError(
                f"projection {name}: GlobalAveragePool2d() makes one unit of each of {pre[0]} channels of "
                f"{before}, but {after} has shape {post}; give {after} shape {(pre[0],)} or {(pre[0], 1, 1)}"
            )
