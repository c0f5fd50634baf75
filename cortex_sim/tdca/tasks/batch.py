"""The tasks of many inner runs at once: one each, or one per pair; replaced when a run ends.

A distribution defines tasks, as named tensors with a leading axis ``task``, and their stimuli; everything
else is defined here, for every kind of task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Generator, Tensor

from cortex_sim.checks import listed, require_count
from cortex_sim.errors import DeclarationError, RunError

PARTS = {"train": 0, "validation": 1, "test": 2}
Task = dict[str, Tensor]
"""Named tensors of shape (task, ...): everything that differs between tasks."""
_ALL = slice(None)


class Distribution(Protocol):
    """A distribution of tasks with the same numbers of inputs and outputs, and the same objective."""

    @property
    def inputs(self) -> int:
        """Values of one stimulus."""

    @property
    def outputs(self) -> int:
        """Units that have a target."""

    @property
    def objective(self) -> str:
        """Registered name of the objective, "cross_entropy" or "squared_error"."""

    def tasks(self, count: int, generator: Generator) -> Task:
        """``count`` tasks, independent of each other."""

    def shown(self, task: Task, batch: int, part: str, generator: Generator) -> tuple[Tensor, Tensor]:
        """Stimuli (task, batch, input) and targets (task, batch, output), drawn with replacement."""

    def every(self, task: Task, part: str, chunk: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Stimuli, targets and ``counted`` (task, presentation), until a part has been presented once."""

    def draw(self, runs: int, generator: Generator, twins: bool = False) -> TaskBatch:
        """A task for every inner run, see the function `draw`."""


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """A task for every inner run; made by `draw`, never changed in place.

    Parameters
    ----------
    distribution : Distribution
    task : dict of str to tensor
        The tasks: one for each inner run, or one for each pair of twins.
    twins : bool
        Whether inner runs 2i and 2i+1 have the same task and see the same presentations.
    """

    distribution: Distribution
    task: Task
    twins: bool = False

    @property
    def runs(self) -> int:
        """Number of inner runs."""
        return len(next(iter(self.task.values()))) * (2 if self.twins else 1)

    @property
    def inputs(self) -> int:
        """Values of one stimulus."""
        return self.distribution.inputs

    @property
    def outputs(self) -> int:
        """Units that have a target."""
        return self.distribution.outputs

    @property
    def objective(self) -> str:
        """Registered name of the objective."""
        return self.distribution.objective

    def presentations(
        self, batch: int, part: str, generator: Generator, among: slice = _ALL
    ) -> tuple[Tensor, Tensor]:
        """Presentations for every inner run, drawn with replacement.

        Parameters
        ----------
        batch : int
            Presentations for each inner run.
        part : {"train", "validation", "test"}
        generator : torch.Generator
        among : slice, default all
            Tasks to present; random numbers are drawn for all, so that a task's do not depend on the choice.

        Returns
        -------
        x : float32 tensor of shape (run, batch, input)
        y : float32 tensor of shape (run, batch, output)
            Targets; one-hot if the objective is cross-entropy.
        """
        require_count("presentations", batch=batch)
        x, y = shown_among(self.distribution, self.task, batch, part, generator, among)
        return self._for_each(x), self._for_each(y)

    def test_presentations(self, chunk: int, part: str = "test") -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The whole of a part, every presentation once, ``chunk`` at a time.

        Yields x and y as `presentations` returns them, and ``counted``, bool of shape (run, presentation):
        False where an inner run's part ended before that of another, and x and y are padding. Images come
        class by class: the first chunks alone are not a representative sample.
        """
        require_count("test_presentations", chunk=chunk)
        for x, y, counted in self.distribution.every(self.task, part, chunk):
            yield self._for_each(x), self._for_each(y), self._for_each(counted)

    def redraw(self, slots: Tensor, generator: Generator) -> TaskBatch:
        """A batch with new tasks for some inner runs, and the same tasks for all others.

        Parameters
        ----------
        slots : bool tensor of shape (run,)
            Which inner runs get a new task; of two twins, both or neither.
        generator : torch.Generator
        """
        if slots.dtype != torch.bool or slots.shape != (self.runs,):
            raise DeclarationError(
                f"redraw: slots has dtype {slots.dtype} and shape {tuple(slots.shape)}; "
                f"give bool of shape ({self.runs},)"
            )
        if self.twins:
            first, second = slots.view(-1, 2).unbind(1)
            if not torch.equal(first, second):
                pair = int((first != second).nonzero()[0, 0])
                raise DeclarationError(
                    f"redraw: of the twins {2 * pair} and {2 * pair + 1} only one is marked; mark both"
                )
            slots = first
        places = slots.nonzero()[:, 0]
        if not len(places):
            return self
        new = self.distribution.tasks(len(places), generator)
        return replace(self, task={k: old.index_copy(0, places, new[k]) for k, old in self.task.items()})

    def state(self) -> dict[str, Tensor]:
        """Everything needed to `restore` these tasks, as named tensors."""
        return dict(self.task)

    def restore(self, state: dict[str, Tensor]) -> TaskBatch:
        """A batch with the tasks of a saved `state`."""
        if state.keys() != self.task.keys():
            raise RunError(
                f"tasks: saved are {listed(state)}, but these tasks have {listed(self.task)}; resume with "
                "the settings of the saved run"
            )
        for name, now in self.task.items():
            saved = state[name]
            if saved.shape != now.shape or saved.dtype != now.dtype:
                raise RunError(
                    f"tasks: saved {name} is {saved.dtype} of shape {tuple(saved.shape)}, but these tasks "
                    f"need {now.dtype} of shape {tuple(now.shape)}; resume with the settings of the saved run"
                )
        return replace(self, task=dict(state))

    def _for_each(self, of_tasks: Tensor) -> Tensor:
        return of_tasks.repeat_interleave(2, 0) if self.twins else of_tasks


def shown_among(
    distribution: Distribution, task: Task, batch: int, part: str, generator: Generator, among: slice
) -> tuple[Tensor, Tensor]:
    """As ``distribution.shown``, for some of the tasks; random numbers are drawn for all.

    A distribution that can do so without computing the others has a method of this name.
    """
    if among == _ALL:
        return distribution.shown(task, batch, part, generator)
    if hasattr(distribution, "shown_among"):
        return distribution.shown_among(task, batch, part, generator, among)
    x, y = distribution.shown(task, batch, part, generator)
    return x[among], y[among]


def draw(distribution: Distribution, runs: int, generator: Generator, twins: bool = False) -> TaskBatch:
    """Draw a task for every inner run; with ``twins`` runs 2i and 2i+1 share task and presentations."""
    require_count("draw", runs=runs)
    if twins and runs % 2:
        raise DeclarationError(f"draw: twins come in pairs; give an even number of runs. Got {runs}")
    return TaskBatch(distribution, distribution.tasks(runs // 2 if twins else runs, generator), twins)


@dataclass(frozen=True, eq=False)
class Fixed:
    """A fixed number of distinct tasks of a distribution, drawn once and reused.

    Parameters
    ----------
    distribution : Distribution
    number : int
        Number of tasks.
    seed : int, default 0
        Seed of the tasks.
    """

    distribution: Distribution
    number: int
    seed: int = 0

    def __post_init__(self) -> None:
        require_count("Fixed", number=self.number)
        require_count("Fixed", minimum=0, seed=self.seed)

    @property
    def inputs(self) -> int:
        """Values of one stimulus."""
        return self.distribution.inputs

    @property
    def outputs(self) -> int:
        """Units that have a target."""
        return self.distribution.outputs

    @property
    def objective(self) -> str:
        """Registered name of the objective."""
        return self.distribution.objective

    @cached_property
    def pool(self) -> Task:
        """The fixed tasks."""
        return self.distribution.tasks(self.number, Generator().manual_seed(self.seed))

    def tasks(self, count: int, generator: Generator) -> Task:
        """``count`` of the tasks, drawn with replacement."""
        which = torch.randint(self.number, (count,), generator=generator)
        return {name: tensor[which] for name, tensor in self.pool.items()}

    def shown(self, task: Task, batch: int, part: str, generator: Generator) -> tuple[Tensor, Tensor]:
        """As in the distribution."""
        return self.distribution.shown(task, batch, part, generator)

    def shown_among(
        self, task: Task, batch: int, part: str, generator: Generator, among: slice
    ) -> tuple[Tensor, Tensor]:
        """As in the distribution, for some of the tasks."""
        return shown_among(self.distribution, task, batch, part, generator, among)

    def every(self, task: Task, part: str, chunk: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """As in the distribution."""
        return self.distribution.every(task, part, chunk)

    def draw(self, runs: int, generator: Generator, twins: bool = False) -> TaskBatch:
        """A task for every inner run, see `draw`."""
        return draw(self, runs, generator, twins)
