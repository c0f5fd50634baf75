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

KEPT_PAIRS = 500_000  # most pairs for which residuals are kept; 64 of them are 256 MB, whitened ones 512 MB


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
    def complete(self) -> bool:
        """Whether every pair was measured."""
        return bool(self.measured.all())

    @cached_property
    def filled(self) -> Array:
        """The values, with 0 for pairs that were not measured."""
        return np.where(self.measured, self.values, 0.0)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Order of the values, and where in it each distinct value starts, which is None without ties."""
        order = np.argsort(self.filled)
        in_order = self.filled[order]
        first = np.concatenate([[True], in_order[1:] != in_order[:-1]])
        return order, None if first.all() else np.flatnonzero(first)

    def ranks(self, weights: Array) -> Array:
        """Mean rank of each pair, 1 the smallest, if pair k occurs weights[k] times; 0 where it does not."""
        order, starts = self._sorted
        in_order = weights[order]
        tied = in_order if starts is None else np.add.reduceat(in_order, starts)
        found = np.cumsum(tied) - (tied - 1) / 2
        if starts is not None:
            found = np.repeat(found, np.diff(starts, append=len(order)))
        ranks = np.empty(weights.shape)
        ranks[order] = np.where(in_order > 0, found, 0.0)
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
    additive: ClassVar[
        bool
    ]  # whether independent errors of two RDMs leave the expected product of residuals unchanged

    def __hash__(self) -> int: ...  # residuals are kept by comparator and RDM

    def residuals(self, rdm: Rdm, weights: Array, counts: Array) -> Array:
        """The vector by which an RDM is correlated: its products are weighted sums over pairs.

        ``weights`` (pair,) and ``counts`` (stimulus,) say how often each occurs.
        """
        ...

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """The similarity over all pairs measured in both, counts (stimulus,) how often each occurs."""
        ...

    def standardised(self, rdm: Rdm) -> Array:
        """The values on the scale on which RDMs of several subjects are averaged, shape (pair,)."""
        ...


def _weights(first: Rdm, second: Rdm, counts: Array) -> Array:
    weights = pair_weights(counts) * first.measured * second.measured
    if (weights > 0).sum() < 3:
        raise DataError(
            f"{first.name} and {second.name}: fewer than 3 pairs of different stimuli were measured in both; "
            f"give more stimuli"
        )
    for rdm in (first, second):
        _check_varies(rdm, weights)
    return weights


def _pairs_measured(first: Rdm, second: Rdm, counts: Array) -> float:
    """How many pairs of different stimuli were measured in both."""
    if first.complete and second.complete:
        return float((counts.sum() ** 2 - counts @ counts) / 2)
    return float((pair_weights(counts) * first.measured * second.measured).sum())


def _check_varies(rdm: Rdm, weights: Array) -> None:
    varying = weights @ _centred(rdm.filled, weights) ** 2
    if varying <= 1e-24 * (weights @ rdm.filled**2):
        raise DataError(
            f"RDM {rdm.name}: all dissimilarities of these stimuli are equal, so its correlation is not "
            f"defined; choose another population or measure, or more stimuli"
        )


def _centred(values: Array, weights: Array) -> Array:
    return np.asarray(values - weights @ values / weights.sum())


def _residuals(how: Comparator, first: Rdm, second: Rdm, counts: Array) -> tuple[Array, Array]:
    """Residuals of both; where all pairs were measured, those of an RDM do not depend on the other."""
    if first.complete and second.complete and len(first.values) <= KEPT_PAIRS and (counts > 0).sum() >= 3:
        key = np.asarray(counts, dtype=np.float64).tobytes()
        return _kept_residuals(how, first, key), _kept_residuals(how, second, key)
    weights = _weights(first, second, counts)
    return how.residuals(first, weights, counts), how.residuals(second, weights, counts)


@lru_cache(maxsize=64)
def _kept_residuals(how: Comparator, rdm: Rdm, counts: bytes) -> Array:
    """Residuals, cached since one RDM is compared with many: every model with every subject."""
    occurs = np.frombuffer(counts)
    weights = pair_weights(occurs)
    _check_varies(rdm, weights)
    found = how.residuals(rdm, weights, occurs)
    found.flags.writeable = False
    return found


def _cosine(x: Array, y: Array) -> float:
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))


@dataclass(frozen=True)
class Pearson:
    """Pearson correlation of the dissimilarities: they must agree up to offset and positive scale."""

    name: ClassVar[str] = "pearson"
    strictness: ClassVar[str] = "an offset and a scale of the dissimilarities"
    additive: ClassVar[bool] = True

    def residuals(self, rdm: Rdm, weights: Array, counts: Array) -> Array:
        """See `Comparator`: deviations from the mean."""
        return np.asarray(np.sqrt(weights) * _centred(rdm.filled, weights))

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """See `Comparator`."""
        return _cosine(*_residuals(self, first, second, counts))

    def standardised(self, rdm: Rdm) -> Array:
        """See `Comparator`: at unit length."""
        return _unit_length(self, rdm)


@dataclass(frozen=True)
class Spearman:
    """Pearson correlation of the ranks; models that predict ties gain from them, so prefer `RhoA`."""

    name: ClassVar[str] = "spearman"
    strictness: ClassVar[str] = "any increasing function of the dissimilarities"
    additive: ClassVar[bool] = False

    def residuals(self, rdm: Rdm, weights: Array, counts: Array) -> Array:
        """See `Comparator`: ranks, less their mean."""
        return np.asarray(np.sqrt(weights) * _centred(rdm.ranks(weights), weights))

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """See `Comparator`."""
        return _cosine(*_residuals(self, first, second, counts))

    def standardised(self, rdm: Rdm) -> Array:
        """See `Comparator`: ranks."""
        return rdm.ranks(rdm.measured.astype(np.float64))


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
    additive: ClassVar[bool] = False

    def residuals(self, rdm: Rdm, weights: Array, counts: Array) -> Array:
        """See `Comparator`: ranks, less their mean."""
        return Spearman().residuals(rdm, weights, counts)

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """See `Comparator`."""
        a, b = _residuals(self, first, second, counts)
        m = _pairs_measured(first, second, counts)
        return float(12 * (a @ b) / (m**3 - m))

    def standardised(self, rdm: Rdm) -> Array:
        """See `Comparator`: ranks."""
        return Spearman().standardised(rdm)


@dataclass(frozen=True)
class WhitenedPearson:
    """Pearson correlation after removal of the covariance that dissimilarities share through stimuli.

    rsatoolbox's ``corr_cov`` with independent stimuli: dissimilarities with one stimulus in common have
    correlated errors. With v = −½(d − d̄) off the diagonal and 0 on it, the correlation is the cosine between
    v − a_i − a_j of both RDMs, with a fitted by least squares, and pairs counted twice and the diagonal once.
    Without missing pairs this is linear CKA of the centred matrices. Meant for crossnobis dissimilarities.

    References
    ----------
    Diedrichsen et al. (2021), Neurons, Behavior, Data Analysis, and Theory 5(3), arXiv 2007.02789.
    """

    name: ClassVar[str] = "whitened"
    strictness: ClassVar[str] = "an offset and a scale of the dissimilarities"
    additive: ClassVar[bool] = True

    def residuals(self, rdm: Rdm, weights: Array, counts: Array) -> Array:
        """See `Comparator`: pairs row by row, then the diagonal."""
        kept = np.flatnonzero(counts)
        some = np.ix_(kept, kept)
        v = -_square(_centred(rdm.filled, weights), len(counts))[some] / 2
        w, n = _square(weights, len(counts))[some], counts[kept]
        off, diagonal = _without_means(v, w, n)
        return np.concatenate([(np.sqrt(w) * off).ravel(), np.sqrt(n) * diagonal])

    def compare(self, first: Rdm, second: Rdm, counts: Array) -> float:
        """See `Comparator`."""
        return _cosine(*_residuals(self, first, second, counts))

    def standardised(self, rdm: Rdm) -> Array:
        """See `Comparator`: at unit length after whitening."""
        return _unit_length(self, rdm)


def _unit_length(how: Comparator, rdm: Rdm) -> Array:
    counts = np.ones(rdm.stimuli)
    weights = _weights(rdm, rdm, counts)
    length = float(np.linalg.norm(how.residuals(rdm, weights, counts)))
    return np.asarray(_centred(rdm.filled, weights) / length)


def _square(pairs: Array, stimuli: int) -> Array:
    full = np.zeros((stimuli, stimuli))
    rows, columns = _pairs(stimuli)
    full[rows, columns] = full[columns, rows] = pairs
    return full


def _without_means(v: Array, w: Array, n: Array) -> tuple[Array, Array]:
    """Residuals v_ij − a_i − a_j off the diagonal and −2a_i on it.

    a minimises Σ_i≠j w_ij (v_ij − a_i − a_j)² + Σ_i n_i (2a_i)².
    """
    from scipy.linalg import solve

    a = solve(np.diag(w.sum(axis=1) + 2 * n) + w, (w * v).sum(axis=1), assume_a="pos")
    return v - a[:, None] - a[None, :], -2 * a


COMPARATORS: Mapping[str, Comparator] = {
    c.name: c for c in (RhoA(), Pearson(), Spearman(), WhitenedPearson())
}


def comparator_named(name: str) -> Comparator:
    """The comparator of this name."""
    return look_up("comparator", name, COMPARATORS, DataError)
