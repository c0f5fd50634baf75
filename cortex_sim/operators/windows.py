"""Which pre units lie under each window of a convolution or of pooling."""

from __future__ import annotations

import numpy as np

from cortex_sim.connectors import Shape
from cortex_sim.operators.base import units
from cortex_sim.pairs import Pair, both


def windows(pre: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = 1) -> np.ndarray:
    """Pre unit under each entry of each window, (channel, place, entry); their number means padding."""
    (rows, columns), sides = both(padding), both(kernel)
    steps, apart = both(stride), both(dilation)
    grid = np.pad(
        np.arange(units(pre)).reshape(pre),
        ((0, 0), (rows, rows), (columns, columns)),
        constant_values=units(pre),
    )
    extent = tuple(d * (k - 1) + 1 for d, k in zip(apart, sides, strict=True))
    found: np.ndarray = np.lib.stride_tricks.sliding_window_view(grid, extent, (1, 2))  # type: ignore[call-overload]
    found = found[:, :: steps[0], :: steps[1], :: apart[0], :: apart[1]]
    return found.reshape(pre[0], found.shape[1] * found.shape[2], -1)
