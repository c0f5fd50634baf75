"""How much a reader may read, and how it reports progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cortex_sim.errors import DataError

MAX_BYTES = 8 * 2**30  # 8 GiB: CIFAR-10 as float32 takes 0.7, ImageNet at 64 x 64 takes 59
DEFLATE_RATIO = 1032  # zlib cannot pack tighter, so a smaller claim is false

Progress = Callable[[int, int], None]
"""Called from time to time with (parts done, parts in all); only the command line displays it."""


def require_room(source: str, what: str, shape: Sequence[int], max_bytes: int) -> None:
    """Raise `DataError` if ``shape``, as float32, would not fit in ``max_bytes`` of memory."""
    needed = 4 * math.prod(shape)
    if needed > max_bytes:
        raise DataError(
            f"data {source}: {what} of shape {tuple(shape)} would take {needed / 2**30:.3g} GiB as "
            f"float32, the limit is {max_bytes / 2**30:.3g} GiB; read fewer or smaller "
            "presentations, or pass a larger max_bytes to the reader"
        )


def chosen(count: int, limit: int | None) -> NDArray[np.int64]:
    """Indices of the presentations that a limit keeps, in order: the first of a fixed shuffle."""
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])
