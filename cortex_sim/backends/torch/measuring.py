"""Accuracy and objective of a model on a part of the data; nothing in the model changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.loading import Ahead
from cortex_sim.backends.torch.memory import evaluated_at_once
from cortex_sim.backends.torch.modes import only_looking
from cortex_sim.backends.torch.showing import as_source, shown
from cortex_sim.backends.torch.timed import Judged

TOP = 5  # classes among which the label counts as found


@dataclass(frozen=True)
class Scores:
    """How well a model does on presentations with labels or targets.

    Parameters
    ----------
    accuracy : float or None
        Share of presentations whose most active top unit is the label; None without classes. In an unrolled
        network, time bins with a target are counted instead of presentations.
    top5_accuracy : float or None
        Share whose label is among the five most active top units; None with five or fewer classes.
    loss : float
        Mean objective.
    per_class : dict of int to (int, int)
        For each label that occurs: presentations classified correctly, and all presentations.
    """

    accuracy: float | None
    top5_accuracy: float | None
    loss: float
    per_class: dict[int, tuple[int, int]]


@torch.no_grad()
@only_looking
def measure(model: Core, x: Any, y: Any = None, batch: int | None = None, divided: bool = False) -> Scores:
    """Scores on all presentations, read from the device once.

    Parameters
    ----------
    model : Core
    x, y : Tensor, x by source if there are several; or a `Source` in place of both
    batch : int, optional
        Presentations settled at once; by default 1000, or fewer if their rates would take more than 1 GB.
    divided : bool, default False
        Whether ranks, all of which must call this, share the batches; each then returns the scores of all.
    """
    batch = evaluated_at_once(model, 1000) if batch is None else batch
    source = as_source(x if y is None else model.presentations(x), y)
    units = model.net.populations[model.top].size
    passes, rank = -(-len(source) // batch), distributed.place()[0] if divided else 0
    ranks = distributed.place()[1] if divided else 1
    values = torch.zeros(passes, dtype=torch.float64, device=model.device)
    found = torch.zeros(3, units, dtype=torch.float64, device=model.device)
    without = torch.zeros(1, dtype=torch.float64, device=model.device)
    for number, count, goal, rates in _passes(model, source, batch, rank, ranks):
        if goal is None:  # neither labels nor an objective
            return Scores(None, None, 0.0, {})
        if model.net.objective_function is not None:
            values[number] = model.objective_value(rates, goal).double() * count
        judged = model.judged(rates, goal)
        if has_classes(judged.y):
            found += _counts(judged, units)
        else:
            without += 1
    everything = torch.cat([values, without, found.flatten()])
    if ranks > 1:
        everything = distributed.summed(everything)
    read = everything.tolist()
    loss = sum(read[:passes], 0.0) / len(source)
    if read[passes]:
        return Scores(None, None, loss, {})
    counted = [int(n) for n in read[passes + 1 :]]
    right, among, asked = (counted[row * units : (row + 1) * units] for row in range(3))
    total = sum(asked)
    if not total:
        return Scores(None, None, loss, {})
    top = sum(among) / total if units > TOP else None
    per_class = {label: (right[label], n) for label, n in enumerate(asked) if n}
    return Scores(sum(right) / total, top, loss, per_class)


def evaluate(model: Core, x: Any, y: Any = None, batch: int | None = None) -> tuple[float | None, float]:
    """Accuracy (None where there are no classes) and mean objective; see `measure`."""
    scores = measure(model, x, y, batch)
    return scores.accuracy, scores.loss


def _passes(
    model: Core, source: Any, batch: int, rank: int, ranks: int
) -> Iterator[tuple[int, int, Tensor | None, Tensor]]:
    """Number, presentations, goals and top rates of each batch of this rank."""
    starts, total, epoch = range(0, len(source), batch), len(source), model.epochs_done
    every = [(np.arange(start, min(start + batch, total)), epoch) for start in starts]
    tasks = every[rank::ranks]
    if isinstance(source, Ahead):
        source.expect(tasks, batch)
    for place, (indices, _) in enumerate(tasks):
        number = rank + place * ranks
        part, goal = shown(source, indices, epoch)
        part = model.presentations(part)
        if goal is None and model.net.objective_function is None:
            yield number, len(part), None, torch.empty(0)
            continue
        _, rates = model.settle(part, credit=False)
        yield number, len(part), model.target_tensor(goal), rates[model.top]


def _counts(judged: Judged, units: int) -> Tensor:
    """By label, (3, unit): correct, among the first five, and all presentations."""
    label = judged.y if judged.y.dim() == 1 else judged.y.argmax(1)
    order = judged.r.topk(min(TOP, units), dim=1).indices == label[:, None]
    first = judged.r.argmax(1) == label  # of equal rates the first unit, whichever topk takes
    shown = torch.ones_like(label)
    counts = label.new_zeros(3, units)
    for row, values in enumerate((first, order.any(1) | first, shown)):
        counts[row].scatter_add_(0, label, values.to(label.dtype))
    return counts


def has_classes(y: Tensor) -> bool:
    """Whether these are labels or one-hot target rates."""
    if y.dim() == 1:
        return True
    targets = y.flatten(1)
    one_hot = ((targets == 0) | (targets == 1)).all() and (targets.sum(1) == 1).all()
    return targets.shape[1] > 1 and bool(one_hot)
