"""A large 8-bit array in an .npy or uncompressed .npz file, read row by row: nothing is mapped or held."""

from __future__ import annotations

import hashlib
import math
import struct
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from cortex_sim.data.arrays import as_stored_stimuli
from cortex_sim.errors import DataError

_LOCAL_HEADER = 30  # bytes before the name of a member of a zip file; its last four are two lengths
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True, eq=False)
class StoredRows:
    """Rows of an array in a file, of shape (row, *stored); see `cortex_sim.data.pixels.Pixels`.

    Parameters
    ----------
    file : Path
    start : int
        Where its bytes begin.
    stored : tuple of int
        Shape of a row as stored, such as (y, x, channel).
    numbers : integer array of shape (n,)
        Which rows these are.
    """

    file: Path
    start: int
    stored: tuple[int, ...]
    numbers: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, *stimulus), channels first."""
        one = np.empty((1, *self.stored), np.uint8)
        return len(self.numbers), *as_stored_stimuli(str(self.file), "x", one).shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """8 bits."""
        return np.dtype(np.uint8)

    def rows(self, at: NDArray[np.int64]) -> NDArray[Any]:
        """These rows, read from the file, channels first.

        Raises
        ------
        DataError
            If the file cannot be read, or has become shorter.
        """
        length = math.prod(self.stored)
        found = np.empty((len(at), *self.stored), np.uint8)
        try:
            with self.file.open("rb") as opened:
                for row, number in zip(found, self.numbers[at], strict=True):
                    opened.seek(self.start + int(number) * length)
                    if opened.readinto(row.reshape(-1).data) < length:
                        raise OSError("it ends early")
        except OSError as exception:
            raise DataError(
                f"data {self.file}: cannot be read ({exception.strerror or exception}); copy it again"
            ) from exception
        return as_stored_stimuli(str(self.file), "x", found)

    def chosen(self, at: NDArray[np.int64]) -> StoredRows:
        """These rows alone, unread."""
        return replace(self, numbers=self.numbers[at])

    def digest(self) -> str:
        """Digest of the shape and of the bytes of every row."""
        found = hashlib.sha256(f"rows {self.shape}".encode())
        for number in range(len(self.numbers)):
            found.update(self.rows(np.array([number])).tobytes())
        return found.hexdigest()


def stored_rows(file: Path, member: str | None = None) -> StoredRows | None:
    """The rows of a file's array, or of a member of an .npz file; None where rows cannot be read one by one.

    That is, if the array is not 8-bit, is compressed, or is not in C order.
    """
    try:
        start = 0 if member is None else _start_of(file, f"{member}.npy")
        if start is None:
            return None
        with file.open("rb") as opened:
            opened.seek(start)
            shape, column_order, dtype = _HEADERS[npy.read_magic(opened)](opened)
            start = opened.tell()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, struct.error):
        return None  # the reader of whole arrays reports what is wrong
    if dtype != np.uint8 or column_order or len(shape) < 2 or 0 in shape:
        return None
    if start + math.prod(shape) > file.stat().st_size:
        return None
    return StoredRows(file, start, tuple(shape[1:]), np.arange(shape[0]))


def _start_of(file: Path, member: str) -> int | None:
    """Where the bytes of an uncompressed member begin."""
    with zipfile.ZipFile(file) as archive:
        info = archive.getinfo(member)
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    with file.open("rb") as opened:
        opened.seek(info.header_offset + _LOCAL_HEADER - 4)
        name, extra = struct.unpack("<HH", opened.read(4))
    return info.header_offset + _LOCAL_HEADER + name + extra
