"""The arrays of an .npz file, read without trusting what the file claims about itself.

`numpy.load` allocates whatever a header declares. Here a header must first agree with the zip
directory, and that with the bytes on disk, so a small file cannot request much memory.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.data.limits import DEFLATE_RATIO, MAX_BYTES
from cortex_sim.errors import DataError

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays in the file."""
    with _opened(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def described(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and kind of dtype ("f", "U", "O" …) of every array of the file, from their headers alone."""
    with _opened(path) as archive:
        return {
            info.filename.removesuffix(".npy"): _header(archive, info, path) for info in archive.infolist()
        }


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> tuple[tuple[int, ...], str]:
    with archive.open(info) as member:
        try:
            shape, _, dtype = _HEADERS[npy.read_magic(member)](member)
        except Exception as exception:  # numpy parses Python literals: damage surfaces in any exception
            raise DataError(
                f"data {path}: {info.filename} has no readable header ({exception}); save it with numpy.savez"
            ) from exception
    return shape, dtype.kind


def read_arrays(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    max_bytes: int = MAX_BYTES,
) -> dict[str, NDArray[Any]]:
    """Return every required array and the optional ones that exist; never a pickle."""
    present = array_names(path)
    missing = [name for name in required if name not in present]
    if missing:
        raise DataError(
            f"data {path}: lacks {listed(missing)}, holds {listed(present)}; "
            f"save {listed(required)} with numpy.savez"
        )
    wanted = [*required, *(name for name in optional if name in present)]
    with _opened(path) as archive:
        return {name: _read(archive, path, name, max_bytes) for name in wanted}


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DataError:
        raise
    except FileNotFoundError as exception:
        raise DataError(f"data {path}: no such file; give the path of an .npz file") from exception
    except _DAMAGE as exception:
        raise DataError(
            f"data {path}: not a readable .npz archive ({exception}); copy or download it again"
        ) from exception


def _read(archive: zipfile.ZipFile, path: Path, name: str, max_bytes: int) -> NDArray[Any]:
    info = archive.getinfo(f"{name}.npy" if f"{name}.npy" in archive.namelist() else name)
    _require_honest_directory(info, path, name, max_bytes)
    with archive.open(info) as member:
        _require_honest_header(member, info, path, name)
    with archive.open(info) as member:
        try:
            array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
            return array
        except _DAMAGE as exception:
            raise DataError(
                f"data {path}: {name} is damaged ({exception}); copy or download the file again"
            ) from exception


def _require_honest_directory(info: zipfile.ZipInfo, path: Path, name: str, max_bytes: int) -> None:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"data {path}: {name} is compressed by a method that numpy does not use; "
            "save it with numpy.savez or numpy.savez_compressed"
        )
    packed = min(info.compress_size, path.stat().st_size)
    ratio = DEFLATE_RATIO if info.compress_type == zipfile.ZIP_DEFLATED else 1
    if info.file_size > packed * ratio:
        raise DataError(
            f"data {path}: {name} claims {info.file_size} bytes, more than its {packed} bytes on "
            "disk can hold; copy or download the file again"
        )
    if info.file_size > max_bytes:
        raise DataError(
            f"data {path}: {name} takes {info.file_size / 2**30:.3g} GiB, the limit is "
            f"{max_bytes / 2**30:.3g} GiB; save fewer presentations, or pass a larger max_bytes"
        )


def _require_honest_header(member: IO[bytes], info: zipfile.ZipInfo, path: Path, name: str) -> None:
    try:
        shape, _, dtype = _HEADERS[npy.read_magic(member)](member)
    except Exception as exception:  # numpy parses Python literals: damage surfaces in any exception
        raise DataError(
            f"data {path}: {name} has no readable header ({exception}); save it with numpy.savez"
        ) from exception
    if dtype.hasobject:
        raise DataError(
            f"data {path}: {name} holds pickled Python objects, which can run code when read; "
            "save it as an array of numbers, or of text for class names"
        )
    declared, actual = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
    if declared != actual or min(shape, default=0) < 0:
        raise DataError(
            f"data {path}: {name} declares shape {shape} of {dtype}, {declared} bytes, but "
            f"{actual} bytes follow; copy or download the file again"
        )
