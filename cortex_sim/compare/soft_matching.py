"""Soft matching: how alike single neuroids of two populations are after the best matching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import lcm
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import require_count
from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.neuroid_evaluation import NeuroidEvaluation
from cortex_sim.compare.repeat_halves import noisy_copies
from cortex_sim.compare.representations import (
    check_convention,
    check_stimuli,
    constant,
    counts,
    require_responses,
    varying,
)
from cortex_sim.compare.responses import Array, Dissimilarities, Responses
from cortex_sim.errors import DataError

ASSIGNED = 2000  # rows of the largest assignment: half a second
PROGRAMMED = 100_000  # pairs in the largest linear program: about four seconds


@dataclass(frozen=True, eq=False)
class Matching:
    """An optimal transport plan: pairs of units (pair,) and the mass that each carries; masses sum to 1."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    mass: Array


def transport(similarity: Array) -> Matching:
    """The plan P that maximises Σ P_ij s_ij, with mass 1/p in each of p rows and 1/q in each of q columns.

    For populations of equal size this is an assignment; where the least common multiple of p and q is small,
    an assignment between copies of their units; otherwise a linear program (scipy's HiGHS). All are exact.
    """
    p, q = similarity.shape
    size = lcm(p, q)
    return _assigned(similarity, size) if size <= max(p, q, ASSIGNED) else _programmed(similarity)


