"""Projections as operators on rates of shape (presentation, unit): upward W r, downward Wᵀ u.

A convolution is the same matrix (C_out, C_in·k·k) at every place; what it sends down is added up
where patches overlap, and what would fall on padding is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cortex_sim.connectors import Conv2d, Identity, Shape
from cortex_sim.network import Network
from cortex_sim.projection import Projection


@dataclass(frozen=True)
class Everywhere:
    """A dense projection: one place, which sees all pre units."""

    places: int = 1

    def up(self, r: np.ndarray, w: np.ndarray) -> np.ndarray:
        """W r of shape (presentation, post), from w (post, pre)."""
        return r @ w.T

    def down(self, u: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Wᵀ u of shape (presentation, pre)."""
        return u @ w

    def seen(self, r: np.ndarray) -> np.ndarray:
        """What each place reads, (presentation·place, pre)."""
        return r

    def told(self, u: np.ndarray) -> np.ndarray:
        """Post units by place, (presentation·place, post)."""
        return u


@dataclass(frozen=True)
class UnitByUnit:
    """An identity: weight 1 between units of the same place."""

    places: int = 1

    def up(self, r: np.ndarray, w: np.ndarray) -> np.ndarray:
        """The rates themselves."""
        return r

    def down(self, u: np.ndarray, w: np.ndarray) -> np.ndarray:
        """What is told, unchanged."""
        return u

    def seen(self, r: np.ndarray) -> np.ndarray:
        """The rates."""
        return r

    def told(self, u: np.ndarray) -> np.ndarray:
        """What is told."""
        return u


class Patches:
    """A convolution, place by place.

    Attributes
    ----------
    index : array of shape (place, C_in·k·k)
        Pre unit under each entry of the kernel; the number of pre units stands for padding.
    """

    def __init__(self, pre: Shape, connector: Conv2d) -> None:
        units = int(np.prod(pre))
        border = connector.padding
        grid = np.pad(
            np.arange(units).reshape(pre),
            ((0, 0), (border, border), (border, border)),
            constant_values=units,
        )
        side = connector.kernel
        windows: np.ndarray = np.lib.stride_tricks.sliding_window_view(grid, (side, side), (1, 2))  # type: ignore[call-overload]
        windows = windows[:, :: connector.stride, :: connector.stride]
        self.index = windows.transpose(1, 2, 0, 3, 4).reshape(windows.shape[1] * windows.shape[2], -1)
        self.places, self.fan_in = self.index.shape
        entries = np.arange(self.index.size)
        inside = self.index.ravel() < units
        self._gather = sparse.csr_array(
            (np.ones(inside.sum()), (entries[inside], self.index.ravel()[inside])), (self.index.size, units)
        )

    def seen(self, r: np.ndarray) -> np.ndarray:
        """What each place reads, (presentation·place, C_in·k·k)."""
        padded = np.concatenate([r, np.zeros((len(r), 1))], axis=1)
        return padded[:, self.index].reshape(-1, self.fan_in)

    def told(self, u: np.ndarray) -> np.ndarray:
        """Post units by place, (presentation·place, C_out)."""
        return u.reshape(len(u), -1, self.places).transpose(0, 2, 1).reshape(len(u) * self.places, -1)

    def up(self, r: np.ndarray, w: np.ndarray) -> np.ndarray:
        """W applied at every place, (presentation, post)."""
        drive = (self.seen(r) @ w.T).reshape(len(r), self.places, -1)
        return drive.transpose(0, 2, 1).reshape(len(r), -1)

    def down(self, u: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Wᵀ u of every place, added up where patches overlap, (presentation, pre)."""
        return self.gathered((self.told(u) @ w).reshape(len(u), -1))

    def gathered(self, x: np.ndarray) -> np.ndarray:
        """Sum over the patches that each pre unit lies in, from x (presentation, place·C_in·k·k)."""
        return np.asarray((self._gather.T @ x.T).T)


Operator = Everywhere | UnitByUnit | Patches


def operator(net: Network, p: Projection) -> Operator:
    """Operator of a bottom-up or lateral projection."""
    match p.connector:
        case Conv2d():
            return Patches(net.populations[p.pre].shape, p.connector)
        case Identity():
            return UnitByUnit()
        case _:
            return Everywhere()
