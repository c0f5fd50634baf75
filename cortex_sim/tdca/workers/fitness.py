"""Members of a generation evaluated by workers; satisfies `cortex_sim.tdca.outer.problem.FitnessProblem`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.workers.crew import Call, Crew
from cortex_sim.tdca.workers.splitting import parts


class SharedFitness:
    """A fitness problem whose members are spread over workers.

    Every worker draws the same tasks and presentations from the same state of the generator, so a member's
    outcome does not depend on which worker evaluates it. A lost worker's members are evaluated again.

    Parameters
    ----------
    given : FitnessProblem with ``outcomes`` and ``compared``
    crew : Crew
    """

    def __init__(self, given: Any, crew: Crew) -> None:
        self._given, self._crew = given, crew
        self.parameters, self.contained = given.parameters, 0

    @torch.no_grad()
    def fitness(self, phi: Tensor, generator: Generator) -> Tensor:
        """Fitness (member,) of φ (member, parameter); lower is better."""
        drawn_with = generator.get_state()
        shares = [share for share in parts(len(phi), self._crew.size) if share.stop > share.start]
        calls: list[Call] = [("outcomes", phi[share].clone(), drawn_with) for share in shares]
        answers = self._crew.ask(calls, _nothing)
        generator.set_state(answers[0][2])
        self.contained += sum(contained for _, contained, _ in answers)
        return self._given.compared(torch.cat([found for found, _, _ in answers]))


def _nothing(rank: int) -> Sequence[Call]:
    """No calls: between two generations, a worker has no state."""
    return ()
