"""What a metric is, and what it leaves behind: a score that can be read again for other stimuli."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.responses import Dissimilarities, Responses

Numbers = NDArray[np.int64]


@runtime_checkable
class Evaluation(Protocol):
    """A metric computed once; inference reads it again for resampled stimuli and units.

    A *unit* is what is pooled over: a neuroid (predictivity), or an RDM, that is, a subject or session (RSA).
    ``stimuli`` and ``units`` are counts, ``known`` holds what is known of each unit ("animal", "session").
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
        """The metric's score by its convention (ceiled where it ceils), for these stimuli and units.

        Numbers may occur more than once, as in a bootstrap sample; pairs of copies of one stimulus are
        left out where the metric compares stimuli with each other. No model is fitted again.
        """
        ...

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """The same before anything is divided by a ceiling."""
        ...

    @property
    def ceiling(self) -> tuple[float, float] | None:
        """Lower and upper bound of what a perfect model would reach, in units of `raw`; None if unknown.

        Both are equal where there is one estimate.
        """
        ...

    @property
    def reliability(self) -> float | None:
        """Of the neuroids (Spearman-Brown of their mean split-half r) or of an RDM; None if unknown."""
        ...


class Metric(Protocol):
    """How alike a model's responses and neural data are."""

    name: ClassVar[str]
    strictness: ClassVar[str]  # one sentence for tables: which differences the metric forgives

    @property
    def convention(self) -> str:
        """How the score is ceiled, by name."""
        ...

    def evaluate(self, model: Responses, neural: Responses | Dissimilarities, *, seed: int = 0) -> Evaluation:
        """Compare, for stimuli in the same order (`matched`); ``seed`` draws folds and half-splits.

        Raises
        ------
        DataError
            If the metric cannot be computed from these data, with the reason; it never returns NaN.
        """
        ...
