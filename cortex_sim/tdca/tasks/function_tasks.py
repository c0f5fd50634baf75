"""Tasks without a data set: a random function, evaluated at Gaussian stimuli that are never repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from cortex_sim.checks import look_up, require_count, require_known
from cortex_sim.tdca.tasks.batch import PARTS, Task, TaskBatch, draw


class Function(Protocol):
    """A distribution of functions from stimuli to targets."""

    @property
    def inputs(self) -> int:
        """Values of one stimulus."""

    @property
    def outputs(self) -> int:
        """Values of one target."""

    @property
    def objective(self) -> str:
        """Registered name of the objective."""

    def tasks(self, count: int, generator: Generator) -> Task:
        """``count`` functions, independent of each other."""

    def targets(self, task: Task, x: Tensor) -> Tensor:
        """Targets (task, presentation, output) of stimuli (task, presentation, input)."""


@dataclass(frozen=True, eq=False)
class FunctionTasks:
    """Learn a function from stimuli x, whose values are standard normal.

    Parameters
    ----------
    function : Function
        `SmoothFunctions` or `Teachers`.
    tested : int, default 1000
        Presentations in a whole part: stimuli that are the same for all tasks, but differ between
        parts. Drawn presentations, of any part, are always new.
    """

    function: Function
    tested: int = 1000

    def __post_init__(self) -> None:
        require_count(self, tested=self.tested)

    @property
    def inputs(self) -> int:
        """Values of one stimulus."""
        return self.function.inputs

    @property
    def outputs(self) -> int:
        """Values of one target."""
        return self.function.outputs

    @property
    def objective(self) -> str:
        """Registered name of the objective."""
        return self.function.objective

    def tasks(self, count: int, generator: Generator) -> Task:
        """``count`` functions, independent of each other."""
        return self.function.tasks(count, generator)

    def shown(self, task: Task, batch: int, part: str, generator: Generator) -> tuple[Tensor, Tensor]:
        """New stimuli (task, batch, input) and their targets (task, batch, output)."""
        return self.shown_among(task, batch, part, generator, slice(None))

    def shown_among(
        self, task: Task, batch: int, part: str, generator: Generator, among: slice
    ) -> tuple[Tensor, Tensor]:
        """As `shown`, for some of the tasks."""
        require_known("part", part, PARTS)
        x = torch.randn(_count(task), batch, self.inputs, generator=generator)[among]
        return x, self.function.targets({name: tensor[among] for name, tensor in task.items()}, x)

    def every(self, task: Task, part: str, chunk: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The ``tested`` stimuli of a part, and their targets."""
        seeded = Generator().manual_seed(look_up("part", part, PARTS))
        whole = torch.randn(self.tested, self.inputs, generator=seeded)
        for some in whole.split(chunk):
            x = some.expand(_count(task), -1, -1)
            yield x, self.function.targets(task, x), torch.ones(x.shape[:2], dtype=torch.bool)

    def draw(self, runs: int, generator: Generator, twins: bool = False) -> TaskBatch:
        """A task for every inner run, see `cortex_sim.tdca.tasks.batch.draw`."""
        return draw(self, runs, generator, twins)


def _count(task: Task) -> int:
    return len(next(iter(task.values())))
