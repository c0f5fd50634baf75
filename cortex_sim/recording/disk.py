"""How much disk a recording takes, checked against what is free before any work starts."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from cortex_sim.errors import RunError

# Measured on files of 3 to 5000 presentations and 1000 to 94080 neuroids: coordinates take 112 bytes a
# neuroid and about 300 a presentation, with one descriptor.
_NEUROID_BYTES, _PRESENTATION_BYTES, _FILE_BYTES = 120, 350, 2**16


def bytes_on_disk(rows: int, width: tuple[int, ...], variables: int, chunk_rows: int) -> int:
    """Size of a recording's file.

    Parameters
    ----------
    rows : int
        Presentations.
    width : tuple of int
        Neuroids, and time bins where there are any.
    variables : int
        Each is float32.
    chunk_rows : int
        Presentations in a chunk of the file; the last chunk takes as much as the others.
    """
    filled = chunk_rows * math.ceil(rows / chunk_rows)
    coordinates = _NEUROID_BYTES * width[0] + _PRESENTATION_BYTES * rows
    return 4 * filled * math.prod(width) * variables + coordinates + _FILE_BYTES


def require_disk(path: Path, needed: int) -> None:
    """Raise `RunError` unless the disk of ``path`` has ``needed`` bytes free.

    Raises
    ------
    RunError
        With both numbers, and what could be recorded less of.
    """
    folder = path.parent
    if not folder.is_dir():
        raise RunError(f"recording {path}: no folder {folder}; make it first")
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise RunError(
            f"recording {path}: needs {_spelled(needed)} of disk, and {_spelled(free)} are free; record fewer "
            "populations (--population), variables (--variable) or presentations (--count), or use another disk"
        )


def _spelled(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{math.ceil(count / 1000)} kB"
