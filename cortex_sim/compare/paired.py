"""Which rules differ: scores on the same stimuli, compared in pairs and corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.compare.bootstrap import one_for_each, quantile, seed_means
from cortex_sim.compare.crossed import Factor
from cortex_sim.compare.metric import Evaluation
from cortex_sim.compare.multiple import adjusted
from cortex_sim.compare.responses import Array
from cortex_sim.compare.uncertainty import Compared, Refit, checked_over, uncertainty
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class Difference:
    """How much higher one rule scores than another.

    Parameters
    ----------
    first, second : str
        Rules.
    difference : float
        Score of the first minus that of the second.
    low, high : float
        Confidence interval of the difference, not adjusted for the number of comparisons.
    error, freedom : float
        Standard error and degrees of freedom.
    p : float
        Two-sided, of a t test against no difference.
    adjusted : float
        The same, adjusted for the number of comparisons.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    error: float
    freedom: float
    p: float
    adjusted: float


@dataclass(frozen=True)
class Comparison:
    """All pairs of rules.

    Parameters
    ----------
    scores : mapping of str to float
        Of each rule, the mean over its seeds.
    differences : tuple of Difference
        One for each pair of rules, in the order of the rules.
    correction : str
        Name of the adjustment of p values.
    level : float
        Confidence level of the intervals.
    method : str
        How the variance was estimated.
    """

    scores: Mapping[str, float]
    differences: tuple[Difference, ...]
    correction: str
    level: float
    method: str

    def between(self, first: str, second: str) -> Difference:
        """The difference of two rules, in this order."""
        for found in self.differences:
            if (found.first, found.second) == (first, second):
                return found
            if (found.second, found.first) == (first, second):
                low, high = -found.high, -found.low
                return replace(
                    found, first=first, second=second, difference=-found.difference, low=low, high=high
                )
        raise DataError(f"comparison: no rules {first!r} and {second!r}; known: {listed(self.scores)}")


def paired(
    rules: Mapping[str, Evaluation | Sequence[Evaluation]],
    *,
    over: str | Sequence[str] | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    correction: str = "holm",
    paired_seeds: bool = False,
    refits: Mapping[str, Refit | Sequence[Refit]] | None = None,
    splits: int = 20,
    groups: NDArray[Any] | None = None,
    raw: bool = False,
) -> Comparison:
    """Compare rules on the same neural data; every resample of stimuli and units is the same for all.

    Noise of the neural data and the choice of stimuli raise or lower all rules together, so that a difference
    can be clear where intervals of the single scores overlap.

    Parameters
    ----------
    rules : mapping of str to Evaluation, or to a sequence of them, one per training seed
        At least two; all by one metric, with one seed, on the same neural data.
    over, level, resamples, seed, splits, groups, raw
        As for `interval`. By default over stimuli, and over seeds where every rule has several.
    correction : {"holm", "fdr", "none"}
        See `cortex_sim.compare.multiple`.
    paired_seeds : bool, default False
        Whether the i-th seed of every rule started from the same weights and saw data in the same order;
        seeds are then drawn for all rules together. All rules need the same number of seeds.
    refits : mapping of str, optional
        As ``refit`` of `interval`, for every rule.

    Raises
    ------
    DataError
        If there are fewer than two rules, or as for `interval`.
    """
    members, refit = _members(rules, refits)
    counts = [len(of) for of in members.values()]
    if len(counts) < 2:
        raise DataError(f"comparison: give at least two rules. Got {listed(members)}")
    if paired_seeds and len(set(counts)) > 1:
        raise DataError(
            f"comparison: paired_seeds needs the same number of seeds for every rule. Got "
            f"{listed(f'{name}: {count}' for name, count in zip(members, counts, strict=True))}"
        )
    names = checked_over(over, min(counts))
    means, seeds = seed_means(counts, paired_seeds)
    pairs = pairs_of(len(counts))
    contrast = contrast_of(pairs, len(counts))
    compared = Compared(
        [one for of in members.values() for one in of], contrast @ means, _contrasted(seeds, contrast), raw
    )
    found, method = uncertainty(
        compared, names, resamples=resamples, seed=seed, refits=refit, splits=splits, groups=groups
    )
    scores = dict(zip(members, (means @ compared.read(None, None)).tolist(), strict=True))
    differences = differences_of(
        list(members), pairs, compared.statistics, found.total, found.freedom, level, correction
    )
    return Comparison(scores, differences, correction, level, method)


def _members(
    rules: Mapping[str, Evaluation | Sequence[Evaluation]],
    refits: Mapping[str, Refit | Sequence[Refit]] | None,
) -> tuple[dict[str, list[Evaluation]], list[Refit] | None]:
    members = {name: list(of) if isinstance(of, Sequence) else [of] for name, of in rules.items()}
    empty = [name for name, of in members.items() if not of]
    if empty:
        raise DataError(f"comparison: no evaluation of {listed(empty)}; give one for each training seed")
    if refits is None:
        return members, None
    if refits.keys() != rules.keys():
        raise DataError(
            f"comparison: refits must be given for every rule, {listed(rules)}. Got {listed(refits)}"
        )
    each = [one_for_each(refits[name], len(of)) or [] for name, of in members.items()]
    return members, [refit for of in each for refit in of]


def pairs_of(rules: int) -> list[tuple[int, int]]:
    """All pairs of rules, by number."""
    return list(combinations(range(rules), 2))


def contrast_of(pairs: Sequence[tuple[int, int]], rules: int) -> Array:
    """First minus second of each pair, shape (pair, rule)."""
    contrast = np.zeros((len(pairs), rules))
    for row, (first, second) in enumerate(pairs):
        contrast[row, first], contrast[row, second] = 1.0, -1.0
    return contrast


def _contrasted(seeds: Factor | None, contrast: Array) -> Factor | None:
    """The factor that resamples seeds, for differences in place of means."""
    if seeds is None:
        return None
    draw = seeds.draw
    return replace(seeds, draw=lambda rng: contrast @ draw(rng))


def differences_of(
    names: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    differences: Array,
    variances: Array,
    freedom: Array,
    level: float,
    correction: str,
) -> tuple[Difference, ...]:
    """Each pair's difference with interval and p values, from its variance; arrays have shape (pair,)."""
    from scipy.stats import t

    errors = np.sqrt(variances)
    ratio = np.divide(differences, errors, out=np.zeros_like(errors), where=errors > 0)
    ratio = np.where((errors == 0) & (differences != 0), np.inf, np.abs(ratio))
    p = 2 * t.sf(ratio, freedom)
    reach = np.array([quantile(level, each) for each in freedom]) * errors
    table = zip(
        pairs, differences, differences - reach, differences + reach, errors, freedom, p,
        adjusted(p, correction), strict=True,
    )  # fmt: skip
    return tuple(
        Difference(names[first], names[second], *(float(value) for value in values))
        for (first, second), *values in table
    )
