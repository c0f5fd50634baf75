"""One score for several sessions and animals, with an interval for what it is to hold beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed, look_up
from cortex_sim.compare.bootstrap import Interval, interval, quantile
from cortex_sim.compare.crossed import Factor, crossed_variance, drawn_with_replacement, groups_of
from cortex_sim.compare.metric import Evaluation, Numbers
from cortex_sim.compare.responses import Array, Dissimilarities, Responses
from cortex_sim.compare.streams import POOLED
from cortex_sim.compare.uncertainty import SEEDS, STIMULI, read
from cortex_sim.errors import DataError


@dataclass(frozen=True, eq=False)
class Session:
    """One session's evaluation, with what must stand beside its score.

    Parameters
    ----------
    name : str
    evaluation : Evaluation
    animal : str
        All sessions without one count as of one animal.
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
        """With the counts of its neural data."""
        repeats = neural.repeats if isinstance(neural, Responses) else None
        return cls(
            name, evaluation, animal, evaluation.units, len(neural), None if repeats is None else len(repeats)
        )


@dataclass(frozen=True, eq=False)
class SeedMean:
    """The mean over training seeds, as one evaluation; what other seeds would give is not drawn.

    Parameters
    ----------
    each : sequence of Evaluation
        Of the same stimuli and units.
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
        """That of the data."""
        return self.each[0].ceiling

    @property
    def reliability(self) -> float | None:
        """That of the data."""
        return self.each[0].reliability


@dataclass(frozen=True, eq=False)
class Pooled:
    """The mean over animals of the mean over their sessions.

    Parameters
    ----------
    score : float
    interval : Interval
    sessions : tuple of Session
    scores : tuple of float
        Of each session.
    weights : array of shape (session,)
        Of each session in the score.
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
    """Pool sessions by the hierarchical bootstrap, from the level that the score is to generalise over.

    Parameters
    ----------
    sessions : sequence of Session
    over : {"animals", "sessions", "neuroids"}
        "animals": animals are drawn, with all their sessions. "sessions": sessions within animals, so
        that nothing is claimed about other animals. "neuroids": neuroids and stimuli within sessions, so that
        nothing is claimed about other sessions.
    shared_stimuli : bool, default False
        Whether all sessions had the same stimuli in the same order; these are then drawn for all together,
        crossed with what else is drawn. Otherwise stimuli differ between sessions as neuroids do.
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
    Levels below the one that is drawn are left as they were recorded. What varies there already varies
    between the higher ones, and drawing there too would count it twice: that is Davison & Hinkley's first
    scheme (1997, 3.8). Of n, n − 1 are drawn, so that the variance is not too small by (n − 1)/n, and t has
    n − 1 degrees of freedom: for two animals it is 12.7, since two animals say little about others.
    """
    if len({(one.animal, one.name) for one in sessions}) < len(sessions) or not sessions:
        raise DataError(
            f"pooling: give sessions with unique names. Got {listed(one.name for one in sessions)}"
        )
    animals = groups_of(np.array([one.animal for one in sessions]), len(sessions))
    weights = _weights(animals, len(sessions))
    scores = read([one.evaluation for one in sessions], None, None, raw)
    total, freedom, method = look_up("over", over, POOLED_OVER, DataError)(
        sessions, animals, weights, shared_stimuli, resamples, seed, raw
    )
    score, error = float(weights[0] @ scores), float(total**0.5)
    reach = quantile(level, freedom) * error
    found = Interval(
        score - reach, score + reach, level, score, error, freedom,
        (over, STIMULI) if shared_stimuli else (over,),
        f"{method}; t with {freedom:.0f} degrees of freedom",
    )  # fmt: skip
    return Pooled(score, found, tuple(sessions), tuple(scores.tolist()), weights[0])


def _weights(animals: Sequence[Any], sessions: int) -> Array:
    """Equal for animals, and for sessions of an animal; shape (1, session)."""
    weights = np.zeros((1, sessions))
    for of in animals:
        weights[0, of] = 1 / (len(animals) * len(of))
    return weights


