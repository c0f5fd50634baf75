"""What a perfect model would reach in RSA: bounds from several subjects, or from repeats of the stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.ceilings import spearman_brown
from cortex_sim.compare.rdm_comparators import Comparator, Rdm
from cortex_sim.compare.rdms import Measure
from cortex_sim.compare.repeat_halves import halves, mean_over_repeats, presented, repeated
from cortex_sim.compare.representations import Bounds
from cortex_sim.compare.responses import Array, Dissimilarities, Responses
from cortex_sim.errors import DataError

#: The upper bound is given for at least so many subjects; see `between_subjects`.
ENOUGH_SUBJECTS = 5


def subjects_of(data: Dissimilarities) -> NDArray[np.int64]:
    """Number of each RDM's subject: its ``animal`` or ``subject`` where known, else one subject per RDM."""
    for key in ("animal", "subject"):
        if key in data.units:
            return np.unique(np.asarray(data.units[key]).astype(str), return_inverse=True)[1]
    return np.arange(len(data.values))


def between_subjects(
    rdms: Sequence[Rdm], subjects: NDArray[np.int64], comparator: Comparator
) -> Bounds | None:
    """Bounds of the mean similarity that any model can reach with these RDMs; None for one subject.

    The RDM most similar to all of them is the mean over subjects on the comparator's own scale: ranks for
    rank correlations, centred and at unit length for Pearson and whitened. Lower bound: each RDM with the
    mean of the other subjects; all sessions of a subject are left out together. Upper bound: each RDM with
    the mean of all, itself included. That is inflated by the subject's own share in the mean, 1/n: for n RDMs
    that have nothing in common it is 1/√n, which is .71 for 2 subjects, .50 for 4 and .22 for 20. It is
    therefore given for at least `ENOUGH_SUBJECTS`; for fewer, both bounds are the lower one. Pairs of stimuli
    that are missing in any RDM are left out.

    References
    ----------
    Nili et al. (2014), PLoS Computational Biology 10, doi:10.1371/journal.pcbi.1003553.
    """
    people = np.unique(subjects)
    if len(people) < 2:
        return None
    rdms = _measured_in_all(rdms)
    counts = np.ones(rdms[0].stimuli)
    scaled = np.stack([comparator.standardised(rdm) for rdm in rdms])
    by_subject = np.stack([scaled[subjects == one].mean(axis=0) for one in people])
    missing = np.where(rdms[0].measured, 0.0, np.nan)

    def agreement(rdm: Rdm, others: Array) -> float:
        return comparator.compare(Rdm("mean RDM", others.mean(axis=0) + missing, rdm.stimuli), rdm, counts)

    left_out = [by_subject[people != one] for one in subjects]
    lower = float(np.mean([agreement(rdm, others) for rdm, others in zip(rdms, left_out, strict=True)]))
    if len(people) < ENOUGH_SUBJECTS:
        return lower, lower
    return lower, float(np.mean([agreement(rdm, by_subject) for rdm in rdms]))


def _measured_in_all(rdms: Sequence[Rdm]) -> list[Rdm]:
    shared = np.logical_and.reduce([rdm.measured for rdm in rdms])
    return [Rdm(rdm.name, np.where(shared, rdm.values, np.nan), rdm.stimuli) for rdm in rdms]


def mean_agreement(rdms: Sequence[Rdm], subjects: NDArray[np.int64], comparator: Comparator) -> float | None:
    """Mean similarity of RDMs of different subjects, pair by pair: the reliability of one RDM."""
    counts = np.ones(rdms[0].stimuli)
    pairs = [
        comparator.compare(rdms[i], rdms[j], counts)
        for i in range(len(rdms))
        for j in range(i)
        if subjects[i] != subjects[j]
    ]
    return float(np.mean(pairs)) if pairs else None


def split_half(
    responses: Responses, measure: Measure, comparator: Comparator, splits: int, seed: int
) -> float | None:
    """Reliability ρ of the RDM over repeats, from random halves; a model with the true RDM reaches √ρ.

    Where errors of dissimilarities add up (squared Euclidean and crossnobis, under Pearson and whitened), the
    product of two halves' residuals estimates that of the true ones, so ρ is that product over the
    squared length of the residuals of all repeats. Otherwise ρ follows by Spearman-Brown from the mean
    similarity of halves (`spearman_brown`). Then √ρ is within .02 of what the true RDM reaches for ρ > .7,
    and lower by a tenth or more for noisier data, since noise enters dissimilarities squared
    (docs/metrics/rsa.md). None without enough repeats: two of each stimulus, four for crossnobis.

    Raises
    ------
    DataError
        If the RDM of a half is not defined, such as 1 - r where all neuroids are silent in it.
    """
    data = repeated(responses, at_least=2 * max(1, measure.repeats))
    if data is None or data.repeats is None:
        return None
    rng, counts = np.random.default_rng(seed), np.ones(len(data))
    adds_up = measure.additive and comparator.additive
    found, longer = [], []
    for _ in range(splits):
        parts = halves(data.repeats, rng)
        a, b = (_of_repeats(data, part, measure) for part in parts)
        found.append(_product(a, b, comparator) if adds_up else comparator.compare(a, b, counts))
        longer.append(_lengthening(*map(presented, parts)))
    if adds_up:
        whole = _of_repeats(data, data.repeats, measure)
        length = _product(whole, whole, comparator)
        if not length > 0:
            raise DataError(
                f"RDM {data.name}: all dissimilarities of the {len(data)} stimuli with repeats are equal, so "
                f"its reliability is not defined; give repeats of other stimuli"
            )
        return float(np.mean(found)) / length
    return float(spearman_brown(np.mean(found), float(np.mean(longer))))


def _of_repeats(data: Responses, repeats: Array, measure: Measure) -> Rdm:
    part = replace(data, values=mean_over_repeats(repeats), repeats=repeats if measure.repeats else None)
    return Rdm(data.name, measure.pairs(part), len(data))


def _product(first: Rdm, second: Rdm, comparator: Comparator) -> float:
    weights, counts = np.ones(len(first.values)), np.ones(first.stimuli)
    return float(comparator.residuals(first, weights, counts) @ comparator.residuals(second, weights, counts))


def _lengthening(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Noise variance of means over halves of the repeats, relative to all repeats: 2 for equal halves."""
    return float(np.mean((first + second) * (1 / first + 1 / second) / 2))
