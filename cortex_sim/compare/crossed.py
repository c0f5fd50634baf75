"""How much scores would vary if stimuli, units and training seeds were drawn again, alone and together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.responses import Array
from cortex_sim.errors import DataError

#: Scores of all evaluations, shape (evaluation,), for these stimuli and these units; None means all.
Read = Callable[[Numbers | None, Numbers | None], Array]

REFUSED = 0.05  # share of resamples for which a metric may be undefined


@dataclass(frozen=True)
class Factor:
    """A factor that is resampled: stimuli, units or training seeds.

    Parameters
    ----------
    name : {"stimuli", "units", "seeds"}
    size : int
        Their number n. Resamples draw n − 1, with replacement, so that the variance over resamples equals
        that of the mean (n draws would give (n − 1)/n of it: a third less for 3 seeds).
    draw : callable
        Takes a generator; returns numbers of stimuli or units, or weights of shape (statistic, evaluation).
    freedom : float
        Degrees of freedom of the variance.
    """

    name: str
    size: int
    draw: Callable[[np.random.Generator], Any]
    freedom: float


@dataclass(frozen=True, eq=False)
class Variance:
    """Variance of each statistic, shape (statistic,), with degrees of freedom.

    Parameters
    ----------
    total : array of shape (statistic,)
    freedom : array of shape (statistic,)
        By Welch and Satterthwaite.
    alone : mapping of str to array of shape (statistic,)
        What each factor alone contributes, interactions included.
    refused : int
        Resamples for which the metric was undefined; they are left out.
    """

    total: Array
    freedom: Array
    alone: Mapping[str, Array]
    refused: int


def crossed_variance(
    read: Read,
    weights: Array,
    factors: Sequence[Factor],
    resamples: int,
    rng: np.random.Generator,
    known: Mapping[str, Array] | None = None,
) -> Variance:
    """Variance of weighted sums of scores over crossed factors, without counting noise twice.

    If a score is a sum of effects a_T of the sets T of factors, then drawing the factors S together and
    taking the alternating sum of bootstrap variances over the subsets of S, D_S = Σ (−1)^(|S|−|T|) V_T,
    gives the variance of all effects that contain S, and Σ_S (−1)^(|S|+1) D_S that of all effects, each once.
    For two factors this is V_1 + V_2 − (V_12 − V_1 − V_2), while V_12 alone counts their interaction, which
    includes measurement noise, three times.

    Parameters
    ----------
    read : callable
        See `Read`.
    weights : array of shape (statistic, evaluation)
        The statistics are ``weights @ scores``.
    factors : sequence of Factor
    resamples : int
    rng : numpy.random.Generator
    known : mapping of str to array of shape (statistic,), optional
        Variances of single factors that were estimated otherwise, in place of the bootstrap's.

    Raises
    ------
    DataError
        If the metric is undefined for more than one in twenty resamples, with its reason.

    References
    ----------
    Schütt, Kipnis, Diedrichsen & Kriegeskorte (2023), eLife 12, doi:10.7554/eLife.82566.
    """
    names, shared, refused = [factor.name for factor in factors], {}, 0
    if set(names) != set(known or {}):
        values, refused = _drawn(read, weights, factors, resamples, rng)
        spread = {subset: values[subset].var(axis=0, ddof=1) for subset in values}
        for subset in values:
            parts = [(-1) ** (len(subset) - len(part)) * spread[part] for part in _subsets(subset)]
            shared[subset] = np.sum(parts, axis=0)
    shared |= {(name,): value for name, value in (known or {}).items()}
    alone = {name: shared[(name,)] for name in names}
    total = np.sum([(-1) ** (len(subset) + 1) * value for subset, value in shared.items()], axis=0)
    # Interactions are not negative, but their estimates may be.
    total = np.clip(total, np.max(list(alone.values()), axis=0), np.sum(list(alone.values()), axis=0))
    sizes = np.sum([alone[factor.name] ** 2 / factor.freedom for factor in factors], axis=0)
    largest = max(factor.freedom for factor in factors)
    freedom = np.divide(total**2, sizes, out=np.full_like(total, largest), where=sizes > 0)
    return Variance(total, freedom, alone, refused)


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, len(names) + 1):
        yield from combinations(names, size)


def _drawn(
    read: Read, weights: Array, factors: Sequence[Factor], resamples: int, rng: np.random.Generator
) -> tuple[dict[tuple[str, ...], Array], int]:
    """The statistics of every resample, for each subset of factors, from the same draws."""
    subsets = list(_subsets([factor.name for factor in factors]))
    values: dict[tuple[str, ...], list[Array]] = {subset: [] for subset in subsets}
    allowed, refused = int(REFUSED * resamples), 0
    while len(values[subsets[0]]) < resamples:
        drawn = {factor.name: factor.draw(rng) for factor in factors}
        try:
            found = _statistics(read, weights, drawn, subsets)
        except DataError as reason:
            refused += 1
            if refused > allowed:
                raise DataError(
                    f"interval: the metric is undefined for more than {REFUSED:.0%} of the resamples "
                    f"({reason}); give more stimuli, or resample another factor"
                ) from None
            continue
        for subset in subsets:
            values[subset].append(found[subset])
    return {subset: np.asarray(each) for subset, each in values.items()}, refused


def _statistics(
    read: Read, weights: Array, drawn: Mapping[str, Any], subsets: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], Array]:
    """Scores are read once for each of: stimuli drawn, units drawn, both, none."""
    scores: dict[tuple[bool, bool], Array] = {}
    found = {}
    for subset in subsets:
        key = ("stimuli" in subset, "units" in subset)
        if key not in scores:
            scores[key] = read(drawn["stimuli"] if key[0] else None, drawn["units"] if key[1] else None)
        found[subset] = (drawn["seeds"] if "seeds" in subset else weights) @ scores[key]
    return found


def drawn_with_replacement(groups: Sequence[NDArray[Any]]) -> Callable[[np.random.Generator], Numbers]:
    """A draw of n − 1 of n groups of numbers, with replacement, each group whole."""
    if all(len(group) == 1 for group in groups):
        flat = np.concatenate(groups)
        return lambda rng: flat[rng.integers(len(flat), size=len(flat) - 1)]
    return lambda rng: np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups) - 1)])


def groups_of(labels: NDArray[Any] | None, size: int) -> list[NDArray[Any]]:
    """Numbers that share a label; without labels each number alone.

    Raises
    ------
    DataError
        If there are not ``size`` labels.
    """
    if labels is None:
        return list(np.arange(size)[:, None])
    if np.shape(labels) != (size,):
        raise DataError(f"groups: give one for each of {size} stimuli or units. Got shape {np.shape(labels)}")
    _, group = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    return [np.flatnonzero(group == which) for which in range(int(group.max()) + 1)]
