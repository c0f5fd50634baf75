"""Variance of pooled scores, or of their differences, at the level that is resampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed, look_up
from cortex_sim.compare.crossed import Factor, crossed_variance, drawn_with_replacement, groups_of
from cortex_sim.compare.responses import Array
from cortex_sim.compare.sessions import Session
from cortex_sim.compare.streams import POOLED
from cortex_sim.compare.uncertainty import SEEDS, STIMULI, Compared, read, uncertainty
from cortex_sim.errors import DataError


@dataclass(frozen=True, eq=False)
class PooledVariance:
    """Variance of each statistic, shape (statistic,), with degrees of freedom, and how it was estimated."""

    total: Array
    freedom: Array
    method: str


@dataclass(frozen=True, eq=False)
class _Asked:
    """Sessions of every model, and the wanted weighted sums of the models' pooled scores."""

    rules: Sequence[Sequence[Session]]
    contrast: Array  # (statistic, rule)
    shared: bool
    resamples: int
    seed: int
    raw: bool

    @property
    def sessions(self) -> Sequence[Session]:
        """Sessions of the first model; their names and animals are the same for all models."""
        return self.rules[0]


def session_weights(sessions: Sequence[Session]) -> Array:
    """Weights, equal for all animals, and for all sessions of an animal; shape (session,)."""
    weights = np.zeros(len(sessions))
    animals = _animals(sessions)
    for of in animals:
        weights[of] = 1 / (len(animals) * len(of))
    return weights


def pooled_variance(
    rules: Sequence[Sequence[Session]],
    contrast: Array,
    over: str,
    shared_stimuli: bool,
    *,
    resamples: int,
    seed: int,
    raw: bool,
) -> PooledVariance:
    """Variance of ``contrast`` times the pooled scores of models; each draw is the same for all of them.

    Parameters
    ----------
    rules : sequence of sequence of Session
        Of each model, the same sessions in the same order.
    contrast : array of shape (statistic, rule)
    over, shared_stimuli, resamples, seed, raw
        As for `cortex_sim.compare.pooling.pooled`.

    Raises
    ------
    DataError
        If there are too few animals or sessions to draw from.
    """
    asked = _Asked(rules, contrast, shared_stimuli, resamples, seed, raw)
    return look_up("over", over, POOLED_OVER, DataError)(asked)


def _animals(sessions: Sequence[Session]) -> list[NDArray[Any]]:
    """Numbers of the sessions of each animal."""
    return groups_of(np.array([one.animal for one in sessions]), len(sessions))


def _over_animals(asked: _Asked) -> PooledVariance:
    animals = _animals(asked.sessions)
    if len(animals) < 2:
        raise DataError("pooling over animals: there is only one; use over='sessions'")
    drawn, weights = drawn_with_replacement(animals), session_weights(asked.sessions)

    def draw(rng: np.random.Generator) -> Array:
        times = np.bincount(drawn(rng), minlength=len(weights))
        return weights * times * len(animals) / (len(animals) - 1)

    return _drawn(asked, draw, len(animals), len(animals) - 1, "animals")


def _over_sessions(asked: _Asked) -> PooledVariance:
    sessions, animals = asked.sessions, _animals(asked.sessions)
    single = [sessions[of[0]].animal or "the animal" for of in animals if len(of) < 2]
    if single:
        raise DataError(
            f"pooling over sessions: needs at least two sessions of every animal, but there is only one of "
            f"{listed(single)}; use over='{'animals' if len(animals) > 2 else 'neuroids'}'"
        )

    def draw(rng: np.random.Generator) -> Array:
        drawn = np.zeros(len(sessions))
        for of in animals:
            which = of[rng.integers(len(of), size=len(of) - 1)]
            np.add.at(drawn, which, 1 / (len(animals) * (len(of) - 1)))
        return drawn

    return _drawn(asked, draw, len(sessions), len(sessions) - len(animals), "sessions")


def _drawn(
    asked: _Asked, draw: Callable[[np.random.Generator], Array], size: int, freedom: float, what: str
) -> PooledVariance:
    """Variance over sessions or animals, crossed with stimuli where these are shared.

    ``draw`` gives weights of sessions; every model has the same.
    """
    evaluations = [one.evaluation for of in asked.rules for one in of]
    factors = [Factor(SEEDS, size, lambda rng: np.kron(asked.contrast, draw(rng)), freedom)]
    if asked.shared:
        counts = {one.stimuli for one in evaluations}
        if len(counts) != 1:
            raise DataError(
                f"pooling: with shared_stimuli all sessions must have the same stimuli. Got "
                f"{listed(map(str, sorted(counts)))} stimuli; leave out shared_stimuli, or take the stimuli "
                f"that all sessions share"
            )
        stimuli = counts.pop()
        again = drawn_with_replacement(groups_of(None, stimuli))
        factors.append(Factor(STIMULI, stimuli, again, stimuli - 1))
    found = crossed_variance(
        lambda stimuli, units: read(evaluations, stimuli, units, asked.raw),
        np.asarray(np.kron(asked.contrast, session_weights(asked.sessions)), dtype=np.float64),
        factors,
        asked.resamples,
        np.random.default_rng([asked.seed, POOLED]),
    )
    method = f"hierarchical bootstrap over {what}{' and stimuli' if asked.shared else ''}"
    return PooledVariance(found.total, found.freedom, method)


def _over_neuroids(asked: _Asked) -> PooledVariance:
    """Sessions are independent: their variances over stimuli and neuroids add up."""
    if asked.shared:
        raise DataError(
            "pooling over neuroids: with shared stimuli, give all neuroids as one session, and use "
            "interval(over=('stimuli', 'units'))"
        )
    found = []
    for i, of in enumerate(zip(*asked.rules, strict=True)):
        compared = Compared([one.evaluation for one in of], asked.contrast, raw=asked.raw)
        over = (STIMULI, "units")
        found.append(uncertainty(compared, over, resamples=asked.resamples, seed=asked.seed + i)[0])
    weights = session_weights(asked.sessions)[:, None]
    parts = weights**2 * np.array([one.total for one in found])
    freedoms = np.array([one.freedom for one in found])
    total, sizes = parts.sum(axis=0), (parts**2 / freedoms).sum(axis=0)
    freedom = np.divide(total**2, sizes, out=freedoms.min(axis=0), where=sizes > 0)
    return PooledVariance(total, freedom, "bootstrap over neuroids and stimuli within sessions")


#: Levels that may be resampled, by name.
POOLED_OVER: dict[str, Callable[[_Asked], PooledVariance]] = {
    "animals": _over_animals,
    "sessions": _over_sessions,
    "neuroids": _over_neuroids,
}
