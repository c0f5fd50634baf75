"""Where the pixels of stimuli come from: an array, pictures decoded when requested, or fitted ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cortex_sim.data.fitting import Step
from cortex_sim.data.limits import MAX_BYTES, Progress, require_room
from cortex_sim.data.pictures import Picture, layout_of, pixels_of
from cortex_sim.errors import DataError

HELD_BYTES = 2**28  # 256 MiB: smaller sets are decoded or fitted at once, larger ones batch by batch
_BLOCK_BYTES = 2**26

Indices = NDArray[np.int64]


@runtime_checkable
class Pixels(Protocol):
    """Stimuli of one shape, read by number; uint8, or finite float32.

    `StimulusSet` accepts any object with these attributes and methods.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, *stimulus)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or float32."""

    def rows(self, at: Indices) -> NDArray[Any]:
        """The stimuli with these numbers, (len(at), *stimulus)."""

    def chosen(self, at: Indices) -> Pixels:
        """These stimuli alone; nothing is read."""

    def digest(self) -> str:
        """Hexadecimal digest of the content, and of how it is read; equal only for equal content."""


@dataclass(frozen=True, eq=False)
class Held:
    """An array in memory."""

    values: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, *stimulus)."""
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the array."""
        return self.values.dtype

    def rows(self, at: Indices) -> NDArray[Any]:
        """A copy of the rows."""
        return self.values[at]

    def chosen(self, at: Indices) -> Held:
        """A copy of the rows, held."""
        return Held(self.values[at])

    def digest(self) -> str:
        """Digest of dtype, shape and bytes."""
        found = hashlib.sha256(f"array {self.dtype.str} {self.shape}".encode())
        found.update(np.ascontiguousarray(self.values).data)
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Encoded:
    """Pictures that are decoded whenever they are requested; made by `encoded`."""

    source: str
    pictures: tuple[Picture, ...]
    formats: tuple[str, ...]
    mode: str
    stimulus: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channel, y, x)."""
        return len(self.pictures), *self.stimulus

    @property
    def dtype(self) -> np.dtype[Any]:
        """8 bits."""
        return np.dtype(np.uint8)

    def rows(self, at: Indices) -> NDArray[Any]:
        """Decoded pictures.

        Raises
        ------
        DataError
            If one is damaged, or has changed since the set was made.
        """
        found = np.empty((len(at), *self.stimulus), np.uint8)
        for row, number in enumerate(at):
            picture = self.pictures[number]
            pixels = pixels_of(self.source, picture, self.formats, self.mode)
            if pixels.shape != self.stimulus:
                raise DataError(
                    f"data {self.source}: {picture.name} had shape {self.stimulus} when the set was read, "
                    f"and has {pixels.shape} now; read the set again"
                )
            found[row] = pixels
        return found

    def chosen(self, at: Indices) -> Encoded:
        """These pictures, still encoded."""
        pictures = tuple(self.pictures[number] for number in at)
        return Encoded(self.source, pictures, self.formats, self.mode, self.stimulus)

    def digest(self) -> str:
        """Digest of the encoded bytes, and of the mode to which they are decoded."""
        found = hashlib.sha256(f"pictures {self.mode} {self.shape}".encode())
        for picture in self.pictures:
            try:
                with picture.open() as stream:
                    found.update(hashlib.sha256(stream.read()).digest())
            except OSError as exception:
                raise DataError(
                    f"data {self.source}: {picture.name} cannot be read ({exception}); put it back, or read "
                    "the set again"
                ) from exception
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Fitted:
    """Other pixels, put through the steps of `fitting` whenever they are requested."""

    of: Pixels
    steps: tuple[Step, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, *stimulus) after the last step."""
        shape = self.of.shape[1:]
        for step in self.steps:
            shape = step.shape(shape)
        return self.of.shape[0], *shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the originals: no step changes it."""
        return self.of.dtype

    def rows(self, at: Indices) -> NDArray[Any]:
        """The originals, step by step."""
        x = self.of.rows(at)
        for step in self.steps:
            x = step(x)
        return x

    def chosen(self, at: Indices) -> Fitted:
        """These stimuli, still to be fitted."""
        return Fitted(self.of.chosen(at), self.steps)

    def digest(self) -> str:
        """Digest of the originals and of the steps."""
        return hashlib.sha256(f"{self.of.digest()} {self.steps}".encode()).hexdigest()


def encoded(source: str, pictures: Sequence[Picture], formats: Sequence[str]) -> Encoded:
    """Pictures to be decoded later; their headers are read now, so that one of another size is reported."""
    layout = layout_of(source, pictures, formats)
    return Encoded(source, tuple(pictures), tuple(formats), layout.mode, layout.shape[1:])


def bytes_of(pixels: Pixels) -> int:
    """Memory that all stimuli together take, decoded."""
    return math.prod(pixels.shape) * pixels.dtype.itemsize


def is_small(pixels: Pixels) -> bool:
    """Whether all stimuli are better held in memory, so that they are decoded and fitted once."""
    return bytes_of(pixels) <= HELD_BYTES


def everything(
    source: str, pixels: Pixels, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None
) -> NDArray[Any]:
    """All stimuli as one array.

    Raises
    ------
    DataError
        If they would take more than ``max_bytes`` as float32.
    """
    if isinstance(pixels, Held):
        return pixels.values
    require_room(source, "pictures, all at once,", pixels.shape, max_bytes)
    x = np.empty(pixels.shape, pixels.dtype)
    step = max(1, _BLOCK_BYTES * len(x) // max(1, bytes_of(pixels)))
    for start in range(0, len(x), step):
        at = np.arange(start, min(start + step, len(x)))
        x[at] = pixels.rows(at)
        if progress:
            progress(int(at[-1]) + 1, len(x))
    return x
