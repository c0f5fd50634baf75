"""Tests of inner runs on functions: the share of tasks solved, and after how many evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from cortex_sim.tdca.functions.tasks import SOLVED, Tasks, draw

Steps = Iterable[tuple[Tensor, Tensor]]
TESTED, TUNED = 7_000, 8_000  # seeds of the tasks for tests, and of those for tuning


@dataclass(frozen=True, eq=False)
class Course:
    """Best values of inner runs over evaluations.

    Parameters
    ----------
    level : array of shape (member, task, step)
        Best value so far above the minimum, in units of the box's median.
    evaluations : array of shape (step,)
        Evaluations up to each step.
    """

    level: np.ndarray
    evaluations: np.ndarray

    @property
    def solved(self) -> np.ndarray:
        """Whether a task is solved at the end, bool (member, task)."""
        return self.level[:, :, -1] < SOLVED

    @property
    def solved_at(self) -> np.ndarray:
        """Evaluations until each task was solved, float (member, task); infinite if it never was."""
        below = self.level < SOLVED
        return np.where(below.any(2), self.evaluations[below.argmax(2)], np.inf)

    def as_data(self, member: int) -> dict[str, list[float | None]]:
        """A member's tasks: level at the end, and evaluations until solved (None if never)."""
        at = self.solved_at[member]
        return {
            "level": [float(f"{level:.4g}") for level in self.level[member, :, -1]],
            "solved_at": [None if np.isinf(a) else int(a) for a in at],
        }


@torch.no_grad()
def course(steps: Steps, tasks: Tasks) -> Course:
    """Measure an inner run, from the values above the minimum (member, task, point) of each of its steps."""
    levels, made, total = [], [], 0
    best: Tensor | None = None
    for above, _ in steps:
        found = above.nan_to_num(torch.inf).amin(2)
        best = found if best is None else torch.minimum(best, found)
        total += above.shape[2]
        levels.append((best / tasks.median).double().numpy())
        made.append(total)
    return Course(np.stack(levels, 2), np.array(made))


def tested_tasks(
    families: Iterable[str], n: int, each: int, seed: int = TESTED
) -> Iterator[tuple[str, Tasks]]:
    """Tasks of each family, float64; they do not depend on which other families are tested."""
    for name in families:
        own = sum((i + 1) * byte for i, byte in enumerate(name.encode()))
        generator = Generator().manual_seed(seed * 100_003 + 1009 * n + own)
        yield name, draw([name], n, each, generator, torch.float64)


def starts(n: int) -> Generator:
    """Random numbers of the tested inner runs."""
    return Generator().manual_seed(TESTED + n)
