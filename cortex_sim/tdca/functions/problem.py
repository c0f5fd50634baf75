"""Inner runs on functions as a fitness problem: how far below the others a member comes on every task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.functions.tasks import draw

WORST = 1e4  # box's medians: what lies above counts as equally bad, and as contained


class FunctionRuns:
    """Whole inner runs on functions; satisfies `cortex_sim.tdca.outer.problem.FitnessProblem`.

    Fitness is log₁₀ of the best value above the minimum, relative to the box's median, standardised over
    members in each task. The mean over tasks and members of the unstandardised logarithm is added, the same
    for all members, so that a generation's mean fitness says how far it came.

    Parameters
    ----------
    rule : FirstOrder or ZeroOrder
    families : sequence of str
    dimensions : sequence of int
        Numbers of variables; every generation has tasks of each.
    each : int
        Tasks of a family and a number of variables in a generation.
    evaluations : int
        In an inner run.
    floor : float
        Of levels, in units of the box's median: what lies below counts as equally good.
    """

    def __init__(
        self,
        rule: Any,
        families: Sequence[str],
        dimensions: Sequence[int],
        each: int,
        evaluations: int,
        floor: float,
    ) -> None:
        self.rule, self.families, self.dimensions = rule, tuple(families), tuple(dimensions)
        self.each, self.evaluations, self.floor = each, evaluations, floor
        self.parameters, self.contained = rule.layout.count, 0

    def fitness(self, phi: Tensor, generator: Generator) -> Tensor:
        """Fitness (member,) of φ (member, parameter); lower is better."""
        return self.compared(self.outcomes(phi, generator))

    @torch.no_grad()
    def outcomes(self, phi: Tensor, generator: Generator) -> Tensor:
        """What each member comes to by itself: log₁₀ of its level on every task, (member, task)."""
        levels = []
        for n in self.dimensions:
            tasks = draw(self.families, n, self.each, generator, phi.dtype)
            best = torch.full((len(phi), tasks.count), torch.inf, dtype=phi.dtype)
            for above, _ in self.rule.run(phi, tasks, self.evaluations, generator):
                best = torch.fmin(best, above.amin(2))
            self.contained += int((~(best / tasks.median <= WORST)).sum())
            levels.append(torch.log10((best / tasks.median).nan_to_num(WORST).clamp(self.floor, WORST)))
        return torch.cat(levels, 1)

    def compared(self, level: Tensor) -> Tensor:
        """Fitness (member,) of all members, from their `outcomes`."""
        centred = level - level.mean(0)
        return (centred / (level.std(0) + 0.05)).mean(1) + level.mean()
