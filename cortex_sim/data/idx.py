"""A folder with the four IDX files of MNIST or a similar data set, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.data.images import ImageSet, image_set
from cortex_sim.data.limits import DEFLATE_RATIO, MAX_BYTES, Progress, require_room
from cortex_sim.errors import DataError

FORM = "a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-... (or .gz)"
FILES = {  # array: (stem, number of axes)
    "x_train": ("train-images", 3),
    "y_train": ("train-labels", 1),
    "x_test": ("t10k-images", 3),
    "y_test": ("t10k-labels", 1),
}
CHUNK = 2**20


def recognises(path: Path) -> bool:
    """Whether this is a folder with at least one IDX file."""
    return path.is_dir() and any(path.glob("*idx[0-9]-ubyte*"))


def read_idx(path: str | Path, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None) -> ImageSet:
    """Return the images and labels of a folder of IDX files.

    Parameters
    ----------
    path : str or Path
        The folder. Names end in ``-idx3-ubyte`` or ``.idx3-ubyte`` (labels: ``idx1``), with ``.gz``
        or without; if both exist, the plain file is read.
    max_bytes : int, default 8 GiB
        Refuse what would take more memory as float32.
    progress : callable, optional
        Called with (files done, files in all).

    References
    ----------
    LeCun, Cortes, Burges, The MNIST database; the format is described at the end of its page.
    """
    path = Path(path)
    files = {array: _find(path, *file) for array, file in FILES.items()}
    arrays: dict[str, NDArray[np.uint8]] = {}
    for array, file in files.items():
        arrays[array] = _read(file, FILES[array][1], max_bytes)
        if progress:
            progress(len(arrays), len(files))
    x_train, y_train, x_test, y_test = arrays.values()
    return image_set(path.resolve().name, x_train, y_train, x_test, y_test, source=str(path))


def _find(folder: Path, stem: str, axes: int) -> Path:
    for ending in ("", ".gz"):
        for dot in "-.":
            file = folder / f"{stem}{dot}idx{axes}-ubyte{ending}"
            if file.is_file():
                return file
    present = (file.name for file in folder.glob("*ubyte*"))
    raise DataError(
        f"data {folder}: lacks {stem}-idx{axes}-ubyte, holds {listed(present)}; put all four IDX files there"
    )


def _opened(file: Path) -> BufferedIOBase:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


def _read(file: Path, axes: int, max_bytes: int) -> NDArray[np.uint8]:
    try:
        with _opened(file) as stream:
            shape = _read_shape(stream, file, axes)
            on_disk = file.stat().st_size * (DEFLATE_RATIO if file.suffix == ".gz" else 1)
            if math.prod(shape) > on_disk:  # before a false header can allocate memory
                raise _wrong_length(file, shape, "the file is too small for that")
            require_room(str(file), "IDX array", shape, max_bytes)
            return _read_values(stream, file, shape)
    except (OSError, EOFError, zlib.error) as exception:
        raise DataError(
            f"data {file}: cannot be read ({exception}); copy or download it again"
        ) from exception


def _read_shape(stream: BufferedIOBase, file: Path, axes: int) -> tuple[int, ...]:
    header = stream.read(4 + 4 * axes)
    right = bytes([0, 0, 8, axes])  # 8 stands for unsigned bytes
    if header[:4] != right:
        raise DataError(
            f"data {file}: starts with {header[:4].hex(' ') or 'nothing'}, but an IDX file of "
            f"{axes}-axis unsigned bytes starts with {right.hex(' ')}; check that the file is what its "
            "name says"
        )
    if len(header) < 4 + 4 * axes:
        raise DataError(f"data {file}: ends inside its header; copy or download it again")
    return struct.unpack(f">{axes}I", header[4:])


def _read_values(stream: BufferedIOBase, file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read no more than the header declares, however much a gzip file may unpack to."""
    values = np.empty(math.prod(shape), np.uint8)
    done = 0
    while done < len(values):
        chunk = stream.read(min(CHUNK, len(values) - done))
        if not chunk:
            raise _wrong_length(file, shape, f"only {done} follow")
        values[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    if stream.read(1):
        raise _wrong_length(file, shape, "more follow")
    return values.reshape(shape)


def _wrong_length(file: Path, shape: tuple[int, ...], actual: str) -> DataError:
    return DataError(
        f"data {file}: declares shape {shape}, {math.prod(shape)} bytes, but {actual}; "
        "copy or download it again"
    )
