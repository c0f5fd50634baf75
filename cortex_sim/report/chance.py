"""Controls of a cell at the price of one more evaluation: stimuli shifted by one, and permuted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cortex_sim.compare.metric import Metric
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.side_by_side import evaluated_on_each

Neural = Responses | Dissimilarities
PERMUTATIONS = 10


@dataclass(frozen=True)
class Chance:
    """Raw scores where the model cannot have a point.

    Parameters
    ----------
    shifted : float
        With the model's responses to the stimuli before.
    permuted, spread : float
        Mean and standard deviation over permutations of the stimuli.
    """

    shifted: float
    permuted: float
    spread: float


def chance(metric: Metric, model: Responses, neural: Neural, seed: int) -> Chance:
    """Both controls of one population.

    Parameters
    ----------
    metric : Metric
    model, neural : Responses, Responses or Dissimilarities
        The same stimuli in the same order.
    seed : int
    """
    if isinstance(metric, Predictivity) and isinstance(neural, Responses):
        neural = replace(neural, repeats=None)  # the raw score reads means alone
    others = [_in_order(neural, order) for order in _orders(len(neural), np.random.default_rng(seed))]
    scores = [one.raw() for one in evaluated_on_each(metric, model, others, seed=seed)]
    return Chance(scores[0], float(np.mean(scores[1:])), float(np.std(scores[1:], ddof=1)))


def _in_order(neural: Neural, order: np.ndarray) -> Neural:
    """The data in another order, under the ids of the old one."""
    moved: Neural = replace(neural.take(order), stimuli=neural.stimuli)
    return moved


def _orders(size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Every response at the place of the stimulus before, then permutations."""
    yield np.roll(np.arange(size), -1)
    for _ in range(PERMUTATIONS):
        yield rng.permutation(size)
