"""Sequence tasks as arrays for training on torch: stimuli by time bin, and targets for the top.

Each returns ``(x, y)`` as ``model.fit((x, y))`` takes it, for a network that is unrolled one step a bin. A
signal needs one step for each projection, so trials end with silent bins in which the answer is due.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortex_sim.checks import require_count, require_nonnegative
from cortex_sim.errors import DataError

Floats = NDArray[np.float32]


def delayed_match(
    trials: int,
    seed: int = 0,
    *,
    kinds: int = 4,
    shown: int = 2,
    delay: int = 6,
    noise: float = 0.3,
    silent: int = 2,
) -> tuple[Floats, NDArray[np.int64]]:
    """Delayed match to sample: a sample, a delay, and a test stimulus of the same kind or another.

    Parameters
    ----------
    trials : int
    seed : int, default 0
        Draws kinds and noise. Half of the trials match, on average.
    kinds : int, default 4
        Kinds of stimuli, each with its own unit; at least 2.
    shown, delay, silent : int
        Bins of each stimulus, of the delay, and after the test stimulus.
    noise : float, default 0.3
        Standard deviation of Gaussian noise in every unit and bin.

    Returns
    -------
    x : array of shape (presentation, time_bin, unit)
    y : array of shape (presentation,)
        1 for a match, else 0; due at the end.
    """
    require_count("delayed match", trials=trials, kinds=kinds, shown=shown, delay=delay, silent=silent)
    require_nonnegative("delayed match", noise=noise)
    if kinds < 2:
        raise DataError(f"delayed match: kinds must be at least 2, so that two can differ. Got {kinds}")
    rng = np.random.default_rng(seed)
    match = rng.random(trials) < 0.5
    sample = rng.integers(kinds, size=trials)
    other = (sample + rng.integers(1, kinds, size=trials)) % kinds
    x = noise * rng.normal(size=(trials, 2 * shown + delay + silent, kinds))
    every = np.arange(trials)[:, None]
    x[every, np.arange(shown), sample[:, None]] += 1
    second = np.arange(shown + delay, 2 * shown + delay)
    x[every, second, np.where(match, sample, other)[:, None]] += 1
    return x.astype(np.float32), match.astype(np.int64)


def pattern_generation(
    trials: int,
    seed: int = 0,
    *,
    patterns: int = 4,
    units: int = 2,
    bins: int = 30,
    clock: int = 5,
    noise: float = 0.1,
    patterns_seed: int = 0,
) -> tuple[Floats, Floats]:
    """A cue at the beginning names a pattern, which the top must generate bin by bin.

    A pattern is a sum of four sines of 1 to 4 periods a trial, with random amplitudes and phases, scaled to
    variance 1. Besides the cue, clock units are active in turn, as in Bellec et al. (2020),
    doi:10.1038/s41467-020-17236-y.

    Parameters
    ----------
    trials : int
    seed : int, default 0
        Draws cues and noise.
    patterns, units, bins : int
        Number of patterns, of units in each pattern, and of bins in a trial.
    clock : int, default 5
        Clock units; each is active for bins/clock bins.
    noise : float, default 0.1
        Standard deviation of Gaussian noise in every input unit and bin.
    patterns_seed : int, default 0
        Draws the patterns, which are the task: the same for training and test.

    Returns
    -------
    x : array of shape (presentation, time_bin, patterns + clock)
        The cue is on in the first two bins.
    y : array of shape (presentation, time_bin, unit)
    """
    given = {"trials": trials, "patterns": patterns, "units": units, "bins": bins, "clock": clock}
    require_count("pattern generation", **given)
    require_nonnegative("pattern generation", noise=noise)
    drawn = np.random.default_rng([patterns_seed, 1])
    size, phase = drawn.normal(size=(4, patterns, units)), 2 * np.pi * drawn.random((4, patterns, units))
    turns = 2 * np.pi * np.arange(1, 5)[:, None] * np.arange(bins) / bins  # (sine, time_bin)
    every = (size[..., None] * np.sin(turns[:, None, None] + phase[..., None])).sum(0)
    every = (every / every.std(axis=2, keepdims=True)).swapaxes(1, 2)  # (pattern, time_bin, unit)
    rng = np.random.default_rng(seed)
    cue = rng.integers(patterns, size=trials)
    x = noise * rng.normal(size=(trials, bins, patterns + clock))
    x[np.arange(trials), :2, cue] += 1
    now = np.arange(bins)
    x[:, now, patterns + now * clock // bins] += 1
    return x.astype(np.float32), every[cue].astype(np.float32)


def by_rows(images: ArrayLike, silent: int = 2) -> Floats:
    """Images shown row by row, from top to bottom, and then nothing.

    Parameters
    ----------
    images : array of shape (presentation, [1,] row, column)
    silent : int, default 2
        Bins after the last row.

    Returns
    -------
    array of shape (presentation, row + silent, column)
    """
    x = np.asarray(images, dtype=np.float32)
    if x.ndim == 4 and x.shape[1] == 1:
        x = x[:, 0]
    if x.ndim != 3:
        raise DataError(
            "by_rows: images must be of shape (presentation, row, column), or with one channel before the "
            f"row. Got {x.shape}"
        )
    require_count("by_rows", silent=silent)
    return np.pad(x, ((0, 0), (0, silent), (0, 0)))
