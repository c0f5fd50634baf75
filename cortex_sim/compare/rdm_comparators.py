"""How alike two RDMs are, for any multiset of stimuli: Pearson, Spearman, rho-a, whitened Pearson.

A resampled set of stimuli is given by how often each occurs. Then pair (i, j) of different stimuli occurs
n_i n_j times and pairs of copies of one stimulus do not occur, as if the matrices had been sub-selected and
those pairs dropped (tested), but each RDM is sorted only once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import look_up
from cortex_sim.compare.responses import Array
from cortex_sim.errors import DataError


@dataclass(frozen=True, eq=False)
class Rdm:
    """One RDM, as its upper triangle of shape (pair,) with NaN where a pair was not measured."""

    name: str
    values: Array
    stimuli: int

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """Which pairs were measured."""
        return np.isfinite(self.values)

    @cached_property
    def filled(self) -> Array:
        """The values, with 0 for pairs that were not measured."""
        return np.where(self.measured, self.values, 0.0)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Order of the values, where each run of equal ones begins, and its length."""
        order = np.argsort(self.filled)
        in_order = self.filled[order]
        starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
        return order, starts, np.diff(np.r_[starts, len(order)])

    def ranks(self, weights: Array) -> Array:
        """Mean rank of each pair, 1 the smallest, if pair k occurs weights[k] times."""
        order, starts, lengths = self._sorted
        tied = np.add.reduceat(weights[order], starts)
        ranks = np.empty_like(weights)
        ranks[order] = np.repeat(np.cumsum(tied) - (tied - 1) / 2, lengths)
        return ranks


def pair_weights(counts: Array) -> Array:
    """How often each pair of different stimuli occurs, upper triangle, row by row."""
    rows, columns = _pairs(len(counts))
    return np.asarray(counts[rows] * counts[columns])


