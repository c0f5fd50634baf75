"""Pictures resized by Pillow's antialiased filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortex_sim.augmentation.base import Pictures, Shape
from cortex_sim.checks import require_count
from cortex_sim.registry import register


def resized(picture: NDArray[Any], rows: int, columns: int, filter: str = "BILINEAR") -> NDArray[Any]:
    """One picture (channel, y, x) of 8 bits or float32, resized; returned as it is if it has that size.

    Parameters
    ----------
    picture : array of shape (channel, y, x)
    rows, columns : int
    filter : str
        Name of a filter in Pillow's ``Image.Resampling``.
    """
    from PIL import Image

    if picture.shape[1:] == (rows, columns):
        return picture
    by = Image.Resampling[filter]
    if picture.dtype == np.uint8 and len(picture) == 3:
        whole = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
        return np.asarray(whole.resize((columns, rows), by)).transpose(2, 0, 1)
    found = np.empty((len(picture), rows, columns), picture.dtype)
    for to, channel in zip(found, picture, strict=True):
        to[:] = np.asarray(Image.fromarray(np.ascontiguousarray(channel)).resize((columns, rows), by))
    return found


def each_resized(x: NDArray[Any], rows: int, columns: int, filter: str = "BILINEAR") -> NDArray[Any]:
    """Pictures (n, channel, y, x), each resized separately; a copy."""
    found = np.empty((*x.shape[:2], rows, columns), x.dtype)
    for to, picture in zip(found, x, strict=True):
        to[:] = resized(picture, rows, columns, filter)
    return found


@register("augmentation", "resize")
@dataclass(frozen=True)
class Resize:
    """Resize so that the shorter side is ``side``, keeping the aspect ratio.

    Parameters
    ----------
    side : int or None, default None
        In pixels. None: 8/7 of the shorter side of what the network sees, such as 256 for 224.
    """

    side: int | None = None
    draws: ClassVar[int] = 0
    sized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.side is not None:
            require_count(self, side=self.side)

    def within(self, size: tuple[int, int]) -> Resize:
        """The step, with 8/7 of the shorter side of ``size`` if it has no side."""
        return self if self.side is not None else Resize(round(min(size) * 8 / 7))

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns) after it; the longer side is rounded."""
        assert self.side is not None
        share = self.side / min(have[1:])
        rows, columns = (max(self.side, round(length * share)) for length in have[1:])
        return have[0], rows, columns

    def __call__(self, x: Pictures, u: NDArray[Any]) -> Pictures:
        """Each picture resized separately."""
        _, rows, columns = self.shape(x.shape[1:])
        return each_resized(x, rows, columns)
