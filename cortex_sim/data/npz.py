"""An .npz file with x_train, y_train, x_test, y_test and, if the classes have names, classes."""

from __future__ import annotations

from pathlib import Path

from cortex_sim.data.archive import read_arrays
from cortex_sim.data.images import ImageSet, image_set
from cortex_sim.data.limits import MAX_BYTES, Progress, require_room

FORM = "an .npz file with x_train, y_train, x_test, y_test"
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def recognises(path: Path) -> bool:
    """Whether this is an .npz file; the layout with jpeg bytes is recognised first."""
    return path.is_file() and path.suffix.lower() == ".npz"


def read_npz(path: str | Path, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None) -> ImageSet:
    """Return the arrays of an .npz file, as `image_set` takes them.

    Parameters
    ----------
    path : str or Path
        The file, as written by `numpy.savez` or `numpy.savez_compressed`; never unpickled.
    max_bytes : int, default 8 GiB
        Refuse what would take more memory as float32.
    progress : callable, optional
        Called once, when all arrays are read, with (arrays, arrays).
    """
    path = Path(path)
    arrays = read_arrays(path, ARRAYS, optional=["classes"], max_bytes=max_bytes)
    for name in ("x_train", "x_test"):
        require_room(str(path), name, arrays[name].shape, max_bytes)
    if progress:
        progress(len(arrays), len(arrays))
    return image_set(path.stem, **arrays, source=str(path))
