"""Pixels of stored pictures, decoded when requested; what cannot be decoded is replaced and named."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.augmentation.chain import Chain
from cortex_sim.data.pictures import Picture, pixels_of
from cortex_sim.data.streamed.stores import Store
from cortex_sim.data.streamed.unreadable import Unreadable
from cortex_sim.errors import DataError

FORMATS = ("JPEG", "PNG")
_MOST_IN_A_ROW = 1000


@dataclass(frozen=True, eq=False)
class StreamedPixels:
    """Pictures of a store, as `cortex_sim.data.pixels.Pixels`.

    A picture that cannot be read is replaced by the next readable one of the same class (in the order of
    these pictures; the first follows the last), so that labels stay correct, and what is shown depends on the
    stored pictures alone.

    Parameters
    ----------
    store : Store
    numbers : integer array of shape (n,)
        Which of its pictures these are.
    labels : integer array of shape (n,)
        Their classes.
    channels : {1, 3}
        Decoded as grey or as RGB.
    view : Chain
        Brings a whole picture to the size that is shown; without random numbers.
    unreadable : Unreadable
    strict : bool
        Whether to raise where a picture would be replaced.
    """

    store: Store
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]
    channels: int
    view: Chain
    unreadable: Unreadable
    strict: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channel, rows, columns) as shown."""
        return len(self.numbers), *self.view.shape((self.channels, 1, 1))

    @property
    def dtype(self) -> np.dtype[Any]:
        """8 bits."""
        return np.dtype(np.uint8)

    def rows(self, at: NDArray[np.int64]) -> NDArray[Any]:
        """Pictures as shown, (len(at), channel, rows, columns)."""
        found = np.empty((len(at), *self.shape[1:]), np.uint8)
        for row, number in zip(found, at, strict=True):
            row[:] = self.view([self.whole(int(number))], np.zeros(1, np.int64), 0)[0]
        return found

    def whole(self, at: int) -> NDArray[np.uint8]:
        """One picture in its own size, (channel, y, x).

        Raises
        ------
        DataError
            If neither it nor another of its class can be read.
        """
        for tried, other in enumerate(self._in_its_place(at)):
            number = int(self.numbers[other])
            try:
                return self._decoded(number)
            except DataError as exception:
                if self.strict:
                    raise
                self.unreadable.note({self.store.name(number): _reason(exception)})
            if tried == _MOST_IN_A_ROW:
                break
        raise DataError(
            f"data {self.store.source}: neither {self.store.name(int(self.numbers[at]))} nor another picture "
            f"of its class can be read ({tried + 1} tried); check that the files are still there"
        )

    def _in_its_place(self, at: int) -> Any:
        yield at
        alike = np.flatnonzero(self.labels == self.labels[at])
        after = int(np.searchsorted(alike, at)) + 1
        yield from np.roll(alike, -after)[:-1].tolist()

    def _decoded(self, number: int) -> NDArray[np.uint8]:
        encoded = self.store.read(number)
        picture = Picture(self.store.name(number), lambda: io.BytesIO(encoded))
        return pixels_of(self.store.source, picture, FORMATS, "L" if self.channels == 1 else "RGB")

    def chosen(self, at: NDArray[np.int64]) -> StreamedPixels:
        """These pictures alone; nothing is read."""
        return replace(self, numbers=self.numbers[at], labels=self.labels[at])

    def digest(self) -> str:
        """Digest of the encoded bytes, and of how they are shown."""
        found = hashlib.sha256(f"streamed {self.channels} {self.view}".encode())
        for number in self.numbers:
            found.update(hashlib.sha256(self.store.read(int(number))).digest())
        return found.hexdigest()


def _reason(exception: DataError) -> str:
    """Why a picture cannot be read, without the address of an object in memory."""
    return " ".join(
        re.sub(r" <\S+ object at 0x[0-9a-f]+>", "", str(exception.__cause__ or exception)).split()
    )
