"""Arrays from outside, checked and converted once, so that inside the package they are trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortex_sim.errors import DataError

MOST_CLASSES = 100_000  # unnamed classes are named by number: a stray label must not fill memory
BLOCK_VALUES = 2**22


def blocks(x: NDArray[Any]) -> Iterator[slice]:
    """Slices of presentations small enough that a temporary copy of one costs next to nothing."""
    step = max(1, BLOCK_VALUES * len(x) // max(1, x.size))
    return (slice(start, start + step) for start in range(0, len(x), step))


def whole_number(source: str, what: str, value: Any, low: int, high: int) -> int:
    """Return ``value`` as an int, or raise `DataError` unless it is one between low and high."""
    fine = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not (fine and low <= value <= high):
        raise DataError(f"data {source}: {what} must be a whole number from {low} to {high}. Got {value!r}")
    return int(value)


def as_array(source: str, name: str, values: ArrayLike, kinds: str, right: str) -> NDArray[Any]:
    """Return an array whose dtype is of one of ``kinds``; otherwise the error message ends with ``right``."""
    try:
        array = np.asarray(values)
    except ValueError as exception:
        raise DataError(f"data {source}: {name} is not an array ({exception}); {right}") from exception
    if array.dtype.kind not in kinds:
        raise DataError(f"data {source}: {name} has dtype {array.dtype}; {right}")
    if array.ndim and not len(array):
        raise DataError(f"data {source}: {name} holds no presentations; give at least one")
    return array


def as_stimuli(source: str, name: str, values: ArrayLike) -> NDArray[np.float32]:
    """Return stimuli as float32 of shape (presentation, value) or (presentation, channel, y, x).

    uint8 is read as a grey level and scaled from 0..255 to 0..1; every other number is kept.
    """
    x = as_array(source, name, values, "biuf", "give numbers: uint8 from 0 to 255, or float32")
    x = _channels_first(source, name, x)
    if not x.size:
        raise DataError(f"data {source}: {name} of shape {x.shape} holds no values; give at least one")
    if x.dtype == np.uint8:
        scaled = np.empty(x.shape, np.float32)
        np.divide(x, np.float32(255), out=scaled)
        return scaled
    with np.errstate(over="ignore"):  # what overflows float32 becomes infinite, and is named below
        converted = np.ascontiguousarray(x, dtype=np.float32)
    _require_finite(source, name, converted)
    return converted


def as_stored_stimuli(source: str, name: str, values: ArrayLike) -> NDArray[Any]:
    """The same, but 8-bit stimuli stay uint8, a quarter of the memory, to be scaled batch by batch."""
    x = as_array(source, name, values, "biuf", "give numbers: uint8 from 0 to 255, or float32")
    if x.dtype != np.uint8:
        return as_stimuli(source, name, x)
    x = np.ascontiguousarray(_channels_first(source, name, x))
    if not x.size:
        raise DataError(f"data {source}: {name} of shape {x.shape} holds no values; give at least one")
    return x


def as_labels(source: str, name: str, values: ArrayLike, presentations: int) -> NDArray[np.int64]:
    """Return labels as int64 of shape (presentation,), none of them negative."""
    right = "give one whole number per presentation, from 0 to n_classes - 1"
    y = as_array(source, name, values, "iu", f"{right}, as int64{_numbering(name, values)}")
    if y.ndim != 1:
        raise DataError(f"data {source}: {name} has shape {y.shape}; {right}, of shape (n,)")
    if len(y) != presentations:
        raise DataError(
            f"data {source}: {name} has {len(y)} labels, but {name.replace('y', 'x', 1)} has "
            f"{presentations} presentations; {right}"
        )
    _refuse_label(source, name, y, y < 0, f"negative; {right}")
    too_large = y > np.iinfo(np.int64).max  # of uint64, before the conversion makes it negative
    _refuse_label(source, name, y, too_large, f"too large; {right}")
    return y.astype(np.int64)


def _numbering(name: str, values: ArrayLike) -> str:
    """How to convert text labels to numbers, for the error message."""
    try:
        texts = np.asarray(values).dtype.kind in "US"
    except ValueError:  # not an array at all, which is reported elsewhere
        return ""
    if not texts:
        return ""
    return f" (from texts: classes, {name} = numpy.unique(texts, return_inverse=True))"


def require_known_labels(source: str, name: str, y: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Raise `DataError` where a label has no class."""
    known = f"0 to {len(classes) - 1} for the {len(classes)} classes" if classes else "no classes"
    _refuse_label(source, name, y, y >= len(classes), f"out of range; there are {known}")


def class_names(source: str, classes: Any, y_train: NDArray[np.int64]) -> tuple[str, ...]:
    """Return a name for every class; without ``classes``, the numbers up to the largest training label."""
    if classes is None:
        top = int(y_train.max())
        if top >= MOST_CLASSES:
            raise DataError(
                f"data {source}: y_train holds the label {top}, which would make {top + 1} "
                f"classes; give labels below {MOST_CLASSES}, or names in an array 'classes'"
            )
        return tuple(str(label) for label in range(top + 1))
    names = np.asarray(classes)
    if names.ndim != 1 or names.dtype.kind not in "USiu":
        raise DataError(
            f"data {source}: classes has dtype {names.dtype} and shape {names.shape}; "
            "give one text per class, of shape (n_classes,)"
        )
    found = tuple(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names.tolist()
    )
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise DataError(f"data {source}: classes holds {twice!r} more than once; give each its own name")
    return found


def _channels_first(source: str, name: str, x: NDArray[Any]) -> NDArray[Any]:
    if x.ndim == 2:
        return x
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] in (1, 3):
        return x
    if x.ndim == 4 and x.shape[3] in (1, 3):
        return x.transpose(0, 3, 1, 2)
    raise DataError(
        f"data {source}: {name} has shape {x.shape}; give (presentation, value), (presentation, y, "
        "x), (presentation, channel, y, x) or (presentation, y, x, channel), with 1 or 3 channels"
        f"{'; a single presentation is given as x[None]' if x.ndim == 1 else ''}"
    )


def _require_finite(source: str, name: str, x: NDArray[np.float32]) -> None:
    for block in blocks(x):
        finite = np.isfinite(x[block]).reshape(len(x[block]), -1).all(axis=1)
        if not finite.all():
            first = block.start + int(np.argmin(finite))
            raise DataError(
                f"data {source}: {name} holds NaN or infinite values (as float32), first in "
                f"presentation {first}; leave that presentation out or repair it"
            )


def _refuse_label(source: str, name: str, y: NDArray[Any], wrong: NDArray[np.bool_], complaint: str) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"data {source}: {name} holds the label {y[first]} in presentation {first}, {complaint}"
        )
