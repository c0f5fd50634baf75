"""Convolutions: the same matrix (C_out, C_in·k·k) at every place.

Credit is summed where patches overlap, and credit onto padding is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cortex_sim.arrays import Array
from cortex_sim.connectors import Conv2d, Shape
from cortex_sim.operators.base import operator_of, units
from cortex_sim.operators.places import AtPlaces


@dataclass(frozen=True)
class ConvOperator(AtPlaces):
    """Kernels (C_out, C_in, k, k) between populations of shape (channel, row, column)."""

    connector: Conv2d

    called = "convolution"
    adds_bias = True

    def patches(self, r: Array) -> Array:
        """Inputs of each place, (…, presentation · place, C_in·k·k)."""
        if isinstance(r, np.ndarray):
            return super().patches(r)
        from torch.nn.functional import unfold

        c = self.connector
        columns = unfold(r.reshape(-1, *self.pre), c.kernel, padding=c.padding, stride=c.stride)
        return columns.transpose(1, 2).reshape(*r.shape[:-2], -1, columns.shape[1])

    def gathered(self, x: Array) -> Array:
        """Sum over the patches that contain a pre unit, (…, presentation, pre unit)."""
        if isinstance(x, np.ndarray):
            return super().gathered(x)
        from torch.nn.functional import fold

        c = self.connector
        columns = x.reshape(-1, self.places, x.shape[-1]).transpose(1, 2)
        summed = fold(columns, self.pre[1:], c.kernel, padding=c.padding, stride=c.stride)
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

        maps, c = u.reshape(-1, *self.post), self.connector
        summed = conv2d_input((len(maps), *self.pre), self._kernel(w), maps, c.stride, c.padding)
        return summed.reshape(*u.shape[:-1], -1)

    def drive(self, r: Any, w: Any, bias: Any) -> Any:
        """W r + b on maps, (presentation, C_out, row, column)."""
        from torch.nn.functional import conv2d

        return conv2d(r, w, bias, self.connector.stride, self.connector.padding)

    def drive_with_feedback(self, r: Any, w: Any, bias: Any, b: Any, rule: Any) -> Any:
        """The same, with a backward pass by transposed convolution with B."""
        from cortex_sim.operators.autograd import ConvWithFeedback

        return ConvWithFeedback.apply(r, w, bias, b, rule, self.connector.stride, self.connector.padding)

    def _kernel(self, w: Array) -> Array:
        return w.reshape(len(w), self.pre[0], self.connector.kernel, self.connector.kernel)

    @cached_property
    def index(self) -> np.ndarray:
        """Pre unit under each entry of the kernel, (place, C_in·k·k); their number means padding."""
        border, side, step = self.connector.padding, self.connector.kernel, self.connector.stride
        grid = np.pad(
            np.arange(units(self.pre)).reshape(self.pre),
            ((0, 0), (border, border), (border, border)),
            constant_values=units(self.pre),
        )
        windows: np.ndarray = np.lib.stride_tricks.sliding_window_view(grid, (side, side), (1, 2))  # type: ignore[call-overload]
        windows = windows[:, ::step, ::step]
        return windows.transpose(1, 2, 0, 3, 4).reshape(windows.shape[1] * windows.shape[2], -1)


@operator_of.register(Conv2d)
def _(connector: Conv2d, pre: Shape, post: Shape) -> ConvOperator:
    return ConvOperator(pre, post, connector)