@lru_cache(maxsize=2)
def _pairs(stimuli: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.triu_indices(stimuli, 1)


class Comparator(Protocol):
    """How alike two RDMs are: 1 for the same, about 0 for unrelated ones."""

    name: ClassVar[str]
    strictness: ClassVar[str]

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """The similarity over all pairs measured in both, counts (stimulus,) how often each occurs."""
        ...

    def standardised(self, rdm: Rdm, counts: Array) -> Array:
        """The values on the scale on which RDMs of several subjects are averaged, shape (pair,)."""
        ...


def _weights(first: Rdm, second: Rdm, counts: Array) -> Array:
    weights = pair_weights(counts) * first.measured * second.measured
    if (weights > 0).sum() < 3:
        raise DataError(
            f"{first.name} and {second.name}: fewer than 3 pairs of different stimuli were measured in both; "
            f"give more stimuli"
        )
    return weights


def _sum_of_squares(values: Array, weights: Array) -> float:
    return float(weights @ values**2)


def _centred(values: Array, weights: Array) -> Array:
    return np.asarray(values - weights @ values / weights.sum())


def _correlation(first: Rdm, second: Rdm, x: Array, y: Array, weights: Array) -> float:
    """Weighted Pearson correlation of x and y."""
    scales = _sum_of_squares(x, weights), _sum_of_squares(y, weights)
    x, y = _centred(x, weights), _centred(y, weights)
    xx, yy = _sum_of_squares(x, weights), _sum_of_squares(y, weights)
    for rdm, size, scale in ((first, xx, scales[0]), (second, yy, scales[1])):
        _require_variation(rdm, size, scale)
    return float(np.clip(weights @ (x * y) / np.sqrt(xx * yy), -1, 1))


def _require_variation(rdm: Rdm, size: float, scale: float) -> None:
    """Raise `DataError` where all dissimilarities are equal, up to rounding: their variation has no size."""
    if size <= 1e-24 * scale:
        raise DataError(
            f"RDM {rdm.name}: all dissimilarities of these stimuli are equal, so it correlates with nothing; "
            f"choose another population, measure or more stimuli"
        )


@dataclass(frozen=True)
class Pearson:
    """Pearson correlation of the dissimilarities: they must agree up to offset and positive scale."""

    name: ClassVar[str] = "pearson"
    strictness: ClassVar[str] = "an offset and a scale of the dissimilarities"

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """See `Comparator`."""
        weights = _weights(first, second, counts)
        return _correlation(first, second, first.filled, second.filled, weights)

    def standardised(self, rdm: Rdm, counts: Array) -> Array:
        """See `Comparator`: z-scores."""
        weights = pair_weights(counts) * rdm.measured
        z = _centred(rdm.filled, weights)
        return np.asarray(z / np.sqrt(weights @ (z * z) / weights.sum()))


@dataclass(frozen=True)
class Spearman:
    """Pearson correlation of the ranks; models that predict ties gain from them, so prefer `RhoA`."""

    name: ClassVar[str] = "spearman"
    strictness: ClassVar[str] = "any increasing function of the dissimilarities"

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """See `Comparator`."""
        weights = _weights(first, second, counts)
        return _correlation(first, second, first.ranks(weights), second.ranks(weights), weights)

    def standardised(self, rdm: Rdm, counts: Array) -> Array:
        """See `Comparator`: ranks."""
        return rdm.ranks(pair_weights(counts) * rdm.measured)


@dataclass(frozen=True)
class RhoA:
    """Spearman's ρ expected if ties were broken at random: ties gain nothing.

    ρ_a = 12 Σ (a_k − ā)(b_k − b̄) / (m³ − m), a and b the mean ranks of m pairs; it is 1 only for equal
    orders without ties.

    References
    ----------
    Schütt et al. (2023), eLife 12:e82566, doi:10.7554/eLife.82566.
    """

    name: ClassVar[str] = "rho-a"
    strictness: ClassVar[str] = "any increasing function of the dissimilarities"

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """See `Comparator`."""
        weights = _weights(first, second, counts)
        m = weights.sum()
        for rdm in (first, second):
            values = _centred(rdm.filled, weights)
            _require_variation(rdm, _sum_of_squares(values, weights), _sum_of_squares(rdm.filled, weights))
        a, b = _centred(first.ranks(weights), weights), _centred(second.ranks(weights), weights)
        return float(12 * (weights @ (a * b)) / (m**3 - m))

    def standardised(self, rdm: Rdm, counts: Array) -> Array:
        """See `Comparator`: ranks."""
        return rdm.ranks(pair_weights(counts) * rdm.measured)


@dataclass(frozen=True)
class WhitenedPearson:
    """Pearson correlation after removal of the covariance that dissimilarities share through stimuli.

    rsatoolbox's ``corr_cov`` with independent stimuli: dissimilarities with one stimulus in common have
    correlated errors. With v = −½(d − d̄) off the diagonal and 0 on it, the correlation is the cosine between
    v − a_i − a_j of both RDMs, pairs twice and the diagonal once, a fitted by least squares. Without
    missing pairs that is linear CKA of the centred matrices. Made for crossnobis dissimilarities.

    References
    ----------
    Diedrichsen et al. (2021), Neurons, Behavior, Data Analysis, and Theory 5(3), arXiv 2007.02789.
    """

    name: ClassVar[str] = "whitened"
    strictness: ClassVar[str] = "an offset and a scale of the dissimilarities"

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """See `Comparator`."""
        weights = _weights(first, second, counts)
        kept = np.flatnonzero(counts)
        n, w = counts[kept], _square(weights, len(counts))[np.ix_(kept, kept)]
        x, y = (
            _square(_centred(r.filled, weights), len(counts))[np.ix_(kept, kept)] for r in (first, second)
        )
        (xo, xd), (yo, yd) = _without_means(x, w, n), _without_means(y, w, n)

        def product(a: Array, a_diagonal: Array, b: Array, b_diagonal: Array) -> float:
            return float(np.sum(w * a * b) + n @ (a_diagonal * b_diagonal))

        xx, yy = product(xo, xd, xo, xd), product(yo, yd, yo, yd)
        for rdm, size in ((first, xx), (second, yy)):
            _require_variation(rdm, size, _sum_of_squares(rdm.filled, weights))
        return float(np.clip(product(xo, xd, yo, yd) / np.sqrt(xx * yy), -1, 1))

    def standardised(self, rdm: Rdm, counts: Array) -> Array:
        """See `Comparator`: centred, at unit length after whitening."""
        weights = pair_weights(counts) * rdm.measured
        n, w = counts, _square(weights, len(counts))
        centred = _centred(rdm.filled, weights)
        off, diagonal = _without_means(_square(centred, len(counts)), w, n)
        return np.asarray(centred / np.sqrt(np.sum(w * off * off) + n @ diagonal**2))


def _square(pairs: Array, stimuli: int) -> Array:
    full = np.zeros((stimuli, stimuli))
    rows, columns = _pairs(stimuli)
    full[rows, columns] = full[columns, rows] = pairs
    return full


def _without_means(d: Array, w: Array, n: Array) -> tuple[Array, Array]:
    """Residuals v − a_i − a_j off the diagonal and −2a_i on it, v = −d/2.

    a minimises Σ_i≠j w_ij (v_ij − a_i − a_j)² + Σ_i n_i (2a_i)².
    """
    from scipy.linalg import solve

    v = -d / 2
    a = solve(np.diag(w.sum(axis=1) + 2 * n) + w, (w * v).sum(axis=1), assume_a="pos")
    return v - a[:, None] - a[None, :], -2 * a


COMPARATORS: Mapping[str, Comparator] = {
    c.name: c for c in (RhoA(), Pearson(), Spearman(), WhitenedPearson())
}


def comparator_named(name: str) -> Comparator:
    """The comparator of this name."""
    return look_up("comparator", name, COMPARATORS, DataError)
