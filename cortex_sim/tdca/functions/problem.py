"""Inner runs on functions as a fitness problem: how low a value each member reaches, against the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.functions.tasks import draw

WORST = 1e4  # in units of the box's median: all values above count as equally bad, and as contained


class FunctionRuns:
    """Whole inner runs on functions; satisfies `cortex_sim.tdca.outer.problem.FitnessProblem`.

    Fitness is log₁₀ of the best value above the minimum, relative to the box's median, standardised over
    members in each task. The mean over tasks and members of the unstandardised logarithm is added, the same
    for all members, so that the mean fitness of generations shows the progress of the outer loop.

    Parameters
    ----------
    rule : FirstOrder or ZeroOrder
    families : sequence of str
    dimensions : sequence of int
        Numbers of variables; every generation has tasks of each.
    each : int
        Tasks in a generation for each family and number of variables.
    evaluations : int
        Evaluations in an inner run.
    floor : float
        Lowest value that counts, in units of the box's median: all below it are equally good.
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
        """Result of each member by itself: log₁₀ of its best value on every task, (member, task)."""
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
