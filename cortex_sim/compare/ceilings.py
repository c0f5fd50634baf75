"""How reliable neuroids are: split-half correlation over repeats, with the Spearman–Brown correction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortex_sim.checks import require_count
from cortex_sim.compare.responses import ROUNDING, Array, Responses
from cortex_sim.errors import DataError

SPLITS = 1000
AT_ONCE = 16 * 2**20  # bytes of one temporary array
FEWEST = 3  # stimuli with two repeats: a correlation over two is 1 or -1


@dataclass(frozen=True, eq=False)
class Reliability:
    """Reliability of each neuroid's mean over repeats.

    Parameters
    ----------
    raw : array of shape (neuroid,)
        Mean over splits of the correlation, over stimuli, between the means of two halves of the repeats.
    corrected : array of shape (neuroid,)
        Its Spearman–Brown correction: the share of variance of the mean over all repeats that another
        recording would reproduce; 0 where the halves do not correlate.
    splits : int
        Number of splits.
    measured : array of bool of shape (neuroid,)
        False, with reliability 0, where fewer than 3 stimuli have two repeats.
    left_out : int
        Number of stimuli that have a single repeat for some neuroid and so cannot be split.
    """

    raw: Array
    corrected: Array
    splits: int
    measured: NDArray[np.bool_]
    left_out: int

    @property
    def overall(self) -> float:
        """One number for all neuroids: the Spearman–Brown correction of their mean split-half correlation.

        The mean is corrected, since the corrections of single neuroids' noisy correlations are skewed.
        """
        return float(spearman_brown(self.raw.mean()))

    def take(self, neuroids: Any) -> Reliability:
        """Reliability of some neuroids, selected by number or mask."""
        return Reliability(
            self.raw[neuroids],
            self.corrected[neuroids],
            self.splits,
            self.measured[neuroids],
            self.left_out,
        )


def spearman_brown(r: ArrayLike, factor: float = 2.0) -> Array:
    """Reliability of k = ``factor`` times as many repeats: k r/(1 + (k − 1) r); 0 where r is not above 0.

    References
    ----------
    Spearman (1910), Brown (1910), Br. J. Psychol. 3.
    """
    positive = np.maximum(np.asarray(r, dtype=np.float64), 0.0)
    return factor * positive / (1 + (factor - 1) * positive)


#: Results for data still in memory: every model and control is scored against the same data.
_KNOWN: WeakKeyDictionary[Responses, dict[tuple[int, int], Reliability]] = WeakKeyDictionary()


def known_split_half(responses: Responses, splits: int, seed: int) -> Reliability:
    """`split_half`, computed once for the same data, number of splits and seed."""
    known = _KNOWN.setdefault(responses, {})
    if (splits, seed) not in known:
        known[splits, seed] = split_half(responses, splits=splits, seed=seed)
    return known[splits, seed]


def split_half(responses: Responses, *, splits: int = SPLITS, seed: int = 0) -> Reliability:
    """Reliability of each neuroid from random halves of the repeats.

    For every split, the measured repeats of each stimulus are divided at random into halves; where
    their number is odd, one half has one more. r is the correlation, over stimuli, of the means of the
    halves, and r̄ its mean over splits; the reliability of the mean over all repeats is 2r̄/(1 + r̄). A half
    without variance counts as r = 0. Neuroids measured together are split together.

    Splits are computed a few at a time and only their sum is kept: memory does not grow with their number.

    Parameters
    ----------
    responses : Responses
        With repeats.
    splits : int, default 1000
    seed : int, default 0
        Draws the halves.

    Raises
    ------
    DataError
        If there are no repeats, or fewer than 3 stimuli have two.

    Notes
    -----
    The correction assumes noise that is independent between repeats. What is shared by repeats but not
    caused by the stimulus, such as a drift if all repeats of a stimulus followed each other, counts as
    reliable.
    """
    require_count("split_half", splits=splits)
    if responses.repeats is None:
        raise DataError(
            f"responses {responses.name}: no repeats, so the reliability is unknown; give "
            f"Responses(repeats=...) of shape (repeat, stimulus, neuroid), or use the convention 'raw'"
        )
    raw, measured = np.zeros(responses.neuroids), np.zeros(responses.neuroids, bool)
    left_out = np.zeros(len(responses), bool)
    for neuroids in _chunks(responses):
        repeats = responses.repeats[:, :, neuroids].astype(np.float64)
        there = np.isfinite(repeats)
        for pattern, those in _patterns(there):
            counts = pattern.sum(0)
            left_out |= counts < 2
            usable = counts >= 2
            if usable.sum() < FEWEST:
                continue
            values = np.where(pattern[:, usable, None], repeats[:, usable][:, :, those], 0.0)
            raw[neuroids[those]] = _mean_correlation(values, pattern, usable, splits, seed)
            measured[neuroids[those]] = True
    if not measured.any():
        raise DataError(
            f"responses {responses.name}: fewer than {FEWEST} stimuli have two repeats, so the reliability "
            f"is unknown; leave out the repeats, or use the convention 'raw'"
        )
    return Reliability(raw, spearman_brown(raw), splits, measured, int(left_out.sum()))


def _chunks(responses: Responses) -> Iterator[NDArray[np.int64]]:
    """Numbers of neuroids, few enough that a copy of their repeats is a small array."""
    assert responses.repeats is not None
    each = 8 * responses.repeats.shape[0] * len(responses)
    count = max(1, AT_ONCE // each)
    for start in range(0, responses.neuroids, count):
        yield np.arange(start, min(start + count, responses.neuroids))


def _patterns(there: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Each pattern of measured repeats (repeat, stimulus), with the neuroids that have it."""
    flat = there.reshape(-1, there.shape[2])
    if (flat == flat[:, :1]).all():
        yield there[:, :, 0], np.arange(there.shape[2])
        return
    _, first, which = np.unique(np.packbits(flat, axis=0), axis=1, return_index=True, return_inverse=True)
    for number, example in enumerate(first):
        yield there[:, :, example], np.flatnonzero(which.reshape(-1) == number)


