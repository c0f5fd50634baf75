"""Scores of several sessions and animals in one, and differences of models, that generalise beyond these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.checks import listed
from cortex_sim.compare.bootstrap import Interval, quantile
from cortex_sim.compare.paired import Comparison, contrast_of, differences_of, pairs_of
from cortex_sim.compare.pooled_variance import pooled_variance, session_weights
from cortex_sim.compare.responses import Array
from cortex_sim.compare.sessions import SeedMean, Session
from cortex_sim.compare.uncertainty import STIMULI, read
from cortex_sim.errors import DataError

__all__ = ["Pooled", "SeedMean", "Session", "paired_pooled", "pooled"]


@dataclass(frozen=True, eq=False)
class Pooled:
    """The mean over animals of the mean over their sessions.

    Parameters
    ----------
    score : float
    interval : Interval
    sessions : tuple of Session
    scores : tuple of float
        Score of each session.
    weights : array of shape (session,)
        Weight of each session in the score.
    """

    score: float
    interval: Interval
    sessions: tuple[Session, ...]
    scores: tuple[float, ...]
    weights: Array

    def rows(self) -> list[dict[str, Any]]:
        """For a table: each session's score with its counts."""
        return [
            {"session": one.name, "animal": one.animal, "score": score, "neuroids": one.neuroids,
             "stimuli": one.stimuli, "repeats": one.repeats}
            for one, score in zip(self.sessions, self.scores, strict=True)
        ]  # fmt: skip


def pooled(
    sessions: Sequence[Session],
    *,
    over: str = "sessions",
    shared_stimuli: bool = False,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    raw: bool = False,
) -> Pooled:
    """Pool sessions by the hierarchical bootstrap, at the level over which the score is to generalise.

    Parameters
    ----------
    sessions : sequence of Session
    over : {"animals", "sessions", "neuroids"}
        "animals": animals are drawn, with all their sessions. "sessions": sessions within animals, so
        that nothing is claimed about other animals. "neuroids": neuroids and stimuli within sessions, so that
        nothing is claimed about other sessions.
    shared_stimuli : bool, default False
        Whether all sessions had the same stimuli in the same order; these are then drawn for all together,
        crossed with the other level. Otherwise stimuli differ between sessions as neuroids do.
    level, resamples, seed, raw
        As for `interval`.

    Returns
    -------
    Pooled

    Raises
    ------
    DataError
        If there are too few animals or sessions to draw from.

    Notes
    -----
    Levels below the one that is drawn are left as they were recorded. Variation there is already part of
    the variation between higher levels, and drawing there too would count it twice: this is Davison &
    Hinkley's first scheme (1997, 3.8). Of n, n − 1 are drawn, since n would give only (n − 1)/n of the
    variance, and t has n − 1 degrees of freedom: for two animals t is 12.7, since two say little about
    others.
    """
    _require_unique(sessions)
    weights = session_weights(sessions)
    scores = read([one.evaluation for one in sessions], None, None, raw)
    variance = pooled_variance(
        [sessions], np.ones((1, 1)), over, shared_stimuli, resamples=resamples, seed=seed, raw=raw
    )
    score, error = float(weights @ scores), float(variance.total[0] ** 0.5)
    freedom = float(variance.freedom[0])
    reach = quantile(level, freedom) * error
    found = Interval(
        score - reach, score + reach, level, score, error, freedom,
        (over, STIMULI) if shared_stimuli else (over,),
        f"{variance.method}; t with {freedom:.0f} degrees of freedom",
    )  # fmt: skip
    return Pooled(score, found, tuple(sessions), tuple(scores.tolist()), weights)


def paired_pooled(
    models: Mapping[str, Sequence[Session]],
    *,
    over: str = "sessions",
    shared_stimuli: bool = False,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    correction: str = "holm",
    raw: bool = False,
) -> Comparison:
    """Compare models by their pooled scores; every draw of animals, sessions and stimuli is the same for all.

    A session in which every model scores high, say because its neuroids are reliable, raises all pooled
    scores together but not their differences: what varies is the difference within a session.

    Parameters
    ----------
    models : mapping of str to sequence of Session
        At least two; the same sessions of the same animals, in the same order.
    over, shared_stimuli, level, resamples, seed, raw
        As for `pooled`.
    correction : {"holm", "fdr", "none"}
        For the number of pairs of models; see `cortex_sim.compare.multiple`.

    Raises
    ------
    DataError
        If there are fewer than two models, their sessions differ, or as for `pooled`.
    """
    if len(models) < 2:
        raise DataError(f"pooling: give at least two models to compare. Got {listed(models)}")
    first, *others = models.values()
    for sessions in models.values():
        _require_unique(sessions)
    names = [(one.animal, one.name) for one in first]
    if any([(one.animal, one.name) for one in sessions] != names for sessions in others):
        raise DataError(
            f"pooling: {listed(models)} have different sessions; give every model the same in the same order"
        )
    weights, rules = session_weights(first), list(models.values())
    pairs = pairs_of(len(rules))
    contrast = contrast_of(pairs, len(rules))
    variance = pooled_variance(rules, contrast, over, shared_stimuli, resamples=resamples, seed=seed, raw=raw)
    scores = np.array([weights @ read([one.evaluation for one in of], None, None, raw) for of in rules])
    differences = differences_of(
        list(models), pairs, contrast @ scores, variance.total, variance.freedom, level, correction
    )
    return Comparison(
        dict(zip(models, scores.tolist(), strict=True)), differences, correction, level, variance.method
    )


def _require_unique(sessions: Sequence[Session]) -> None:
    if len({(one.animal, one.name) for one in sessions}) < len(sessions) or not sessions:
        raise DataError(
            f"pooling: give sessions with unique names. Got {listed(one.name for one in sessions)}"
        )
