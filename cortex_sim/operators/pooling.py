"""Pooling: averages, which are fixed linear maps, and maxima, which are linear only at given rates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.connectors import Shape
from cortex_sim.operators.base import Operator, operator_of, units
from cortex_sim.operators.windows import windows
from cortex_sim.pairs import both
from cortex_sim.pooling import AveragePool2d, GlobalAveragePool2d, MaxPool2d, Pool2d


@dataclass(frozen=True)
class _Pooling(Operator):
    """Base of pooling over windows."""

    connector: Pool2d

    called = "connector without weights"
    weighted = False
    shares_weights = False

    @property
    def window(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Kernel, stride and padding, as torch's functions take them."""
        c = self.connector
        return both(c.kernel), both(c.stride), both(c.padding)

    @property
    def sheet(self) -> Shape:
        """Shape of one channel below."""
        return (1, *self.pre[1:])


@dataclass(frozen=True)
class AveragePoolOperator(_Pooling):
    """Mean over windows, with silent padding."""

    def up(self, r: Array, w: Array) -> Array:
        """Means of windows, (…, presentation, post unit)."""
        if isinstance(r, np.ndarray):
            return self._by_channel(r, self._means)
        return self.drive(r.reshape(-1, *self.pre), None, None).reshape(*r.shape[:-1], -1)

    def down(self, u: Array, w: Array) -> Array:
        """The transpose: each unit of a window receives its share, (…, presentation, pre unit)."""
        if isinstance(u, np.ndarray):
            return self._by_channel(u, self._means.T)
        from torch.nn.grad import conv2d_input

        kernel, stride, padding = self.window
        maps = u.reshape(-1, 1, *self.post[1:])
        weights = u.new_full((1, 1, *kernel), 1 / units(kernel))
        summed = conv2d_input((len(maps), *self.sheet), weights, maps, stride, padding)
        return summed.reshape(*u.shape[:-1], -1)

    def drive(self, r: Any, w: Any, bias: Any) -> Any:
        """Means of windows of maps (presentation, *pre)."""
        from torch.nn.functional import avg_pool2d

        return avg_pool2d(r, *self.window)

    def _by_channel(self, x: np.ndarray, m: Any) -> np.ndarray:
        rows = x.reshape(-1, m.shape[1])
        return np.asarray((m @ rows.T).T).astype(x.dtype, copy=False).reshape(*x.shape[:-1], -1)

    @cached_property
    def _means(self) -> Any:
        """The map of one channel, sparse (place above, place below)."""
        from scipy import sparse

        c = self.connector
        under = windows(self.sheet, c.kernel, c.stride, c.padding)[0]
        place, entry = np.nonzero(under < units(self.sheet))
        shares = np.full(len(place), 1 / under.shape[1])
        return sparse.csr_array((shares, (place, under[place, entry])), (len(under), units(self.sheet)))


@dataclass(frozen=True)
class MaxPoolOperator(_Pooling):
    """Largest rate in each window; at given rates, the map that selects the winners."""

    linear = False

    def up(self, r: Array, w: Array) -> Array:
        """Largest rates, (…, presentation, post unit)."""
        if isinstance(r, np.ndarray):
            return self.at(r).up(r, w)
        return self.drive(r.reshape(-1, *self.pre), None, None).reshape(*r.shape[:-1], -1)

    def down(self, u: Array, w: Array) -> Array:
        """Undefined without rates; the map that `at` returns has it."""
        raise TypeError("max pooling is not linear, so down depends on the rates r; use at(r).down(u, None)")

    def drive(self, r: Any, w: Any, bias: Any) -> Any:
        """Largest rates of windows of maps (presentation, *pre)."""
        from torch.nn.functional import max_pool2d

        return max_pool2d(r, *self.window)

    def at(self, r: Array) -> Operator:
        """The map of the winners at rates r."""
        return Selection(self.pre, self.post, self._winners(r))

    def _winners(self, r: Array) -> Array:
        """Pre unit with the largest rate in each window, the first if several, as the post units."""
        if not isinstance(r, np.ndarray):
            from torch.nn.functional import max_pool2d

            _, found = max_pool2d(r.reshape(-1, *self.pre), *self.window, return_indices=True)
            below = units(self.sheet)
            first = below * array_namespace(found).arange(self.pre[0], device=found.device)
            return (found + first[:, None, None]).reshape(*r.shape[:-1], -1)
        padded = np.concatenate([r, np.full((*r.shape[:-1], 1), -np.inf, dtype=r.dtype)], axis=-1)
        first_of = padded[..., self._under].argmax(-1)
        chosen = np.take_along_axis(self._under, first_of.reshape(-1, len(self._under)).T, axis=1).T
        return chosen.reshape(first_of.shape)

    @cached_property
    def _under(self) -> np.ndarray:
        """Pre units under each window, (post unit, entry)."""
        c = self.connector
        return windows(self.pre, c.kernel, c.stride, c.padding).reshape(units(self.post), -1)


@dataclass(frozen=True, eq=False)
class Selection(Operator):
    """Each post unit takes the rate of one pre unit, which may differ between presentations.

    Parameters
    ----------
    pre, post : tuple of int
        Shapes of the populations.
    chosen : array of int, shape (…, presentation, post unit)
        Pre unit of each post unit.
    """

    chosen: Array

    called = "connector without weights"
    weighted = False
    shares_weights = False

    def up(self, r: Array, w: Array) -> Array:
        """Rates of the chosen pre units, (…, presentation, post unit)."""
        if isinstance(r, np.ndarray):
            return np.take_along_axis(r, self.chosen, axis=-1)
        return r.gather(-1, self.chosen)

    def down(self, u: Array, w: Array) -> Array:
        """The transpose: each chosen pre unit receives the sum over the post units that chose it."""
        below = units(self.pre)
        if not isinstance(u, np.ndarray):
            return u.new_zeros(*u.shape[:-1], below).scatter_add(-1, self.chosen, u)
        rows = u.reshape(-1, u.shape[-1])
        places = below * np.arange(len(rows))[:, None] + self.chosen.reshape(rows.shape)
        summed = np.bincount(places.ravel(), rows.ravel(), minlength=below * len(rows))
        return summed.astype(u.dtype, copy=False).reshape(*u.shape[:-1], below)


@dataclass(frozen=True)
class GlobalAverageOperator(Operator):
    """Mean of each channel."""

    called = "connector without weights"
    weighted = False
    shares_weights = False

    @property
    def below(self) -> int:
        """Number of places of one channel below."""
        return units(self.pre[1:])

    def up(self, r: Array, w: Array) -> Array:
        """Means of channels, (…, presentation, channel)."""
        return r.reshape(*r.shape[:-1], -1, self.below).mean(-1)

    def down(self, u: Array, w: Array) -> Array:
        """The transpose: each place receives its share, (…, presentation, pre unit)."""
        each = (u / self.below)[..., None]
        spread = array_namespace(u).broadcast_to(each, (*u.shape, self.below))
        return spread.reshape(*u.shape[:-1], -1)


@operator_of.register(AveragePool2d)
def _(connector: AveragePool2d, pre: Shape, post: Shape) -> AveragePoolOperator:
    return AveragePoolOperator(pre, post, connector)


@operator_of.register(MaxPool2d)
def _(connector: MaxPool2d, pre: Shape, post: Shape) -> MaxPoolOperator:
    return MaxPoolOperator(pre, post, connector)


@operator_of.register(GlobalAveragePool2d)
def _(connector: GlobalAveragePool2d, pre: Shape, post: Shape) -> GlobalAverageOperator:
    return GlobalAverageOperator(pre, post)