def _mean_correlation(
    values: Array, pattern: NDArray[np.bool_], usable: NDArray[np.bool_], splits: int, seed: int
) -> Array:
    """Mean over splits of the correlation of halves, shape (neuroid,); missing repeats are 0 in values."""
    rng = np.random.default_rng(seed)
    missing, counts = ~pattern[:, usable].T, pattern[:, usable].sum(0)
    first = counts // 2
    by_stimulus = np.ascontiguousarray(values.transpose(1, 0, 2))  # (stimulus, repeat, neuroid)
    whole = by_stimulus.sum(1)
    at_once = max(1, AT_ONCE // (8 * whole.size))
    total = np.zeros(whole.shape[1])
    for start in range(0, splits, at_once):
        # Drawn for all stimuli, so that every pattern divides the repeats that it shares in the same order.
        order = rng.random((min(at_once, splits - start), *pattern.T.shape))[:, usable]
        order[:, missing] = np.inf  # those that were not measured come last
        chosen = order.argsort(2).argsort(2) < first[:, None]
        sums = chosen.transpose(1, 0, 2).astype(np.float64) @ by_stimulus  # (stimulus, split, neuroid)
        others = (whole[:, None] - sums) / (counts - first)[:, None, None]
        total += _correlations(sums / first[:, None, None], others).sum(0)
    return total / splits


def _correlations(one: Array, other: Array) -> Array:
    """Pearson correlations along the first axis; 0 where one of the two does not vary."""
    scale = [np.abs(half).max(0) for half in (one, other)]
    one, other = one - one.mean(0), other - other.mean(0)
    sizes = [np.sqrt((half**2).sum(0)) for half in (one, other)]
    varies = np.logical_and(*(size > ROUNDING * largest for size, largest in zip(sizes, scale, strict=True)))
    product = np.where(varies, sizes[0] * sizes[1], 1.0)
    return np.where(varies, (one * other).sum(0) / product, 0.0)
