"""Representational similarity analysis: whether the same pairs of stimuli are alike in model and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import require_count
from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.rdm_ceilings import between_subjects, mean_agreement, split_half, subjects_of
from cortex_sim.compare.rdm_comparators import Comparator, Rdm, comparator_named
from cortex_sim.compare.rdms import Measure, SquaredEuclidean, measure_named, rdm, without_repeats
from cortex_sim.compare.representations import (
    Bounds,
    check_convention,
    check_stimuli,
    counts,
    left_out,
    scored,
    varying,
    why_above_one,
)
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class Rsa:
    """Similarity of the model's RDM to those of the data, mean over RDMs.

    Parameters
    ----------
    measure : {"correlation", "euclidean", "crossnobis"}
        Dissimilarity (``cortex_sim.compare.rdms``); of the model alone where the neural data are RDMs.
        With crossnobis, which needs repeats, the model's is its limit without noise, squared Euclidean.
    comparator : {"rho-a", "pearson", "spearman", "whitened"}
        How RDMs are compared. The default uses only the order of dissimilarities, since those of a network
        and of cortex need not be linearly related, and does not reward ties, from which a model with few
        categories would gain under Spearman. Cosine is not offered: dissimilarities 1 - r are positive, and
        it gives every model .75 to .99.
    noise : {"identity", "diagonal", "shrinkage"}
        What crossnobis divides by.
    splits : int
        Random halves of the repeats, for the ceiling.
    convention : {"raw", "over_ceiling"}
        The score as it is (usual, reported with the ceiling), or divided by the ceiling's lower bound.

    References
    ----------
    Kriegeskorte, Mur & Bandettini (2008), Front. Syst. Neurosci. 2, doi:10.3389/neuro.06.004.2008.
    """

    measure: str = "correlation"
    comparator: str = "rho-a"
    noise: str = "identity"
    splits: int = 20
    convention: str = "raw"
    name: ClassVar[str] = "rsa"
    strictness: ClassVar[str] = (
        "forgives rotation and scale of the population, and what the comparator does: a scale and an offset "
        "of dissimilarities, or any increasing function; units may be mixed, but not reweighted"
    )

    def __post_init__(self) -> None:
        measure_named(self.measure, self.noise)
        comparator_named(self.comparator)
        check_convention(self.convention)
        require_count(self, splits=self.splits)

    @property
    def readout(self) -> str:
        """Readout of simulated neuroids that preserves the RDM on average, for recovery."""
        return "contrasts" if self.measure == "correlation" else "random"

    def evaluate(
        self, model: Responses, neural: Responses | Dissimilarities, *, seed: int = 0
    ) -> RsaEvaluation:
        """Compare RDMs; see `cortex_sim.compare.metric.Metric`.

        Units are the RDMs where the neural data are RDMs, else the neuroids.
        """
        check_stimuli(self.name, model, neural)
        how = measure_named(self.measure, self.noise)
        model, dead = varying(self.name, model)
        data = _neural(neural, self.measure, self.noise)
        evaluation = RsaEvaluation(
            metric=self,
            model=_prepared(rdm(model, SquaredEuclidean() if how.repeats else how))[0],
            rdms=data.rdms,
            subjects=data.subjects,
            responses=data.responses,
            stimuli=len(neural),
            units=len(data.rdms) if data.responses is None else data.responses.neuroids,
            known=neural.units if data.responses is None else data.responses.units,
            measured=data.measured,
            excluded={"model": dead, "neural": data.excluded},
            seed=seed,
        )
        evaluation.raw()  # refuses RDMs without a defined correlation before work starts
        return evaluation


@dataclass(frozen=True, eq=False)
class _Neural:
    """RDMs of the neural data, and what they were computed from."""

    rdms: tuple[Rdm, ...]
    subjects: NDArray[np.int64]
    measured: str
    responses: Responses | None
    excluded: int


@lru_cache(maxsize=4)  # every model is compared with the same data, whose RDMs are sorted once
def _neural(neural: Responses | Dissimilarities, measure: str, noise: str) -> _Neural:
    responses, excluded = None, 0
    data = neural
    if isinstance(neural, Responses):
        responses, excluded = varying(Rsa.name, neural)
        data = rdm(responses, measure_named(measure, noise))
    assert isinstance(data, Dissimilarities)
    return _Neural(tuple(_prepared(data)), subjects_of(data), data.measure, responses, excluded)


def _prepared(data: Dissimilarities) -> list[Rdm]:
    return [Rdm(data.name, values, len(data)) for values in data.values]


@dataclass(frozen=True, eq=False)
class RsaEvaluation:
    """The RDMs, each sorted once: see `cortex_sim.compare.metric.Evaluation`.

    Resampled stimuli sub-select the matrices, without pairs of copies of one stimulus. Over resampled RDMs
    the mean is taken. Resampled neuroids give another RDM, at the cost of a matrix product and a sort;
    there a neuroid that occurs twice counts twice.
    """

    metric: Rsa
    model: Rdm
    rdms: tuple[Rdm, ...]
    subjects: NDArray[np.int64]
    responses: Responses | None
    stimuli: int
    units: int
    known: Mapping[str, NDArray[Any]]
    measured: str  # how the data's dissimilarities were computed
    excluded: Mapping[str, int] = field(default_factory=dict)  # constant neuroids: "model", "neural"
    seed: int = 0

    @property
    def convention(self) -> str:
        """Convention of `score`."""
        return self.metric.convention

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the score must know."""
        how = f"dissimilarities {self.measured}, compared by {self._comparator.name}"
        above = None if self.convention == "raw" else why_above_one(self.score())
        why = None if self.responses is None else self._split_half[1]
        unknown = [f"no ceiling, since it is not defined for halves of the repeats: {why}"] if why else []
        return (how, *left_out(self.excluded), *unknown, *([above] if above else []))

    def score(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """`raw`, or `raw` divided by the ceiling's lower bound for all stimuli and units."""
        return scored(self.metric.convention, self.raw(stimuli, units), lambda: self.ceiling)

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Mean similarity of the model's RDM to those of the data."""
        return self._whole if stimuli is None and units is None else self._raw(stimuli, units)

    @cached_property
    def _whole(self) -> float:
        return self._raw(None, None)

    def _raw(self, stimuli: Numbers | None, units: Numbers | None) -> float:
        times = counts(stimuli, self.stimuli)
        if self.responses is not None and units is not None:
            chosen = without_repeats(self.responses, self._measure).take(neuroids=units)
            return self._comparator.compare(self.model, _prepared(rdm(chosen, self._measure))[0], times)
        weights = counts(None if self.responses is not None else units, len(self.rdms))
        found = [
            weight * self._comparator.compare(self.model, one, times)
            for one, weight in zip(self.rdms, weights, strict=True)
            if weight
        ]
        return float(np.sum(found) / weights.sum())

    @cached_property
    def ceiling(self) -> Bounds | None:
        """Bounds between subjects for RDMs; √reliability, twice, for responses with repeats; else None."""
        if self.responses is None:
            return between_subjects(self.rdms, self.subjects, self._comparator)
        if self.reliability is None:
            return None
        return (max(self.reliability, 0.0) ** 0.5,) * 2

    @cached_property
    def reliability(self) -> float | None:
        """Reliability of one RDM: mean similarity to other subjects', or split-half over repeats.

        None where it is unknown; `notes` says why if there are repeats.
        """
        if self.responses is None:
            return mean_agreement(self.rdms, self.subjects, self._comparator)
        return self._split_half[0]

    @cached_property
    def _split_half(self) -> tuple[float | None, str | None]:
        """Reliability of the RDM over repeats, or why it is not defined."""
        assert self.responses is not None
        how, splits = (self._measure, self._comparator), self.metric.splits
        try:
            return split_half(self.responses, *how, splits, self.seed), None
        except DataError as refused:
            return None, str(refused)

    @property
    def _measure(self) -> Measure:
        return measure_named(self.metric.measure, self.metric.noise)

    @property
    def _comparator(self) -> Comparator:
        return comparator_named(self.metric.comparator)
