"""One matrix at many places, each of which reads different pre units, as in a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cortex_sim.arrays import Array
from cortex_sim.operators.base import Operator, units


class AtPlaces(Operator):
    """The same matrix (channel, input) at every place; `index` of a subclass defines what each place reads.

    The post population's shape has its channels first.
    """

    #: Pre unit for each input of each place, (place, input), or with several groups (group, place, input);
    #: the number of pre units means a silent input.
    index: Any
    called = "connector at several places"

    @property
    def places(self) -> int:
        """Number of post units of one channel."""
        return units(self.post[1:])

    def patches(self, r: Array) -> Array:
        """What each place reads, (…, [group,] presentation · place, input)."""
        padded: Array
        if isinstance(r, np.ndarray):
            padded = np.concatenate([r, np.zeros((*r.shape[:-1], 1), dtype=r.dtype)], axis=-1)
        else:
            from torch.nn.functional import pad

            padded = pad(r, (0, 1))
        read = padded[..., self.index]
        if self.groups > 1:
            read = read.swapaxes(-3, -4)
        return read.reshape(*read.shape[:-3], -1, read.shape[-1])

    def by_place(self, a: Array) -> Array:
        """Post units by place, (…, [group,] presentation · place, channel)."""
        lead, channels = a.shape[:-2], self.post[0] // self.groups
        if self.groups == 1:
            return a.reshape(*a.shape[:-1], channels, -1).swapaxes(-1, -2).reshape(*lead, -1, channels)
        grouped = a.reshape(*a.shape[:-1], self.groups, channels, -1).swapaxes(-1, -2)
        return grouped.swapaxes(-3, -4).reshape(*lead, self.groups, -1, channels)

    def placed(self, a: Array) -> Array:
        """Post units (…, presentation, post unit), from values by place."""
        channels = self.post[0] // self.groups
        by_presentation = a.reshape(*a.shape[:-2], -1, self.places, channels).swapaxes(-1, -2)
        if self.groups == 1:
            return by_presentation.reshape(*a.shape[:-2], -1, units(self.post))
        return by_presentation.swapaxes(-3, -4).reshape(*a.shape[:-3], -1, units(self.post))

    def gathered(self, x: Array) -> Array:
        """Sum over the places that read a pre unit, (…, presentation, pre unit)."""
        x = self.by_presentation(x)
        lead, size = x.shape[:-2], units(self.pre)
        rows = x.reshape(-1, self.index.size)
        if isinstance(x, np.ndarray):
            return np.asarray((self._incidence.T @ rows.T).T).astype(x.dtype).reshape(*lead, -1, size)
        import torch

        units_read = torch.as_tensor(self.index.ravel(), device=x.device)
        summed = rows.new_zeros(len(rows), size + 1).index_add(1, units_read, rows)
        return summed[:, :-1].reshape(*lead, -1, size)

    @cached_property
    def _incidence(self) -> Any:
        """Incidence of pre units and inputs of places, sparse (place · input, pre unit)."""
        from scipy import sparse

        entries, inside = np.arange(self.index.size), self.index.ravel() < units(self.pre)
        ones = np.ones(inside.sum())
        shape = (self.index.size, units(self.pre))
        return sparse.csr_array((ones, (entries[inside], self.index.ravel()[inside])), shape)


@dataclass(frozen=True, eq=False)
class Tied(AtPlaces):
    """A connector whose weights (channel, input) are the same at every place.

    Parameters
    ----------
    pre, post : tuple of int
        Shapes of the populations; the channels of ``post`` come first.
    index : array of int, shape (place, input) or (group, place, input)
        Pre unit, counted over the whole population, for each input of each place; the number of
        pre units means a silent input. With an axis of groups, each group of channels of ``post`` reads
        its own inputs, and the weights of all groups are one array (channel, input).
    """

    index: np.ndarray

    @property
    def groups(self) -> int:  # type: ignore[override]
        """Number of groups in ``index``."""
        return 1 if self.index.ndim == 2 else len(self.index)
