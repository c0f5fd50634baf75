"""Pictures brought to the shape of the population that they drive: their size and their channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.errors import DataError

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as used by Pillow and JPEG


def fitted(
    source: str, x: NDArray[Any], wanted: tuple[int, ...], population: str
) -> tuple[NDArray[Any], list[str]]:
    """Stimuli in the required shape, and a description of what was done to them.

    Raises
    ------
    DataError
        If that would scramble or distort them; the message says what would be accepted.
    """
    have = x.shape[1:]
    if have == wanted:
        return x, []
    if len(have) == len(wanted) == 3 and wanted[0] in (1, 3) and have[0] in (1, 3):
        return _as_pictures(source, x, wanted, population)
    moved = sorted(size for size in have if size > 1) == sorted(size for size in wanted if size > 1)
    kept = [size for size in have if size > 1] == [size for size in wanted if size > 1]
    if math.prod(have) == math.prod(wanted) and (kept or not moved):
        return x.reshape(-1, *wanted), []
    order = ", the same axes in another order, which would scramble every image" if moved else ""
    raise DataError(
        f"stimuli {source}: each has shape {have}, population {population} expects {wanted}{order}; give "
        "stimuli of that shape, or pictures of 1 or 3 channels to a population (channel, row, column)"
    )


def _as_pictures(
    source: str, x: NDArray[Any], wanted: tuple[int, ...], population: str
) -> tuple[NDArray[Any], list[str]]:
    channels, height, width = x.shape[1:]
    changes = []
    if height * wanted[2] != width * wanted[1]:
        raise DataError(
            f"stimuli {source}: pictures of {height} x {width} (height x width) would be distorted to fit "
            f"population {population} with {wanted[1]} x {wanted[2]}; cut them to that ratio first"
        )
    if (channels, wanted[0]) == (3, 1):
        x = _grey(x)
        changes.append("colour to luminance (ITU-R 601)")
    if (height, width) != wanted[1:]:
        x = _resized(x, wanted[1], wanted[2])
        changes.append(f"resized from {height} x {width} to {wanted[1]} x {wanted[2]} (bicubic, antialiased)")
    if (channels, wanted[0]) == (1, 3):
        x = np.repeat(x, 3, axis=1)
        changes.append("grey to three equal channels")
    return x, changes


def _grey(x: NDArray[Any]) -> NDArray[Any]:
    grey = np.empty((len(x), 1, *x.shape[2:]), x.dtype)
    for i, picture in enumerate(x):
        level = np.tensordot(LUMINANCE, picture.astype(np.float32), axes=1)
        grey[i, 0] = np.rint(level) if x.dtype == np.uint8 else level
    return grey


def _resized(x: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    from PIL import Image

    resized = np.empty((len(x), x.shape[1], height, width), x.dtype)
    for i, channel in np.ndindex(x.shape[:2]):
        image = Image.fromarray(np.ascontiguousarray(x[i, channel]))  # 8 bits, or floating point
        resized[i, channel] = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
    return resized
