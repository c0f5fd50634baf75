"""Base of evaluations that compare responses: neuroids as units, conventions, notes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from cortex_sim.compare.ceilings import split_half
from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.repeat_halves import mean_over_repeats, repeated
from cortex_sim.compare.representations import Bounds, constant, left_out, scored, why_above_one
from cortex_sim.compare.responses import Responses

SPLITS = 100  # random halves for the reliability of the neuroids


@dataclass(frozen=True, eq=False, kw_only=True)
class NeuroidEvaluation(ABC):
    """See `cortex_sim.compare.metric.Evaluation`; units are the neuroids that vary.

    Parameters
    ----------
    neural : Responses
        Responses of these neuroids.
    convention : str
    splits : int
        Random halves of the repeats, for the ceiling.
    excluded : mapping of str to int
        Number of constant neuroids left out of "model" and of "neural".
    seed : int
    """

    neural: Responses
    convention: str
    splits: int
    excluded: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return len(self.neural)

    @property
    def units(self) -> int:
        """Number of neuroids."""
        return self.neural.neuroids

    @property
    def known(self) -> Mapping[str, NDArray[Any]]:
        """What is known of the neuroids."""
        return self.neural.units

    def score(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """`raw`, or `raw` divided by the ceiling for all stimuli and neuroids."""
        return scored(self.convention, self.raw(stimuli, units), lambda: self.ceiling)

    @abstractmethod
    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """The metric before it is divided by a ceiling."""

    @cached_property
    def ceiling(self) -> Bounds | None:
        """The `raw` score that the data's true responses would reach, twice; None without repeats.

        Neuroids that do not vary over the stimuli with repeats carry no information and are left out.
        """
        data = repeated(self.neural)
        if data is None or data.repeats is None:
            return None
        flat = constant(mean_over_repeats(data.repeats))
        if flat.all():
            return None
        reached = self._reached_by_truth(data.take(neuroids=~flat) if flat.any() else data)
        return reached, reached

    @abstractmethod
    def _reached_by_truth(self, data: Responses) -> float:
        """The ceiling, from data with two repeats of every stimulus or more."""

    @cached_property
    def reliability(self) -> float | None:
        """Reliability over all neuroids (`cortex_sim.compare.ceilings`); None without repeats."""
        if repeated(self.neural) is None:
            return None
        return split_half(self.neural, splits=SPLITS, seed=self.seed).overall

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the score must know."""
        above = None if self.convention == "raw" else why_above_one(self.score())
        return (*left_out(self.excluded), *self._own_notes(), *([above] if above else []))

    def _own_notes(self) -> tuple[str, ...]:
        return ()
