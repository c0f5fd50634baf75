"""Small evaluations and metrics whose scores, and their variances, are known from the equations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from cortex_sim.compare.responses import Responses


@dataclass(eq=False)
class Mean:
    """Score: the mean of a table (stimulus, unit). Its variance is that of a crossed design."""

    values: np.ndarray
    known: dict = field(default_factory=dict)
    ceiling: tuple | None = None
    reliability: float | None = None

    @property
    def stimuli(self):
        return self.values.shape[0]

    @property
    def units(self):
        return self.values.shape[1]

    def score(self, stimuli=None, units=None):
        rows = self.values if stimuli is None else self.values[stimuli]
        return float(rows.mean() if units is None else rows[:, units].mean())

    raw = score


@dataclass(eq=False)
class Pairs:
    """Score: the mean of h_ij over pairs of different stimuli, as where RDMs are compared."""

    pairs: np.ndarray
    pairwise: bool = False
    units: int = 1
    known: dict = field(default_factory=dict)
    ceiling: tuple | None = None
    reliability: float | None = None

    @property
    def stimuli(self):
        return len(self.pairs)

    def score(self, stimuli=None, units=None):
        at = np.arange(self.stimuli) if stimuli is None else stimuli
        counts = np.bincount(at, minlength=self.stimuli).astype(float)
        weights = np.outer(counts, counts)
        np.fill_diagonal(weights, 0.0)  # no pairs of copies
        return float((weights * self.pairs).sum() / weights.sum())

    raw = score


@dataclass(frozen=True)
class Overlap:
    """Metric: mean over neuroids of their correlation with the model's unit of the same number.

    Nothing is fitted, so stimuli are independent given the populations.
    """

    name: ClassVar[str] = "overlap"
    strictness: ClassVar[str] = "forgives nothing"
    convention: str = "raw"

    def evaluate(self, model: Responses, neural: Responses, *, seed: int = 0):
        return OverlapEvaluation(model.values, neural.values)


@dataclass(eq=False)
class OverlapEvaluation:
    model: np.ndarray
    neural: np.ndarray
    known: dict = field(default_factory=dict)
    ceiling: tuple | None = None
    reliability: float | None = None

    @property
    def stimuli(self):
        return len(self.neural)

    @property
    def units(self):
        return self.neural.shape[1]

    def score(self, stimuli=None, units=None):
        s = np.arange(self.stimuli) if stimuli is None else stimuli
        u = np.arange(self.units) if units is None else units
        x, y = self.model[s][:, u], self.neural[s][:, u]
        x, y = x - x.mean(0), y - y.mean(0)
        return float(((x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0))).mean())

    raw = score


def responses(values, name="population", **more):
    """Responses with stimuli numbered s0, s1, …."""
    return Responses(name, [f"s{i}" for i in range(len(values))], values, **more)
