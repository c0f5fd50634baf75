"""An .npz file of JPEG files end to end: jpeg, offset, label, is_test and perhaps classes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.data.archive import array_names, read_arrays
from cortex_sim.data.images import ImageSet, image_set
from cortex_sim.data.limits import MAX_BYTES, Progress, chosen
from cortex_sim.data.pictures import Picture, decode
from cortex_sim.errors import DataError

FORM = "an .npz file with jpeg, offset, label, is_test"
ARRAYS = ("jpeg", "offset", "label", "is_test")


def recognises(path: Path) -> bool:
    """Whether this is an .npz file with an array named jpeg."""
    return path.is_file() and path.suffix.lower() == ".npz" and "jpeg" in array_names(path)


def read_jpeg_bytes(
    path: str | Path,
    *,
    limit: int | None = None,
    grey: bool = False,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
) -> ImageSet:
    """Return decoded JPEG images; their compression is lossy, so report it with every accuracy.

    Parameters
    ----------
    path : str or Path
        An .npz file. Image i is ``jpeg[offset[i]:offset[i + 1]]``; ``jpeg`` is uint8, ``offset``
        integer of shape (n + 1,), ``label`` integer and ``is_test`` bool of shape (n,), and
        ``classes``, if present, text of shape (n_classes,).
    limit : int, optional
        Images kept and decoded from each of the training and test sets; see `chosen`.
    grey : bool, default False
        Whether to decode the luminance alone, as one channel.
    max_bytes : int, default 8 GiB
        Refuse what would take more memory as float32.
    progress : callable, optional
        Called with (images done, images in all).
    """
    path = Path(path)
    source = str(path)
    arrays = read_arrays(path, ARRAYS, optional=["classes"], max_bytes=max_bytes)
    _require_layout(source, arrays)
    jpeg, offset, label = arrays["jpeg"], arrays["offset"].tolist(), arrays["label"]
    is_test = arrays["is_test"]
    parts = [np.flatnonzero(~is_test), np.flatnonzero(is_test)]
    kept = [part[chosen(len(part), limit)] for part in parts]
    order, n_train = np.concatenate(kept), len(kept[0])  # training first, so that both sets are views
    pictures = [picture(jpeg, int(i), offset[i], offset[i + 1]) for i in order]
    x = decode(source, pictures, ["JPEG"], grey=grey, max_bytes=max_bytes, progress=progress)
    return image_set(
        path.stem,
        x[:n_train],
        label[order[:n_train]],
        x[n_train:],
        label[order[n_train:]],
        arrays.get("classes"),
        source=source,
    )


def picture(jpeg: NDArray[np.uint8], i: int, start: int, stop: int) -> Picture:
    """Image ``i``, not yet decoded."""
    return Picture(f"jpeg {i}", lambda: io.BytesIO(jpeg[start:stop].tobytes()))


def _require_layout(source: str, arrays: dict[str, NDArray[Any]]) -> None:
    jpeg, offset, label, is_test = (arrays[name] for name in ARRAYS)
    require_slices(source, jpeg, offset)
    n = len(offset) - 1
    if label.shape != (n,):
        raise _refused(source, "label", label, f"one label for each of the {n} images, of shape ({n},)")
    if is_test.dtype != bool or is_test.shape != (n,):
        raise _refused(source, "is_test", is_test, f"one bool for each of the {n} images, of shape ({n},)")
    if is_test.all() or not is_test.any():
        raise DataError(
            f"data {source}: is_test puts all {n} images into one set; mark some, not all, as test"
        )


def require_slices(source: str, jpeg: NDArray[Any], offset: NDArray[Any]) -> None:
    """Raise `DataError` unless the offsets cut the bytes into images."""
    if jpeg.dtype != np.uint8 or jpeg.ndim != 1:
        raise _refused(source, "jpeg", jpeg, "uint8 bytes of shape (n_bytes,)")
    if offset.dtype.kind not in "iu" or offset.ndim != 1 or len(offset) < 2:
        raise _refused(source, "offset", offset, "whole numbers of shape (n + 1,), with n at least 1")
    n_bytes = len(jpeg)
    shrinking = offset[1:] <= offset[:-1]  # compared, not subtracted: unsigned numbers wrap
    if shrinking.any():
        i = int(np.argmax(shrinking))
        raise DataError(
            f"data {source}: offset goes from {offset[i]} to {offset[i + 1]} at image {i}; "
            "give offsets that increase with every image"
        )
    if offset[0] < 0 or offset[-1] > n_bytes:
        raise DataError(
            f"data {source}: offset runs from {offset[0]} to {offset[-1]}, but jpeg has {n_bytes} "
            f"bytes; give offsets between 0 and {n_bytes}"
        )


def _refused(source: str, name: str, array: NDArray[Any], right: str) -> DataError:
    return DataError(f"data {source}: {name} has dtype {array.dtype} and shape {array.shape}; give {right}")
