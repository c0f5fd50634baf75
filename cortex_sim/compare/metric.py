"""Interfaces of metrics and of their evaluations, whose scores can be computed again for other stimuli."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.responses import Dissimilarities, Responses

Numbers = NDArray[np.int64]


@runtime_checkable
class Evaluation(Protocol):
    """A metric computed once; inference takes its score again for resampled stimuli and units.

    A *unit* is what is pooled over: a neuroid (predictivity), or an RDM, that is, a subject or session (RSA).
    ``stimuli`` and ``units`` are counts, ``known`` holds labels of each unit ("animal", "session").
    """

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        ...

    @property
    def units(self) -> int:
        """Number of units."""
        ...

    @property
    def known(self) -> Mapping[str, NDArray[Any]]:
        """What is known of each unit."""
        ...

    def score(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """The score for these stimuli and units, divided by a ceiling if the convention says so.

        Numbers may occur more than once, as in a bootstrap sample; pairs of copies of one stimulus are
        left out where the metric compares stimuli with each other. No model is fitted again.
        """
        ...

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """The score before it is divided by a ceiling."""
        ...

    @property
    def ceiling(self) -> tuple[float, float] | None:
        """Lower and upper bound of what a perfect model would reach, in units of `raw`; None if unknown.

        Both are equal where there is a single estimate.
        """
        ...

    @property
    def reliability(self) -> float | None:
        """Reliability of the neuroids (from their mean split-half r) or of an RDM; None if unknown."""
        ...


class Metric(Protocol):
    """How alike a model's responses and neural data are."""

    name: ClassVar[str]
    strictness: ClassVar[str]  # one sentence for tables: which differences the metric forgives

    @property
    def convention(self) -> str:
        """Name of the convention by which the score is divided by a ceiling."""
        ...

    def evaluate(self, model: Responses, neural: Responses | Dissimilarities, *, seed: int = 0) -> Evaluation:
        """Compare, for stimuli in the same order (`matched`); ``seed`` draws folds and half-splits.

        Raises
        ------
        DataError
            If the metric cannot be computed from these data, with the reason; it never returns NaN.
        """
        ...
