"""Variance of a score from halves of the stimuli, for what a bootstrap over stimuli gets wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.responses import Array
from cortex_sim.errors import DataError


def half_samples(
    statistic: Callable[[Numbers], Array],
    groups: Sequence[NDArray[Any]],
    splits: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Variance between the halves of random splits, and variance of their mean over splits.

    The halves of a split hold different stimuli, so with s₁ and s₂ the statistics of two halves, (s₁ − s₂)²/4
    estimates half the variance of the statistic on half the stimuli, which is its variance on all if that
    falls as 1/n. Write the statistic as a sum of effects of single stimuli, with variance A, and of pairs of
    stimuli, with variance C. The variance sought is A + C; the estimate from halves is A + 2C, and the
    variance of (s₁ + s₂)/2 over splits is C, so that their difference is A + C. A bootstrap gives A + 3C. C
    is negligible, except for RDMs and Gram matrices that have little in common, where it dominates.

    Parameters
    ----------
    statistic : callable
        Takes numbers of stimuli, returns an array of shape (statistic,).
    groups : sequence of array
        Numbers of stimuli that stay together.
    splits : int
    rng : numpy.random.Generator

    Returns
    -------
    between : array of shape (statistic,)
        Mean over splits of (s₁ − s₂)²/4.
    of_mean : array of shape (statistic,)
        Variance over splits of (s₁ + s₂)/2.

    References
    ----------
    McCarthy (1969), Rev. Int. Stat. Inst. 37 (half-samples); Efron & Stein (1981), Ann. Stat. 9, for the
    effects of pairs.
    """
    found: list[list[Array]] = []
    refused = 0
    while len(found) < splits:
        order = rng.permutation(len(groups))
        cut = len(groups) // 2
        halves = (np.sort(np.concatenate([groups[i] for i in part])) for part in (order[:cut], order[cut:]))
        try:
            found.append([statistic(half) for half in halves])
        except DataError:  # undefined for one of these halves, as with too few stimuli of one kind
            refused += 1
            if refused > splits:
                raise
    scores = np.asarray(found)  # (split, half, statistic)
    between = ((scores[:, 0] - scores[:, 1]) ** 2).mean(axis=0) / 4
    return between, scores.mean(axis=1).var(axis=0, ddof=1)
