"""Train one network of a study and record statistics of its populations at fixed snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.trajectories import statistics
from cortex_sim.trajectories.architectures import PLACES
from cortex_sim.trajectories.design import Design, Run
from cortex_sim.trajectories.measuring import Condition, stream
from cortex_sim.trajectories.statistics import History, Matrix

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.backends.torch.model import Model
    from cortex_sim.data.images import ImageSet

Observed = dict[str, Matrix]  # by observable, (sample, unit)


def record(run: Run, design: Design, images: ImageSet) -> xr.Dataset:
    """Train a network and return its trajectory.

    Parameters
    ----------
    run : Run
    design : Design
    images : ImageSet
        Standardised.

    Returns
    -------
    xarray.Dataset
        ``value`` (condition, snapshot, population, statistic), ``accuracy`` and ``loss`` (snapshot) on the
        test set, and ``units`` (population).

    Raises
    ------
    Diverged
        If the objective, a weight or a statistic is no longer finite.
    """
    import torch
    import xarray as xr

    from cortex_sim.backends.torch import build
    from cortex_sim.backends.torch.training import Diverged, Trainer, evaluate

    net = run.architecture.network(run.rule, images.stimulus_shape, images.n_classes)
    model = build(net, run.seed)
    x, y = torch.as_tensor(images.x_test), torch.as_tensor(images.y_test)
    epochs = -(-max(design.steps[-1], 1) * design.batch_size // len(images.x_train)) + 1
    trainer = Trainer(
        model,
        torch.as_tensor(images.x_train),
        torch.as_tensor(images.y_train),
        epochs,
        design.batch_size,
        {"name": "SGD", "lr": run.rate},
    )
    watched = Watch(run, design)
    scores = []
    for _ in _snapshots(trainer, design.steps):
        scores.append(evaluate(model, x, y))
        populations = observe(model, run, x[: design.probes], y[: design.probes])
        if not all(np.isfinite(v).all() for p in populations for v in p.values()):
            raise Diverged.at(trainer, "a rate, a weight or the credit is not finite")
        watched.add(populations)
    values = watched.values()
    if not np.isfinite(values).all():
        raise Diverged.at(trainer, "a statistic exceeds single precision")
    accuracy, loss = zip(*scores, strict=True)
    return xr.Dataset(
        {
            "value": (("condition", "snapshot", "population", "statistic"), values),
            "accuracy": ("snapshot", np.array(accuracy, dtype=np.float32)),
            "loss": ("snapshot", np.array(loss, dtype=np.float32)),
            "units": ("population", np.array([run.architecture.hidden[i] for i in run.architecture.places])),
        }
    )


def _snapshots(trainer: Any, steps: Any) -> Iterator[int]:
    """Train from one snapshot to the next, yielding at each."""
    import torch

    from cortex_sim.backends.torch.showing import batches

    model = trainer.model
    model.train()
    order = (
        index
        for epoch in range(trainer.epochs)
        for index in batches(model.seed, epoch, len(trainer.source), trainer.batch_size)
    )
    for step in steps:
        while trainer.step < step:
            trainer.update(torch.from_numpy(next(order)))
        trainer.require_inverses()
        yield step


def observe(model: Model, run: Run, x: Any, y: Any) -> list[Observed]:
    """Rates, incoming weights and credit of the compared populations, each (sample, unit)."""
    import torch

    hidden = run.architecture.populations
    below = ("retina", *hidden)
    with torch.no_grad():
        _, rates = model.settle(model.stimulus_tensor(x), credit=False)
    credits = model.credits(x, y)
    return [
        {
            "activity": _matrix(rates[hidden[i]]),
            "weights": _matrix(model.weights[f"{below[i]}->{hidden[i]}"]).T,
            "credit": _matrix(credits[hidden[i]]),
        }
        for i in run.architecture.places
    ]


def _matrix(values: Any) -> Matrix:
    return np.array(values.detach().flatten(1).double().numpy())  # a copy: training continues


class Watch:
    """Statistics of a run's populations under every condition, snapshot by snapshot."""

    def __init__(self, run: Run, design: Design) -> None:
        self._run, self._conditions = run, design.conditions
        self._first: dict[tuple[str, str], Observed] = {}
        self._before: dict[tuple[str, str], Observed] = {}
        self._found: list[Matrix] = []

    def add(self, populations: list[Observed]) -> None:
        """Take the statistics of one snapshot."""
        number = str(len(self._found))
        found = [
            [
                self._statistics(condition, place, observed, number)
                for place, observed in zip(PLACES, populations, strict=True)
            ]
            for condition in self._conditions
        ]
        self._found.append(np.array(found))

    def values(self) -> NDArrayFloat32:
        """Array of shape (condition, snapshot, population, statistic); infinite beyond single precision."""
        with np.errstate(over="ignore"):
            return np.stack(self._found, axis=1).astype(np.float32)

    def _statistics(self, condition: Condition, place: str, observed: Observed, number: str) -> Matrix:
        at = condition.name, place
        now = self._measured(condition, place, observed, number)
        first, before = self._first.setdefault(at, now), self._before.get(at, now)
        self._before[at] = now
        return statistics.statistics({o: History(now[o], before[o], first[o]) for o in now})

    def _measured(self, condition: Condition, place: str, observed: Observed, number: str) -> Observed:
        """Values observed under a condition; units are chosen once a run, noise is drawn every snapshot."""
        choice = stream(self._run.seed, self._run.key, place, condition.name)
        inputs, units = observed["weights"].shape
        columns = condition.observed(units, choice)
        rows = {"weights": condition.observed(inputs, choice)}
        noise = stream(self._run.seed, self._run.key, place, condition.name, number)
        return {
            name: condition.measured(x[np.ix_(rows.get(name, np.arange(len(x))), columns)], noise)
            for name, x in observed.items()
        }


NDArrayFloat32 = np.ndarray[Any, np.dtype[np.float32]]