def _over_animals(
    sessions: Sequence[Session], animals: Sequence[Any], weights: Array, shared: bool,
    resamples: int, seed: int, raw: bool,
) -> tuple[float, float, str]:  # fmt: skip
    if len(animals) < 2:
        raise DataError("pooling over animals: there is one; use over='sessions'")
    drawn = drawn_with_replacement(animals)

    def draw(rng: np.random.Generator) -> Array:
        times = np.bincount(drawn(rng), minlength=len(sessions))
        return weights * times * len(animals) / (len(animals) - 1)

    factor = Factor(SEEDS, len(animals), draw, len(animals) - 1)
    return _drawn(sessions, weights, factor, "animals", shared, resamples, seed, raw)


def _over_sessions(
    sessions: Sequence[Session], animals: Sequence[Any], weights: Array, shared: bool,
    resamples: int, seed: int, raw: bool,
) -> tuple[float, float, str]:  # fmt: skip
    single = [sessions[of[0]].animal or "the animal" for of in animals if len(of) < 2]
    if single:
        raise DataError(
            f"pooling over sessions: {listed(single)} has one session, so that nothing is known of others; "
            f"use over='{'animals' if len(animals) > 2 else 'neuroids'}'"
        )

    def draw(rng: np.random.Generator) -> Array:
        drawn = np.zeros_like(weights)
        for of in animals:
            which = of[rng.integers(len(of), size=len(of) - 1)]
            np.add.at(drawn[0], which, 1 / (len(animals) * (len(of) - 1)))
        return drawn

    factor = Factor(SEEDS, len(sessions), draw, len(sessions) - len(animals))
    return _drawn(sessions, weights, factor, "sessions", shared, resamples, seed, raw)


def _drawn(
    sessions: Sequence[Session], weights: Array, factor: Factor, what: str, shared: bool,
    resamples: int, seed: int, raw: bool,
) -> tuple[float, float, str]:  # fmt: skip
    """Variance over sessions or animals, crossed with stimuli where these are shared."""
    evaluations = [one.evaluation for one in sessions]
    factors = [factor]
    if shared:
        counts = {one.stimuli for one in evaluations}
        if len(counts) != 1:
            raise DataError(f"pooling: shared stimuli must be as many in all sessions. Got {sorted(counts)}")
        size = counts.pop()
        draw = drawn_with_replacement(groups_of(None, size))
        factors.append(Factor(STIMULI, size, draw, size - 1))
    found = crossed_variance(
        lambda stimuli, units: read(evaluations, stimuli, units, raw),
        weights, factors, resamples, np.random.default_rng([seed, POOLED]),
    )  # fmt: skip
    method = f"hierarchical bootstrap over {what}{' and stimuli' if shared else ''}"
    return float(found.total[0]), float(found.freedom[0]), method


def _over_neuroids(
    sessions: Sequence[Session], animals: Sequence[Any], weights: Array, shared: bool,
    resamples: int, seed: int, raw: bool,
) -> tuple[float, float, str]:  # fmt: skip
    """Sessions are independent: their variances over stimuli and neuroids add up."""
    if shared:
        raise DataError(
            "pooling over neuroids: with shared stimuli, give all neuroids as one session, and use "
            "interval(over=('stimuli', 'units'))"
        )
    found = [
        interval(one.evaluation, over=(STIMULI, "units"), resamples=resamples, seed=seed + i, raw=raw)
        for i, one in enumerate(sessions)
    ]
    parts = weights[0] ** 2 * np.array([one.error**2 for one in found])
    total = float(parts.sum())
    sizes = float((parts**2 / np.array([one.freedom for one in found])).sum())
    freedom = total**2 / sizes if sizes > 0 else min(one.freedom for one in found)
    return total, freedom, "bootstrap over neuroids and stimuli within sessions"


#: What may be drawn, by name.
POOLED_OVER = {"animals": _over_animals, "sessions": _over_sessions, "neuroids": _over_neuroids}
