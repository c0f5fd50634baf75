"""The noise ξ of decorrelation: a pure function of a projection's name and a count.

It has no other state, so that every backend, every rank and a resumed run draw the same numbers.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

_KIND = crc32(b"presynaptic decorrelation")


def noise_of(name: str, count: int, *shape: int) -> np.ndarray:
    """Standard normal numbers ([group,] presentation, input) for update number ``count`` of a state."""
    stream = np.random.default_rng([_KIND, crc32(name.encode()), count])
    return stream.standard_normal(shape)
