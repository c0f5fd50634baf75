"""Controls of a cell at the price of one more evaluation: stimuli shifted by one, and permuted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cortex_sim.compare.controls import permuted
from cortex_sim.compare.metric import Metric
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Array, Dissimilarities, Responses
from cortex_sim.compare.shifted import shifted

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


def chance(metric: Metric, model: Responses, neural: Responses | Dissimilarities, seed: int) -> Chance:
    """Both controls of one population.

    Parameters
    ----------
    metric : Metric
    model, neural : Responses, Responses or Dissimilarities
        The same stimuli in the same order.
    seed : int
    """
    if isinstance(metric, Predictivity) and isinstance(neural, Responses):
        scores = _side_by_side(metric, model, neural, seed)
    else:
        rng = np.random.default_rng(seed)
        models = [shifted(model), *(permuted(model, rng) for _ in range(PERMUTATIONS))]
        scores = [metric.evaluate(one, neural, seed=seed).raw() for one in models]
    return Chance(scores[0], float(np.mean(scores[1:])), float(np.std(scores[1:], ddof=1)))


def _side_by_side(metric: Predictivity, model: Responses, neural: Responses, seed: int) -> list[float]:
    """A regression fits any number of neuroids at once: the data in other orders are more neuroids."""
    varying = np.flatnonzero(np.ptp(neural.values, axis=0) > 0)
    orders = list(_orders(len(neural), np.random.default_rng(seed)))
    values: Array = np.hstack([neural.values[order][:, varying] for order in orders])
    many = replace(neural, name=f"{neural.name} in other orders", values=values, repeats=None, units={})
    found = metric.evaluate(model, many, seed=seed)
    blocks = found.neuroids // len(varying)
    return [found.raw(units=np.flatnonzero(blocks == block)) for block in range(len(orders))]


def _orders(size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    yield np.roll(np.arange(size), -1)
    for _ in range(PERMUTATIONS):
        yield rng.permutation(size)
