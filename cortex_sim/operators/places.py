"""One matrix at many places, each of which reads other pre units, as in a convolution."""

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

    #: Pre unit behind each input of each place, (place, input); the number of pre units means a silent input.
    index: Any
    called = "connector at several places"

    @property
    def places(self) -> int:
        """Post units of one channel."""
        return units(self.post[1:])

    def patches(self, r: Array) -> Array:
        """What each place reads, (…, presentation · place, input)."""
        padded: Array
        if isinstance(r, np.ndarray):
            padded = np.concatenate([r, np.zeros((*r.shape[:-1], 1), dtype=r.dtype)], axis=-1)
        else:
            from torch.nn.functional import pad

            padded = pad(r, (0, 1))
        return padded[..., self.index].reshape(*r.shape[:-2], -1, self.index.shape[1])

    def by_place(self, a: Array) -> Array:
        """Post units by place, (…, presentation · place, channel)."""
        lead = a.shape[:-2]
        return a.reshape(*a.shape[:-1], self.post[0], -1).swapaxes(-1, -2).reshape(*lead, -1, self.post[0])

    def placed(self, a: Array) -> Array:
        """Post units (…, presentation, post unit), from values by place."""
        lead = a.shape[:-2]
        by_presentation = a.reshape(*lead, -1, self.places, self.post[0])
        return by_presentation.swapaxes(-1, -2).reshape(*lead, -1, units(self.post))

    def gathered(self, x: Array) -> Array:
        """Sum over the places that read a pre unit, (…, presentation, pre unit)."""
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
    index : array of int, shape (place, input)
        Pre unit, counted over the whole population, for each input of each place; the number of
        pre units means a silent input.
    """

    index: np.ndarray
