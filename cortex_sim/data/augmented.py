"""Training presentations that look different in every epoch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.augmentation.chain import Chain
from cortex_sim.data.axes import keeps_order
from cortex_sim.data.pixels import Pixels
from cortex_sim.data.streamed.pixels import StreamedPixels
from cortex_sim.data.streamed.unreadable import Unreadable
from cortex_sim.errors import DataError
from cortex_sim.preprocessing import Preprocessing, as_shown


@dataclass(frozen=True, eq=False)
class Augmented:
    """Pictures that pass through an augmentation, then the network's preprocessing; a `Source`.

    Parameters
    ----------
    name : str
        Name used in error messages.
    pixels : Pixels
        Of shape (n, channel, y, x); uint8, or float32 from 0 to 1.
    labels : int64 array of shape (n,)
    chain : Chain
        Its random numbers depend on its seed, the epoch and the position in this set alone, so a presentation
        looks the same in any batch.
    shape : tuple of int
        Shape of a presentation as the network receives it.
    preprocessing : Preprocessing, optional

    Raises
    ------
    DataError
        If the presentations are not pictures, or do not have ``shape`` after augmentation.
    """

    name: str
    pixels: Pixels
    labels: NDArray[np.int64]
    chain: Chain
    shape: tuple[int, ...]
    preprocessing: Preprocessing | None = None

    def __post_init__(self) -> None:
        have = self.pixels.shape[1:]
        if len(have) != 3:
            raise DataError(
                f"data {self.name}: augmentation is for pictures (channel, y, x), but each presentation has "
                f"shape {have}; leave the augmentation out"
            )
        found = self.chain.shape(have)
        if not keeps_order(found, self.shape):
            raise DataError(
                f"data {self.name}: after augmentation pictures have shape {found}, but the network takes "
                f"{self.shape}; give the crop that size, or leave its size out"
            )

    def __len__(self) -> int:
        """Number of presentations."""
        return self.pixels.shape[0]

    @property
    def unreadable(self) -> Unreadable | None:
        """Record of pictures that could not be read, where they are read from disk."""
        return self.pixels.unreadable if isinstance(self.pixels, StreamedPixels) else None

    def chosen(self, at: NDArray[Any]) -> Augmented:
        """These presentations alone, renumbered from 0."""
        return replace(self, pixels=self.pixels.chosen(at), labels=self.labels[at])

    def batch(self, indices: NDArray[Any], epoch: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Presentations by number as they look in that epoch, and their labels."""
        at = np.arange(len(self))[indices]
        if isinstance(self.pixels, StreamedPixels):
            x = self.chain([self.pixels.whole(int(number)) for number in at], at, epoch)
        else:
            x = self.chain(self.pixels.rows(at), at, epoch)
        return as_shown(x.reshape(len(at), *self.shape), self.preprocessing), self.labels[at]
