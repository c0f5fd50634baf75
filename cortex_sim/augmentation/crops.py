"""Crops of pictures: at random places, of random sizes, or of the centre."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cortex_sim.augmentation.base import Pictures, Shape, Size, sides
from cortex_sim.augmentation.placing import placed
from cortex_sim.augmentation.resizing import resized
from cortex_sim.checks import require_count
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register

_ATTEMPTS = 10


@register("augmentation", "centre_crop")
@dataclass(frozen=True)
class CentreCrop:
    """Crop the centre; a smaller picture is padded with black.

    Parameters
    ----------
    size : int, (rows, columns) or None, default None
        None: the size that the network sees.
    """

    size: Size = None
    draws: ClassVar[int] = 0
    sized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sides(self, self.size))

    def within(self, size: tuple[int, int]) -> CentreCrop:
        """The crop, of the given size if it has none."""
        return self if self.size is not None else replace(self, size=size)

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns) after the crop."""
        return have[0], *_known(self.size)

    def __call__(self, x: Pictures, u: NDArray[Any]) -> Pictures:
        """A copy."""
        return placed(x, *_known(self.size))


@register("augmentation", "random_crop")
@dataclass(frozen=True)
class RandomCrop:
    """Crop at a random place, after padding with black.

    Parameters
    ----------
    padding : int, default 4
        Black pixels added on every side.
    size : int, (rows, columns) or None, default None
        None: the size that the network sees.
    """

    padding: int = 4
    size: Size = None
    draws: ClassVar[int] = 2
    sized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_count(self, 0, padding=self.padding)
        object.__setattr__(self, "size", sides(self, self.size))

    def within(self, size: tuple[int, int]) -> RandomCrop:
        """The crop, of the given size if it has none."""
        return self if self.size is not None else replace(self, size=size)

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns) after the crop."""
        return have[0], *_known(self.size)

    def __call__(self, x: Pictures, u: NDArray[Any]) -> Pictures:
        """Each picture cropped at its own place; all places are equally probable."""
        rows, columns = _known(self.size)
        height, width = (length + 2 * self.padding for length in x.shape[2:])
        field = placed(x, max(rows, height), max(columns, width))
        every: Any = sliding_window_view  # its declared type does not allow two axes
        windows = every(field, (rows, columns), axis=(2, 3))
        top, left = _whole(u[:, 0], windows.shape[2]), _whole(u[:, 1], windows.shape[3])
        cut: Pictures = windows[np.arange(len(x)), :, top, left]
        return cut


@register("augmentation", "random_resized_crop")
@dataclass(frozen=True)
class RandomResizedCrop:
    """Crop a part of random area and aspect ratio at a random place, and resize it.

    Area (as a share of the picture's) and the logarithm of the ratio are uniform. A part that would not fit
    is drawn again, up to ten draws in all; if none fits, it is the largest central part of a permitted ratio.

    Parameters
    ----------
    size : int, (rows, columns) or None, default None
        None: the size that the network sees.
    scale : (float, float), default (0.08, 1)
        Least and largest share of the area.
    ratio : (float, float), default (3/4, 4/3)
        Least and largest ratio of width to height.

    References
    ----------
    Szegedy et al. (2015), arXiv 1409.4842, section 6.
    """

    size: Size = None
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    draws: ClassVar[int] = 2 * _ATTEMPTS + 2
    sized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sides(self, self.size))
        for name in ("scale", "ratio"):
            object.__setattr__(self, name, _range(name, getattr(self, name)))
        if self.scale[1] > 1:
            raise DeclarationError(f"RandomResizedCrop: scale must be at most 1. Got {self.scale}")

    def within(self, size: tuple[int, int]) -> RandomResizedCrop:
        """The crop, of the given size if it has none."""
        return self if self.size is not None else replace(self, size=size)

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns) after the crop."""
        return have[0], *_known(self.size)

    def boxes(self, height: int, width: int, u: NDArray[Any]) -> NDArray[np.int64]:
        """Top, left, rows and columns of the crops, (n, 4), in pictures of that height and width."""
        least, most = self.scale
        low, high = np.log(self.ratio)
        area = height * width * (least + (most - least) * u[:, :_ATTEMPTS])
        ratio = np.exp(low + (high - low) * u[:, _ATTEMPTS : 2 * _ATTEMPTS])
        columns, rows = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fits = (columns > 0) & (columns <= width) & (rows > 0) & (rows <= height)
        first, some = (np.arange(len(u)), fits.argmax(1)), fits.any(1)
        central = min(width, round(height * self.ratio[1])), min(height, round(width / self.ratio[0]))
        columns = np.where(some, columns[first], max(1, central[0])).astype(np.int64)
        rows = np.where(some, rows[first], max(1, central[1])).astype(np.int64)
        top = np.where(some, _whole(u[:, -2], height - rows + 1), (height - rows) // 2)
        left = np.where(some, _whole(u[:, -1], width - columns + 1), (width - columns) // 2)
        return np.stack([top, left, rows, columns], 1)

    def __call__(self, x: Pictures, u: NDArray[Any]) -> Pictures:
        """Each picture cropped and resized separately."""
        size = _known(self.size)
        found = np.empty((*x.shape[:2], *size), x.dtype)
        boxes = self.boxes(x.shape[2], x.shape[3], u).tolist()
        for to, picture, (top, left, rows, columns) in zip(found, x, boxes, strict=True):
            to[:] = resized(picture[:, top : top + rows, left : left + columns], *size)
        return found


def _known(size: Size) -> tuple[int, int]:
    assert isinstance(size, tuple)  # set by `within`
    return size


def _whole(u: NDArray[Any], count: Any) -> NDArray[np.int64]:
    """Whole numbers from 0 to ``count`` - 1, all equally probable."""
    return np.floor(u * count).astype(np.int64)


def _range(name: str, given: Any) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not 0 < low <= high < float("inf"):
        raise DeclarationError(
            f"RandomResizedCrop: {name} must be two numbers above 0, the smaller first. Got {given!r}"
        )
    return low, high
