"""Pictures centred in a field of another size: cropped or padded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def placed(x: NDArray[Any], rows: int, columns: int, background: int = 0) -> NDArray[Any]:
    """A copy of pictures (n, channel, y, x) in a field of (rows, columns)."""
    field = np.full((*x.shape[:2], rows, columns), background, x.dtype)
    (to_y, from_y), (to_x, from_x) = _overlap(rows, x.shape[2]), _overlap(columns, x.shape[3])
    field[:, :, to_y, to_x] = x[:, :, from_y, from_x]
    return field


def _overlap(field: int, side: int) -> tuple[slice, slice]:
    """Where a centred picture lies along one axis of the field, and which part of the picture is inside."""
    start = (field - side) // 2
    length = min(field, side)
    to, of = max(0, start), max(0, -start)
    return slice(to, to + length), slice(of, of + length)
