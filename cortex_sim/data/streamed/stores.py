"""Encoded pictures by number, wherever they are stored."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cortex_sim.errors import DataError

MOST_BYTES = 2**28  # of one encoded picture: a file that claims more is not a picture


class Store(Protocol):
    """Encoded pictures, numbered from 0; worker processes receive a copy, so it holds no open file."""

    @property
    def source(self) -> str:
        """What errors call it, such as its path."""

    def __len__(self) -> int:
        """Number of pictures."""

    def name(self, number: int) -> str:
        """Name of a picture, unique in the store, such as its path in a folder."""

    def read(self, number: int) -> bytes:
        """Its bytes, PNG or JPEG.

        Raises
        ------
        DataError
            If they cannot be read.
        """


def packed(names: Sequence[str]) -> NDArray[Any]:
    """Names as one array: a million separate texts would take far more memory, in every worker process."""
    return np.array([os.fsencode(name) for name in names])


@dataclass(frozen=True, eq=False)
class Files:
    """Pictures that are files below a folder.

    Parameters
    ----------
    folder : Path
    names : bytes array of shape (n,)
        Their paths in it, by `packed`.
    source : str
    """

    folder: Path
    names: NDArray[Any]
    source: str

    def __len__(self) -> int:
        """Number of files."""
        return len(self.names)

    def name(self, number: int) -> str:
        """Path in the folder."""
        return os.fsdecode(bytes(self.names[number]))

    def read(self, number: int) -> bytes:
        """Content of the file."""
        return read_part(self.folder / self.name(number), 0, None, self.source, self.name(number))


def read_part(file: Path, start: int, length: int | None, source: str, name: str) -> bytes:
    """Bytes of a file, from ``start``; to its end where ``length`` is None.

    Raises
    ------
    DataError
        If it cannot be read, holds fewer bytes, or claims more than a picture can have.
    """
    try:
        with file.open("rb", buffering=0) as opened:
            wanted = os.fstat(opened.fileno()).st_size - start if length is None else length
            if not 0 < wanted <= MOST_BYTES:
                raise DataError(f"data {source}: {name} has {wanted} bytes, so is not a picture; replace it")
            found = os.pread(opened.fileno(), wanted, start)
    except OSError as exception:
        why = exception.strerror or exception
        raise DataError(f"data {source}: {name} cannot be read ({why}); put it back") from exception
    if len(found) < wanted:
        raise DataError(
            f"data {source}: {name} has {len(found)} bytes instead of {wanted}; copy {file.name} again"
        )
    return found
