"""Named arrays of a file, ``.npz`` or plain HDF5, whose shapes are known before any is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.data.archive import described, read_arrays
from cortex_sim.data.limits import DEFLATE_RATIO, MAX_BYTES
from cortex_sim.errors import DataError

if TYPE_CHECKING:
    import h5py

Array = NDArray[Any]
Shapes = Mapping[str, tuple[tuple[int, ...], str]]  # name to shape and kind of dtype
SMALL_BYTES = 2**26  # up to here an array may be larger than its bytes on disk can hold: unwritten chunks


@dataclass(frozen=True)
class Stored:
    """Arrays of an ``.npz`` file.

    Parameters
    ----------
    path : Path
    shapes : mapping of str to (shape, kind)
        Shape and kind of dtype of every array: "U" is text, "O" are Python objects, which are never read.
    max_bytes : int
        Larger arrays are refused.
    """

    path: Path
    shapes: Shapes
    max_bytes: int = MAX_BYTES

    def __contains__(self, name: str) -> bool:
        """Whether there is an array of that name."""
        return name in self.shapes

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        return self.shapes[name][0]

    def read(self, name: str) -> Array:
        """The array; bytes become text."""
        return as_text(read_arrays(self.path, [name], max_bytes=self.max_bytes)[name])

    def numbers(self, name: str, dims: str) -> Array:
        """The array as float64; an error says which axes it should have.

        Raises
        ------
        DataError
            If it does not hold numbers, or is empty.
        """
        shape, kind = self.shapes[name]
        if kind not in "biuf" or 0 in shape or not shape:
            raise self.refused(name, f"give numbers of shape {dims}")
        return self.read(name).astype(np.float64)

    def text(self, name: str) -> str | None:
        """The single text of an array such as ``units``; None where there is no such array."""
        if name not in self.shapes:
            return None
        value = self.read(name)
        if value.size != 1:
            raise self.refused(name, "give a single text")
        return str(value.ravel()[0])

    def refused(self, name: str, right: str) -> DataError:
        """The error about an array, with its shape."""
        shape, kind = self.shapes[name]
        held = {"U": "text", "S": "text", "O": "Python objects"}.get(kind, "numbers")
        return DataError(f"neural data {self.path}: {name} has shape {shape} and holds {held}; {right}")

    def require(self, name: str) -> str:
        """The name, or an error that lists the arrays."""
        if name not in self.shapes:
            raise DataError(f"neural data {self.path}: has no array {name!r}, but {listed(self.shapes)}")
        return name


@dataclass(frozen=True)
class StoredHdf5(Stored):
    """Arrays of an HDF5 file that is neither netCDF nor rsatoolbox's; names may hold slashes."""

    def read(self, name: str) -> Array:
        """The array; bytes become text."""
        with opened(self.path) as file:
            return dataset(file, self.path, name, self.max_bytes)


def npz(path: Path, max_bytes: int = MAX_BYTES) -> Stored:
    """What an ``.npz`` file holds."""
    return Stored(path, described(path), max_bytes)


def hdf5(path: Path, max_bytes: int = MAX_BYTES) -> StoredHdf5:
    """What an HDF5 file holds, in all groups."""
    import h5py

    found: dict[str, tuple[tuple[int, ...], str]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            found[name] = (item.shape, "U" if _is_text(item) else item.dtype.kind)

    with opened(path) as file:
        file.visititems(note)
    return StoredHdf5(path, found, max_bytes)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading; damage of any kind gives an error of one line.

    Raises
    ------
    DataError
        If it is truncated, damaged or not HDF5.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as exception:
        raise DataError(
            f"neural data {path}: not a readable HDF5 file ({one_line(exception)}); copy or download it again"
        ) from None


def dataset(file: h5py.Group, path: Path, name: str, max_bytes: int = MAX_BYTES) -> Array:
    """One dataset of an open HDF5 file, after a look at its size."""
    item = file[name]
    size = item.dtype.itemsize * int(np.prod(item.shape, dtype=np.float64))
    if size > max_bytes or (size > SMALL_BYTES and size > DEFLATE_RATIO * item.id.get_storage_size()):
        raise DataError(
            f"neural data {path}: {name} claims {size / 2**30:.3g} GiB, more than the limit of "
            f"{max_bytes / 2**30:.3g} GiB or than its bytes on disk can hold; save fewer values"
        )
    return as_text(np.asarray(item.asstr()[()] if _is_text(item) else item[()]))


def as_text(values: Array) -> Array:
    """Bytes and Python texts as an array of text; anything else unchanged."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    return values.astype(str) if values.dtype.kind == "O" else values


def one_line(exception: object) -> str:
    """The message of an error of another library without line breaks."""
    return " ".join(str(exception).split())


def _is_text(item: h5py.Dataset) -> bool:
    import h5py

    return h5py.check_string_dtype(item.dtype) is not None
