"""Convolutions: the same matrix (C_out, C_in·k·k) at every place; with groups, one matrix per group.

Credit is summed where patches overlap, and credit onto padding is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cortex_sim.arrays import Array
from cortex_sim.connectors import Shape
from cortex_sim.convolution import Conv2d
from cortex_sim.operators.base import operator_of, units
from cortex_sim.operators.places import AtPlaces
from cortex_sim.operators.windows import windows
from cortex_sim.pairs import both


@dataclass(frozen=True)
class ConvOperator(AtPlaces):
    """Kernels (C_out, C_in / groups, row, column) between populations of shape (channel, row, column)."""

    connector: Conv2d

    called = "convolution"
    adds_bias = True

    @property
    def groups(self) -> int:  # type: ignore[override]
        """Number of groups of the connector."""
        return self.connector.groups

    def patches(self, r: Array) -> Array:
        """Inputs of each place, (…, [group,] presentation · place, C_in·k·k)."""
        if isinstance(r, np.ndarray):
            return super().patches(r)
        from torch.nn.functional import unfold

        columns = unfold(r.reshape(-1, *self.pre), **self._window).transpose(1, 2)
        lead, inputs = r.shape[:-2], columns.shape[2] // self.groups
        if self.groups == 1:
            return columns.reshape(*lead, -1, inputs)
        grouped = columns.reshape(*lead, -1, self.groups, inputs)
        return grouped.transpose(-2, -3)

    def gathered(self, x: Array) -> Array:
        """Sum over the patches that contain a pre unit, (…, presentation, pre unit)."""
        if isinstance(x, np.ndarray):
            return super().gathered(x)
        from torch.nn.functional import fold

        if self.groups > 1:
            x = x.transpose(-2, -3).flatten(-2)
        columns = x.reshape(-1, self.places, x.shape[-1]).transpose(1, 2)
        summed = fold(columns, self.pre[1:], **self._window)
        return summed.reshape(*x.shape[:-2], -1, units(self.pre))

    def up(self, r: Array, w: Array) -> Array:
        """W applied at every place, (…, presentation, post unit)."""
        if isinstance(r, np.ndarray) or w.ndim > 2:
            return super().up(r, w)
        maps = self.drive(r.reshape(-1, *self.pre), self._kernel(w), None)
        return maps.reshape(*r.shape[:-1], -1)

    def down(self, u: Array, w: Array) -> Array:
        """Wᵀ u of every place, summed where patches overlap, (…, presentation, pre unit)."""
        if isinstance(u, np.ndarray) or w.ndim > 2:
            return super().down(u, w)
        from torch.nn.grad import conv2d_input

        maps = u.reshape(-1, *self.post)
        summed = conv2d_input((len(maps), *self.pre), self._kernel(w), maps, *self.steps)
        return summed.reshape(*u.shape[:-1], -1)

    def drive(self, r: Any, w: Any, bias: Any) -> Any:
        """W r + b on maps, (presentation, C_out, row, column)."""
        from torch.nn.functional import conv2d

        return conv2d(r, w, bias, *self.steps)

    def drive_with_feedback(self, r: Any, w: Any, bias: Any, b: Any, rule: Any) -> Any:
        """The same, with a backward pass by transposed convolution with B."""
        from cortex_sim.operators.autograd import ConvWithFeedback

        return ConvWithFeedback.apply(r, w, bias, b, self, rule, *self.steps)

    @property
    def steps(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]:
        """Stride, padding, dilation and groups, as torch's functions take them."""
        c = self.connector
        return both(c.stride), both(c.padding), both(c.dilation), c.groups

    @property
    def _window(self) -> dict[str, Any]:
        stride, padding, dilation, _ = self.steps
        return {
            "kernel_size": both(self.connector.kernel),
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
        }

    def _kernel(self, w: Array) -> Array:
        return w.reshape(self.connector.weight_shape(self.pre, self.post))

    @cached_property
    def index(self) -> np.ndarray:
        """Pre unit under each entry of the kernel, (place, C_in·k·k); the number of pre units means padding.

        With groups (group, place, C_in·k·k), where C_in counts the channels of one group.
        """
        c = self.connector
        under = windows(self.pre, c.kernel, c.stride, c.padding, c.dilation)  # (channel, place, entry)
        grouped = under.reshape(c.groups, -1, *under.shape[1:]).swapaxes(1, 2)
        index = grouped.reshape(*grouped.shape[:2], -1)
        return index[0] if c.groups == 1 else index


@operator_of.register(Conv2d)
def _(connector: Conv2d, pre: Shape, post: Shape) -> ConvOperator:
    return ConvOperator(pre, post, connector)
