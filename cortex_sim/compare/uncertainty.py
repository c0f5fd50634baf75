"""How much scores, or their differences, vary with the stimuli, units and seeds that happened to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed, require_count
from cortex_sim.compare.cka import CkaEvaluation
from cortex_sim.compare.crossed import (
    Factor,
    Variance,
    crossed_variance,
    drawn_with_replacement,
    groups_of,
)
from cortex_sim.compare.half_samples import half_samples
from cortex_sim.compare.metric import Evaluation, Numbers
from cortex_sim.compare.responses import Array, require_labels
from cortex_sim.compare.rsa import RsaEvaluation
from cortex_sim.compare.streams import RESAMPLES
from cortex_sim.errors import DataError

#: The metric evaluated again for some of the stimuli, by number.
Refit = Callable[[Numbers], Evaluation]

STIMULI, SEEDS = "stimuli", "seeds"
LEVELS = {"units": None, "sessions": "session", "animals": "animal"}  # and their key in `known`
KINDS = (STIMULI, *LEVELS, SEEDS)

FEWEST_STIMULI = 8  # of fewer, halves are too small to score
PAIRWISE_SHARE = 3  # of pairs of stimuli: (n − 1)/3 degrees of freedom (measured, docs/metrics/inference.md)


@dataclass(frozen=True, eq=False)
class Compared:
    """Evaluations, and the wanted weighted sums of their scores.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        With the same stimuli and units.
    weights : array of shape (statistic, evaluation)
    seeds : Factor, optional
        Draws other weights, as if other training seeds had been chosen.
    raw : bool
        Whether raw scores are used.
    """

    evaluations: Sequence[Evaluation]
    weights: Array
    seeds: Factor | None = None
    raw: bool = False

    def __post_init__(self) -> None:
        sizes = {(one.stimuli, one.units) for one in self.evaluations}
        if len(sizes) != 1:
            raise DataError(
                f"interval: evaluations must be of the same stimuli and units. Got (stimuli, units) "
                f"{listed(map(str, sizes))}; evaluate all with one metric, seed and neural data"
            )

    def read(self, stimuli: Numbers | None, units: Numbers | None) -> Array:
        """Scores, shape (evaluation,)."""
        return read(self.evaluations, stimuli, units, self.raw)

    @property
    def statistics(self) -> Array:
        """The weighted sums, shape (statistic,)."""
        return np.asarray(self.weights @ self.read(None, None))


def read(
    evaluations: Sequence[Evaluation], stimuli: Numbers | None, units: Numbers | None, raw: bool
) -> Array:
    """Scores of all evaluations, shape (evaluation,); never NaN."""
    found = np.array([(one.raw if raw else one.score)(stimuli, units) for one in evaluations])
    if not np.isfinite(found).all():
        raise DataError(f"interval: evaluation {np.argmin(np.isfinite(found))} has no finite score")
    return found


def uncertainty(
    compared: Compared,
    over: Sequence[str],
    *,
    resamples: int,
    seed: int,
    refits: Sequence[Refit] | None = None,
    splits: int = 20,
    groups: NDArray[Any] | None = None,
) -> tuple[Variance, str]:
    """Variance of the statistics over the factors ``over``, and how it was estimated, for captions."""
    require_count("interval", minimum=100, resamples=resamples)
    require_count("interval", minimum=2, splits=splits)
    require_count("interval", minimum=0, seed=seed)
    if groups is not None:
        require_labels("interval: groups", np.asarray(groups))
    rng = np.random.default_rng([seed, RESAMPLES])
    factors = {name: _factor(name, compared, groups) for name in over}
    known: dict[str, Array] = {}
    how = "bootstrap"
    if STIMULI in factors and (refits is not None or all(map(compares_pairs, compared.evaluations))):
        size = factors[STIMULI].size
        known[STIMULI], freedom = _between_halves(compared, refits, size, resamples, splits, groups, rng)
        factors[STIMULI] = replace(factors[STIMULI], freedom=freedom)
        how = "half-samples" if refits is None else f"half-samples, fitted again {2 * splits} times"
    found = crossed_variance(compared.read, compared.weights, list(factors.values()), resamples, rng, known)
    return found, f"{how} over {' and '.join(over)}"


def compares_pairs(evaluation: Evaluation) -> bool:
    """Whether it compares pairs of stimuli, so that a bootstrap counts effects of pairs three times."""
    known = isinstance(evaluation, (RsaEvaluation, CkaEvaluation))
    return bool(getattr(evaluation, "pairwise", known))


def _between_halves(
    compared: Compared,
    refits: Sequence[Refit] | None,
    size: int,
    resamples: int,
    splits: int,
    groups: NDArray[Any] | None,
    rng: np.random.Generator,
) -> tuple[Array, float]:
    """Variance over stimuli, from halves of them, and its degrees of freedom."""

    def statistic(half: Numbers) -> Array:
        if refits is None:
            return np.asarray(compared.weights @ compared.read(half, None))
        again = [refit(half) for refit in refits]
        return np.asarray(compared.weights @ read(again, None, None, compared.raw))

    times = splits if refits is not None else resamples // 2
    between, of_mean = half_samples(statistic, groups_of(groups, compared.evaluations[0].stimuli), times, rng)
    if all(map(compares_pairs, compared.evaluations)):
        return np.maximum(between - of_mean, between / 2), min((size - 1) / PAIRWISE_SHARE, times)
    return between, min(size - 1, times)


def _factor(name: str, compared: Compared, groups: NDArray[Any] | None) -> Factor:
    if name == SEEDS:
        if compared.seeds is None:
            raise DataError("interval: over='seeds' needs at least two training seeds. Got one")
        return compared.seeds
    first = compared.evaluations[0]
    if name == STIMULI:
        members = groups_of(groups, first.stimuli)
        fewest, unit = FEWEST_STIMULI, "stimuli" if groups is None else "groups of stimuli"
    else:
        members, fewest, unit = _units(name, first), 2, name
    if len(members) < fewest:
        raise DataError(
            f"interval: over {name} needs at least {fewest} {unit}. Got {len(members)}; resample something "
            f"else, such as over={STIMULI if name != STIMULI else 'units'!r}"
        )
    kind = STIMULI if name == STIMULI else "units"
    return Factor(kind, len(members), drawn_with_replacement(members), len(members) - 1)


def _units(level: str, evaluation: Evaluation) -> list[NDArray[Any]]:
    """Numbers of units that are drawn together."""
    key = LEVELS[level]
    if key is None:
        return groups_of(None, evaluation.units)
    if key not in evaluation.known:
        raise DataError(
            f"interval: over {level} needs the {key} of each unit; known: {listed(evaluation.known)}. Give "
            f"it in the neural data's units, or use over='units'"
        )
    labels = np.asarray(evaluation.known[key]).astype(str)
    if key == "session" and "animal" in evaluation.known:  # sessions of two animals may share a name
        animals = np.asarray(evaluation.known["animal"]).astype(str)
        labels = np.array([f"{animal}/{label}" for animal, label in zip(animals, labels, strict=True)])
    return groups_of(labels, evaluation.units)


def checked_over(over: str | Sequence[str] | None, seeds: int) -> tuple[str, ...]:
    """Names of what is resampled, each once; by default stimuli, and seeds where there are several."""
    if over is None:
        return (STIMULI,) if seeds == 1 else (SEEDS, STIMULI)
    names = (over,) if isinstance(over, str) else tuple(over)
    unknown = [name for name in names if name not in KINDS]
    levels = [name for name in names if name in LEVELS]
    if unknown or not names or len(set(names)) < len(names) or len(levels) > 1:
        raise DataError(
            f"interval: over must name some of {listed(KINDS)}, and at most one of {listed(LEVELS)}. "
            f"Got {over!r}"
        )
    return names