def _assigned(similarity: Array, size: int) -> Matching:
    from scipy.optimize import linear_sum_assignment

    p, q = similarity.shape
    copies = similarity.repeat(size // p, axis=0).repeat(size // q, axis=1)
    rows, columns = linear_sum_assignment(copies, maximize=True)
    pairs, times = np.unique(
        np.stack([rows // (size // p), columns // (size // q)]), axis=1, return_counts=True
    )
    return Matching(pairs[0], pairs[1], times / size)


def _programmed(similarity: Array) -> Matching:
    from scipy import sparse
    from scipy.optimize import linprog

    p, q = similarity.shape
    of_row = sparse.kron(sparse.eye(p), np.ones((1, q)))
    of_column = sparse.kron(np.ones((1, p)), sparse.eye(q))
    sums = np.r_[np.full(p, q), np.full(q, p)]  # masses times p q: whole numbers
    found = linprog(-similarity.ravel(), A_eq=sparse.vstack([of_row, of_column]).tocsr(), b_eq=sums)
    if not found.success:
        raise DataError(f"soft-matching: no plan between {p} and {q} units was found: {found.message}")
    masses = np.round(found.x).reshape(p, q)
    rows, columns = np.nonzero(masses)
    return Matching(rows, columns, masses[rows, columns] / (p * q))


def normalised(values: Array) -> Array:
    """Centred tuning curves of unit length, shape (stimulus, neuroid)."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred / np.linalg.norm(centred, axis=0))


def matched_correlation(x: Array, y: Array) -> float:
    """max_P Σ P_ij r_ij over transport plans with uniform masses, r_ij the correlation of two neuroids.

    x (stimulus, p) and y (stimulus, q) must have no constant neuroids.
    """
    similarity = normalised(x).T @ normalised(y)
    plan = transport(similarity)
    return float(plan.mass @ similarity[plan.rows, plan.columns])


@dataclass(frozen=True)
class SoftMatching:
    """Mean correlation of neuroids with their partners in the model, under the best soft one-to-one matching.

    s = max_P Σ P_ij r_ij, where r_ij is the correlation over stimuli of unit i of the model and neuroid j of
    the data, and P a transport plan with mass 1/p for each of p units and 1/q for each of q neuroids. For
    equal sizes it is a permutation. The matching is chosen on the stimuli on which it is scored, so that
    unrelated populations score above 0, the more so the fewer the stimuli; compare with shuffled stimuli.

    Parameters
    ----------
    at_most : int
        Larger populations are represented by so many of their units, drawn at random with the seed; where
        two sizes make the matching slow, the larger is reduced to a multiple of the smaller. The
        evaluation's ``drawn`` gives the numbers.
    splits : int
        Random halves of the repeats, for the ceiling.
    convention : {"raw", "over_ceiling"}
        The score as it is, or divided by the ceiling.

    References
    ----------
    Khosla & Williams (2024), Proc. UniReps, PMLR 243, arXiv 2311.09466.
    """

    at_most: int = 1000
    splits: int = 10
    convention: str = "raw"
    name: ClassVar[str] = "soft-matching"
    readout: ClassVar[str] = "units"  # for model recovery: preserves single units
    strictness: ClassVar[str] = (
        "forgives the order of units and the gain and offset of each; single neuroids must agree"
    )

    def __post_init__(self) -> None:
        check_convention(self.convention)
        require_count(self, splits=self.splits, at_most=self.at_most)

    def evaluate(
        self, model: Responses, neural: Responses | Dissimilarities, *, seed: int = 0
    ) -> SoftMatchingEvaluation:
        """Match units; see `cortex_sim.compare.metric.Metric`. Units of the evaluation are neuroids."""
        neural = require_responses(self.name, neural)
        check_stimuli(self.name, model, neural)
        model, dead = varying(self.name, model)
        neural, flat = varying(self.name, neural)
        before = model.neuroids, neural.neuroids
        p, q = self._sizes(*before)
        rng = np.random.default_rng(seed)
        model, neural = _drawn(model, p, rng), _drawn(neural, q, rng)
        x, y = normalised(model.values), normalised(neural.values)
        return SoftMatchingEvaluation(
            convention=self.convention,
            splits=self.splits,
            model=x,
            data=y,
            plan=transport(x.T @ y),
            neural=neural,
            excluded={"model": dead, "neural": flat},
            drawn={"model": (p, before[0]), "neural": (q, before[1])},
            seed=seed,
        )

    def _sizes(self, p: int, q: int) -> tuple[int, int]:
        """How many units of each population are matched."""
        p, q = min(p, self.at_most), min(q, self.at_most)
        if lcm(p, q) <= max(p, q, ASSIGNED) or p * q <= PROGRAMMED:
            return p, q
        return (p // q * q, q) if p > q else (p, q // p * p)


def _drawn(responses: Responses, size: int, rng: np.random.Generator) -> Responses:
    if size == responses.neuroids:
        return responses
    return responses.take(neuroids=np.sort(rng.choice(responses.neuroids, size, replace=False)))


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftMatchingEvaluation(NeuroidEvaluation):
    """The matching: see `cortex_sim.compare.metric.Evaluation`.

    Resampled stimuli and neuroids are scored with the matching found on all of them. A new matching, on a
    sample with fewer distinct stimuli, would score higher than the data themselves; to first order the
    maximum over matchings changes like the score of a fixed matching. A neuroid's score is its mean
    correlation with its partners, and the score of resampled neuroids is their mean. A neuroid or partner
    that does not vary over resampled stimuli is left out of that sample.
    """

    model: Array
    data: Array
    plan: Matching
    drawn: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # units matched, of how many

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Mean over neuroids of the correlation with their partners."""
        found, defined = self._by_neuroid if stimuli is None else self._correlations(stimuli)
        weights = counts(units, self.units) * defined
        if not weights.sum():
            raise DataError(
                f"soft-matching: no neuroid of {self.neural.name} varies over these stimuli; give more"
            )
        return float(weights @ found / weights.sum())

    @cached_property
    def _by_neuroid(self) -> tuple[Array, NDArray[np.bool_]]:
        return self._correlations(None)

    @cached_property
    def _products(self) -> Array:
        return self.model[:, self.plan.rows] * self.data[:, self.plan.columns]

    def _correlations(self, stimuli: Numbers | None) -> tuple[Array, NDArray[np.bool_]]:
        """Each neuroid's mean correlation with its partners, and whether it is defined."""
        w = counts(stimuli, self.stimuli)
        w /= w.sum()
        rows, columns, mass = self.plan.rows, self.plan.columns, self.plan.mass
        x, y = w @ self.model, w @ self.data
        sizes = (w @ self.model**2 - x**2)[rows] * (w @ self.data**2 - y**2)[columns]
        kept = ~(constant(self.model[w > 0])[rows] | constant(self.data[w > 0])[columns])
        covariance = w @ self._products - x[rows] * y[columns]
        r = np.divide(covariance, np.sqrt(np.where(kept, sizes, 1.0)), where=kept, out=np.zeros(len(mass)))
        total = np.bincount(columns, mass * kept, minlength=self.units)
        sums = np.bincount(columns, mass * r, minlength=self.units)
        return np.divide(sums, total, where=total > 0, out=np.zeros(self.units)), total > 0

    def _reached_by_truth(self, data: Responses) -> float:
        """Score of a surrogate of the true responses, matched with the same plus noise.

        See `cortex_sim.compare.repeat_halves.noisy_copies`.
        """
        pairs = noisy_copies(data, self.splits, self.seed)
        return float(np.mean([matched_correlation(truth, noisy) for truth, noisy in pairs]))

    def _own_notes(self) -> tuple[str, ...]:
        return tuple(
            f"{some} of {of} units of the {'model' if whose == 'model' else 'data'} drawn at random (seed "
            f"{self.seed})"
            for whose, (some, of) in self.drawn.items()
            if some < of
        )
