"""Chance level: raw scores of a model whose responses are paired with the wrong stimuli."""

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
STRICT = 0.995  # quantile of permutations beyond which a score is not chance, even in a table of many rows
RawScores = tuple[float, tuple[float, ...]]  # shifted, permuted


@dataclass(frozen=True, eq=False)
class Moved:
    """Evaluations of one network with mismatched stimuli, of which only ``raw`` is meaningful.

    Parameters
    ----------
    shifted : Evaluation
        Each response replaced by that to the preceding stimulus.
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
    """Raw scores with mismatched stimuli, over the training seeds of one model.

    Parameters
    ----------
    shifted : float
        Mean over seeds.
    permuted, spread : float
        Mean and standard deviation over all permutations of all seeds.
    permutations : int
        Number for all seeds together.
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
        """Distance of a raw score from the permutations' mean, in standard deviations of a further one."""
        apart = raw - self.permuted
        if abs(apart) < 1e-9:  # a metric that gives one score for every order
            return 0.0
        size = self.spread * (1 + 1 / self.permutations) ** 0.5
        return apart / size if size > 0 else float(np.copysign(np.inf, apart))

    @property
    def far(self) -> float:
        """The distance beyond which a score differs from chance."""
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
    """Evaluate one network with the data in other orders; a regression is fitted to all orders at once.

    Folds and groups keep their positions, so that they are those of the score, and the same neuroids are
    scored.

    Parameters
    ----------
    metric : Metric
    model, neural : Responses, Responses or Dissimilarities
        The same stimuli in the same order (`matched`), preferably the order of presentation.
    evaluation : Evaluation
        Of this model and these data by this metric.
    permutations : int
        Number of permutations for this network, see `shares`.
    shift : int, default 1
        Number of stimuli to shift by.
    seed : int
        Seed of the metric and of the permutations.
    network : int
        Number of the training seed; each has different permutations.
    """
    if not isinstance(shift, (int, np.integer)) or shift % len(neural) == 0:
        raise DataError(
            f"controls: shift must be a whole number that is not a multiple of the number of stimuli, "
            f"{len(neural)}. Got {shift!r}"
        )
    rng = np.random.default_rng([seed, PERMUTED, network])
    orders = list(_orders(len(neural), permutations, shift, rng))
    if isinstance(evaluation, PredictivityEvaluation) and isinstance(neural, Responses):
        scored = replace(neural.take(neuroids=evaluation.neuroids), repeats=None)  # raw scores use means
        found = evaluated_on_each(metric, model, [_in_order(scored, one) for one in orders], seed=seed)
    else:  # equivalent: the model is reordered, so that RDMs of the data are computed and sorted only once
        found = [metric.evaluate(_in_order(model, np.argsort(one)), neural, seed=seed) for one in orders]
    return Moved(found[0], tuple(found[1:]))


def shares(permutations: int, networks: int) -> list[int]:
    """Number of permutations for each of several networks: in all as many as for one, but at least 1 each.

    Examples
    --------
    >>> shares(20, 3)
    [7, 7, 6]
    """
    return [max(1, len(range(number, permutations, networks))) for number in range(networks)]


def _orders(
    size: int, permutations: int, shift: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """The order in which each stimulus gets the response to a later one, then random permutations."""
    yield np.roll(np.arange(size), -shift)
    for _ in range(permutations):
        yield rng.permutation(size)


def _in_order(one: Responses, order: NDArray[np.int64]) -> Responses:
    """Responses in another order, with the ids and groups in the original order."""
    return replace(one.take(order), stimuli=one.stimuli, groups=one.groups)
