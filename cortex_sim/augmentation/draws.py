"""Random numbers for presentations: a pure function of (seed, epoch, index), for a whole batch at once.

SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195), seeded for every presentation with a hash
of these three numbers. A generator object for each presentation would take a hundred times as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniform(seed: int, epoch: int, indices: NDArray[Any], stream: int, count: int) -> NDArray[np.float64]:
    """Uniform random numbers, at least 0 and below 1.

    Parameters
    ----------
    seed, epoch : int
    indices : integer array of shape (n,)
        Indices of the presentations.
    stream : int
        The steps of an augmentation use different streams, so that their numbers are independent.
    count : int
        How many numbers each presentation needs.

    Returns
    -------
    float64 array of shape (n, count)
    """
    state = np.zeros(1, np.uint64)
    for number in (seed, stream, epoch):
        state = _mixed((state ^ np.uint64(number)) + _STEP)
    start = _mixed((state ^ np.asarray(indices).astype(np.uint64)) + _STEP)
    steps = np.arange(1, count + 1, dtype=np.uint64) * _STEP
    return np.asarray((_mixed(start[:, None] + steps) >> np.uint64(11)) * 2.0**-53, np.float64)


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))
