"""Chance: raw scores where a model cannot have a point, because its responses belong to other stimuli."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.bootstrap import quantile
from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.predictivity import PredictivityEvaluation
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.side_by_side import evaluated_on_each
from cortex_sim.compare.streams import PERMUTED
from cortex_sim.errors import DataError

PERMUTATIONS = 20
STRICT = 0.995  # of permutations: further out is no chance, in a table of many rows
RawScores = tuple[float, tuple[float, ...]]  # shifted, permuted


@dataclass(frozen=True, eq=False)
class Moved:
    """Evaluations of one network with other stimuli than its own; only ``raw`` is to be read.

    Parameters
    ----------
    shifted : Evaluation
        The response to the stimulus before at the place of each.
    permuted : tuple of Evaluation
        Stimuli in random order.
    """

    shifted: Evaluation
    permuted: tuple[Evaluation, ...]

    @property
    def scores(self) -> RawScores:
        """Raw scores, without what they were computed from."""
        return self.shifted.raw(), tuple(one.raw() for one in self.permuted)


@dataclass(frozen=True)
class Chance:
    """Raw scores with other stimuli, over the training seeds of one model.

    Parameters
    ----------
    shifted : float
        Mean over seeds.
    permuted, spread : float
        Mean and standard deviation over all permutations of all seeds.
    permutations : int
        Of all seeds together.
    """

    shifted: float
    permuted: float
    spread: float
    permutations: int

    @classmethod
    def of(cls, networks: Sequence[RawScores]) -> Chance:
        """From `Moved.scores` of each training seed."""
        scores = [score for _, permuted in networks for score in permuted]
        shift = float(np.mean([shifted for shifted, _ in networks]))
        return cls(shift, float(np.mean(scores)), float(np.std(scores, ddof=1)), len(scores))

    def distance(self, raw: float) -> float:
        """Of a raw score from the mean over permutations, in standard deviations of one more of them."""
        apart = raw - self.permuted
        if abs(apart) < 1e-9:  # a metric that gives one score for every order
            return 0.0
        size = self.spread * (1 + 1 / self.permutations) ** 0.5
        return apart / size if size > 0 else float(np.copysign(np.inf, apart))

    @property
    def far(self) -> float:
        """The distance that counts as away from chance."""
        return quantile(STRICT, self.permutations - 1)


def moved(
    metric: Metric,
    model: Responses,
    neural: Responses | Dissimilarities,
    evaluation: Evaluation,
    *,
    permutations: int = PERMUTATIONS,
    shift: int = 1,
    seed: int = 0,
    network: int = 0,
) -> Moved:
    """Evaluate one network with the data in other orders; a regression fits all of them at once.

    Folds and groups stay at their places, so that they are those of the score, and the same neuroids are
    scored.

    Parameters
    ----------
    metric : Metric
    model, neural : Responses, Responses or Dissimilarities
        The same stimuli in the same order (`matched`), best that of presentation.
    evaluation : Evaluation
        Of this model and these data by this metric.
    permutations : int
        Of this network, see `shares`.
    shift : int, default 1
        How many stimuli before.
    seed : int
        Of the metric, and for the permutations.
    network : int
        Number of the training seed, which draws permutations of its own.
    """
    if not isinstance(shift, (int, np.integer)) or shift % len(neural) == 0:
        raise DataError(
            f"controls: shift by a whole number that is no multiple of the {len(neural)} stimuli. "
            f"Got {shift!r}"
        )
    rng = np.random.default_rng([seed, PERMUTED, network])
    orders = list(_orders(len(neural), permutations, shift, rng))
    if isinstance(evaluation, PredictivityEvaluation) and isinstance(neural, Responses):
        scored = replace(neural.take(neuroids=evaluation.neuroids), repeats=None)  # raw scores read means
        found = evaluated_on_each(metric, model, [_in_order(scored, one) for one in orders], seed=seed)
    else:  # the same pairs, and the data stay as they are, so that their RDMs are computed and sorted once
        found = [metric.evaluate(_in_order(model, np.argsort(one)), neural, seed=seed) for one in orders]
    return Moved(found[0], tuple(found[1:]))


def shares(permutations: int, networks: int) -> list[int]:
    """How many permutations each of several networks evaluates: together as many as one would, at least one.

    Examples
    --------
    >>> shares(20, 3)
    [7, 7, 6]
    """
    return [max(1, len(range(number, permutations, networks))) for number in range(networks)]


def _orders(
    size: int, permutations: int, shift: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """The responses of neuroids to a later stimulus at the place of each, then permutations."""
    yield np.roll(np.arange(size), -shift)
    for _ in range(permutations):
        yield rng.permutation(size)


def _in_order(one: Responses, order: NDArray[np.int64]) -> Responses:
    """Responses in another order, under the ids and groups of the old one."""
    return replace(one.take(order), stimuli=one.stimuli, groups=one.groups)
