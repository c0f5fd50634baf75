"""Pooling: connectors without weights that shrink rows and columns, channel by channel."""

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
        Step between windows, in units; by default the kernel, so that windows tile the population.
    padding : int or pair of int, default 0
        Positions added on each side, at most half a window.
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
                    f"{type(self).__name__}: padding must be at most half the kernel, so that every window "
                    f"covers units. Got padding={written(self.padding)} with kernel={written(self.kernel)}"
                )

    def post_sides(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of the post population, from those of the pre population."""
        each = (both(x) for x in (self.kernel, self.stride, self.padding))
        return tuple(map(places_along, (rows, columns), *each))  # type: ignore[return-value]

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` unless shapes are (channel, row, column) and post has the right size."""
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
    transpose: each unit of a window receives the credit of the post unit divided by the size of the window.

    Parameters
    ----------
    kernel, stride, padding
        As for `Pool2d`.
    """


@register("connector", "max_pool2d")
@dataclass(frozen=True)
class MaxPool2d(Pool2d):
    """Largest rate in each window of each channel; not plastic, and not linear.

    Credit returns only to the winner, the unit with the largest rate (of several, the first in row order).
    Padding never wins.

    Parameters
    ----------
    kernel, stride, padding
        As for `Pool2d`.
    """


@register("connector", "global_average_pool2d")
@dataclass(frozen=True)
class GlobalAveragePool2d(Unweighted):
    """Mean of each channel over all positions; post shape (channel,) or (channel, 1, 1); not plastic.

    Credit returns by the transpose: every position receives its channel's credit divided by their number.
    """

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` unless pre is (channel, row, column) and post has one unit per channel."""
        before, _, after = name.partition("->")
        if len(pre) != 3:
            raise DeclarationError(
                f"projection {name}: GlobalAveragePool2d needs a pre population of shape (channel, row, "
                f"column), but {before} has shape {pre}; give it three numbers, or use Dense()"
            )
        if post not in ((pre[0],), (pre[0], 1, 1)):
            raise DeclarationError(
                f"projection {name}: GlobalAveragePool2d() needs one post unit for each of the {pre[0]} "
                f"channels of {before}, but {after} has shape {post}; give {after} shape {(pre[0],)} or "
                f"{(pre[0], 1, 1)}"
            )
