"""How much disk a recording takes, checked against what is free before any work starts."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import xarray as xr

from cortex_sim.errors import RunError

# HDF5 stores a text as a reference of 16 bytes, and elsewhere as 16 bytes of header and its characters,
# padded to a multiple of 8.
_TEXT_BYTES, _FILE_BYTES = 32, 2**16


def bytes_on_disk(coordinates: xr.Dataset, width: tuple[int, ...], variables: int, chunk_rows: int) -> int:
    """Size of a recording's file.

    Parameters
    ----------
    coordinates : xarray.Dataset
        Everything but the recorded variables.
    width : tuple of int
        Number of neuroids, and of time bins where there are any.
    variables : int
        Number of recorded variables; each is float32.
    chunk_rows : int
        Presentations in a chunk of the file; the last chunk takes as much as the others.
    """
    filled = chunk_rows * math.ceil(coordinates.sizes["presentation"] / chunk_rows)
    known = sum(_stored(coordinate.values) for coordinate in coordinates.coords.values())
    return 4 * filled * math.prod(width) * variables + known + _FILE_BYTES


def _stored(values: np.ndarray) -> int:
    if values.dtype.kind != "U":
        return values.nbytes
    letters = values.dtype.itemsize // 4
    return values.size * (_TEXT_BYTES + 8 * math.ceil((letters + 1) / 8))


def require_disk(path: Path, needed: int) -> None:
    """Raise `RunError` unless the disk of ``path`` has ``needed`` bytes free.

    Raises
    ------
    RunError
        With both sizes, and what to record less of; or if there is no such folder.
    """
    folder = path.parent
    if not folder.is_dir():
        raise RunError(f"recording {path}: no folder {folder}; create it first")
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise RunError(
            f"recording {path}: needs {_spelled(needed)} of disk, but only {_spelled(free)} is free; record "
            "fewer populations (--population), variables (--variable) or presentations (--count), or use "
            "another disk"
        )


def _spelled(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{math.ceil(count / 1000)} kB"
