"""Evaluations of one model in several sessions, with their counts, to be pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from cortex_sim.compare.metric import Evaluation, Numbers
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.uncertainty import read


@dataclass(frozen=True, eq=False)
class Session:
    """One session's evaluation, with the counts that are reported with its score.

    Parameters
    ----------
    name : str
    evaluation : Evaluation
    animal : str
        Sessions without an animal's name count as those of one animal.
    neuroids, stimuli : int
    repeats : int, optional
    """

    name: str
    evaluation: Evaluation
    animal: str = ""
    neuroids: int = 0
    stimuli: int = 0
    repeats: int | None = None

    @classmethod
    def of(
        cls, name: str, evaluation: Evaluation, neural: Responses | Dissimilarities, animal: str = ""
    ) -> Session:
        """A session with the counts of its neural data."""
        repeats = neural.repeats if isinstance(neural, Responses) else None
        return cls(
            name, evaluation, animal, evaluation.units, len(neural), None if repeats is None else len(repeats)
        )


@dataclass(frozen=True, eq=False)
class SeedMean:
    """The mean over training seeds, as one evaluation; seeds are not resampled.

    Parameters
    ----------
    each : sequence of Evaluation
        Evaluations with the same stimuli and units.
    """

    each: Sequence[Evaluation]

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return self.each[0].stimuli

    @property
    def units(self) -> int:
        """Number of units."""
        return self.each[0].units

    @property
    def known(self) -> Mapping[str, NDArray[Any]]:
        """What is known of each unit."""
        return self.each[0].known

    def score(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Mean of the scores."""
        return float(read(self.each, stimuli, units, raw=False).mean())

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Mean of the raw scores."""
        return float(read(self.each, stimuli, units, raw=True).mean())

    @property
    def ceiling(self) -> tuple[float, float] | None:
        """Ceiling of the data."""
        return self.each[0].ceiling

    @property
    def reliability(self) -> float | None:
        """Reliability of the data."""
        return self.each[0].reliability
