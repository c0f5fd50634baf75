"""Convolutions: one kernel for all positions, dense over channels or within groups of channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cortex_sim.checks import require_count
from cortex_sim.connectors import Shape, as_initialiser, check_given, check_sheets, size
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import GivenWeights, Orthogonal
from cortex_sim.pairs import Pair, as_pair, both, places_along, written
from cortex_sim.registry import LATER, register


@register("connector", "conv2d")
@dataclass(frozen=True)
class Conv2d:
    """Convolution between populations of shape (channel, row, column).

    Weights have shape (C_out, C_in / groups, rows, columns). ``kernel``, ``stride``, ``padding`` and
    ``dilation`` are one number, or a pair (rows, columns).

    Parameters
    ----------
    kernel : int or pair of int
        Sides of the receptive field, in units.
    stride : int or pair of int, default 1
        Step between receptive fields, in units.
    padding : int or pair of int, default 0
        Silent units added on each side.
    init : str, array or Initialiser, default "orthogonal"
        As for `Dense`, for the matrix of shape (C_out, C_in·rows·columns), or each group's part of it.
    dilation : int or pair of int, default 1
        Step between the units of one receptive field; 1 skips none.
    groups : int, default 1
        Number of channel groups, each convolved separately: the first C_in / groups channels drive the
        first C_out / groups, and so on. With ``groups`` equal to the channels of the pre population the
        convolution is depthwise. Each group's weights are drawn, inverted and made orthogonal separately.
    """

    kernel: Pair
    stride: Pair = 1
    padding: Pair = 0
    init: Any = Orthogonal()
    dilation: Pair = field(default=1, metadata=LATER)
    groups: int = field(default=1, metadata=LATER)
    plastic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            object.__setattr__(self, name, as_pair(self, **{name: getattr(self, name)}))
        object.__setattr__(self, "padding", as_pair(self, minimum=0, padding=self.padding))
        require_count(self, groups=self.groups)
        object.__setattr__(self, "init", as_initialiser(self.init, self))

    def post_sides(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of the post population, from those of the pre population."""
        each = (both(x) for x in (self.kernel, self.stride, self.padding, self.dilation))
        return tuple(map(places_along, (rows, columns), *each))  # type: ignore[return-value]

    def post_side(self, side: int) -> int:
        """Rows of the post population if the pre population has ``side`` rows."""
        return self.post_sides(side, side)[0]

    def weight_shape(self, pre: Shape, post: Shape) -> Shape:
        """(C_out, C_in / groups, rows, columns)."""
        return (post[0], pre[0] // self.groups, *both(self.kernel))

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` unless shapes are (channel, row, column) and post has the right size."""
        check_sheets(name, "a convolution", pre, post, "Dense()")
        before, _, after = name.partition("->")
        self._check_groups(name, pre, post)
        rows, columns = self.post_sides(*pre[1:])
        steps = "" if self.dilation == 1 else f"dilation {written(self.dilation)}"
        if min(rows, columns) < 1:
            raise DeclarationError(
                f"projection {name}: kernel {written(self.kernel)}{steps and f' with {steps}'} is larger "
                f"than {before} with padding {written(self.padding)} ({pre[1]}x{pre[2]}); use a "
                "smaller kernel or more padding"
            )
        if post[1:] != (rows, columns):
            raise DeclarationError(
                f"projection {name}: kernel {written(self.kernel)}, stride {written(self.stride)} and "
                f"padding {written(self.padding)}{steps and f' and {steps}'} take {pre[1]}x{pre[2]} to "
                f"{rows}x{columns}, but {after} has shape {post}; "
                f"give {after} shape {(post[0], rows, columns)}"
            )
        words = f"{before} has {pre[0]} channels", f"{after} {post[0]}"
        check_given(name, self.init, self.weight_shape(pre, post), *words)

    def _check_groups(self, name: str, pre: Shape, post: Shape) -> None:
        before, _, after = name.partition("->")
        for population, channels in ((before, pre[0]), (after, post[0])):
            if channels % self.groups:
                raise DeclarationError(
                    f"projection {name}: groups={self.groups} must divide the channels of both populations, "
                    f"but {population} has {channels}; use a divisor of {channels}, or another number of "
                    "channels"
                )

    def draw(self, rng: np.random.Generator, pre: Shape, post: Shape) -> np.ndarray:
        """Weights of `weight_shape`, one group after another."""
        shape = self.weight_shape(pre, post)
        if isinstance(self.init, GivenWeights):
            return self.init.draw(rng, shape[0], size(shape[1:])).reshape(shape)
        each = [self.init.draw(rng, shape[0] // self.groups, size(shape[1:])) for _ in range(self.groups)]
        return np.concatenate(each).reshape(shape)
