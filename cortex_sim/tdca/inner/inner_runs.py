"""Inner runs for an outer loop: continued from window to window, or whole."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cortex_sim.checks import require_count, require_flag, require_nonnegative
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.cohort import Cohort, layout
from cortex_sim.tdca.inner.rules import InnerRule
from cortex_sim.tdca.inner.step import Step
from cortex_sim.tdca.outer.problem import Window, within


@dataclass(frozen=True)
class Span:
    """Lengths of inner runs, and their objective.

    Parameters
    ----------
    shortest, longest : int
        Bounds of the length T of an inner run, in inner steps; lengths are rounded to whole windows.
    brief : float
        How much more often short inner runs start: the density of lengths is proportional to T^−(1 + brief).
        At 0, the lengths of newly started inner runs are log-uniform; at 1, the lengths of the inner runs in
        progress at any time are.
    window : int
        Inner steps between two outer updates.
    batch : int
        Presentations of one inner step.
    validation : int
        Validation presentations at the end of a window; four times as many at the end of whole inner runs.
    validation_weight : float
        Weight of their objective, relative to the mean over the window's steps.
    relative : bool
        Whether objectives count as log(E + 0.01): a reduction by a tenth counts the same early and late in
        an inner run.
    """

    shortest: int = 20
    longest: int = 1000
    window: int = 20
    batch: int = 32
    validation: int = 128
    validation_weight: float = 1.0
    relative: bool = False
    brief: float = 0.0

    def __post_init__(self) -> None:
        require_count(self, shortest=self.shortest, window=self.window, batch=self.batch)
        require_count(self, minimum=self.shortest, longest=self.longest)
        require_count(self, validation=self.validation)
        require_nonnegative(self, validation_weight=self.validation_weight, brief=self.brief)
        require_flag(self, relative=self.relative)

    def lengths(self, count: int, generator: torch.Generator) -> Tensor:
        """Steps of ``count`` new inner runs."""
        drawn = torch.rand(count, generator=generator)
        if self.brief:
            ends = [length**-self.brief for length in (self.shortest, self.longest)]
            drawn = (ends[0] + (ends[1] - ends[0]) * drawn) ** (-1 / self.brief)
        else:
            drawn = self.shortest * (self.longest / self.shortest) ** drawn
        return (drawn / self.window).round().clamp_min(1) * self.window


def clipped(loss: Tensor, worst: float, relative: bool = False) -> Tensor:
    """Losses, with NaN and everything above ``worst`` set to it; if ``relative``, log(loss + 0.01)."""
    found = torch.nan_to_num(loss, nan=worst, posinf=worst).clamp(max=worst)
    return torch.log(found + 0.01) if relative else found


class PersistentRuns:
    """Inner runs that continue from window to window; one that ends is replaced by one on another task.

    Satisfies `cortex_sim.tdca.outer.problem.UnrolledProblem`.

    Parameters
    ----------
    body, rule, step
        Network, rule and step of the inner runs.
    tasks
        A distribution of tasks (`cortex_sim.tdca.tasks`).
    count : int
        Inner runs side by side.
    span : Span
    seed : int
    twins : bool, default False
        Whether inner runs 2i and 2i + 1 share initial weights, task and presentations.
    """

    def __init__(
        self,
        body: Architecture,
        rule: InnerRule,
        step: Step,
        tasks: Any,
        count: int,
        span: Span,
        seed: int,
        twins: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.layout = layout(rule, step, body)
        self.parameters, self.count, self.span = self.layout.count, count, span
        self.copies = 2 if twins else 1
        self.generator = torch.Generator().manual_seed(seed)
        starts = count // self.copies
        self.starts = slice(0, starts)  # of inner runs that advance here; random numbers are drawn for all
        self.tasks = tasks.draw(starts, self.generator)
        self.cohort = Cohort(body, rule, step, count, self.copies, dtype)
        self.cohort.done += 1  # as if an inner run of one step had ended: all are due

    def share(self, runs: slice) -> PersistentRuns:
        """Some of the inner runs, none of them started, with the same random numbers."""
        own, whole = copy(self), self.cohort
        own.generator = torch.Generator()
        own.generator.set_state(self.generator.get_state())
        own.starts = slice(runs.start // self.copies, runs.stop // self.copies)
        count = runs.stop - runs.start
        own.cohort = Cohort(whole.body, whole.rule, whole.step, count, self.copies, whole.dtype)
        own.cohort.done += 1
        return own

    def run_axes(self) -> dict[str, int | None]:
        """Axis of inner runs in each tensor of `state`; None for what all have in common."""
        return {n: 0 if n.startswith("cohort/") and t.dim() else None for n, t in self.state().items()}

    def _begin(self, slots: Tensor) -> None:
        starts = len(slots)
        seeds = torch.randint(2**31, (starts,), generator=self.generator)
        lengths = self.span.lengths(starts, self.generator)
        self.cohort.begin(slots[self.starts], seeds[self.starts], lengths[self.starts])

    def _presentations(self, batch: int, part: str) -> tuple[Tensor, Tensor]:
        x, y = self.tasks.presentations(batch, part, self.generator, self.starts)
        x, y = x.to(self.cohort.dtype), y.to(self.cohort.dtype)
        if self.copies > 1:
            x, y = x.repeat_interleave(self.copies, 0), y.repeat_interleave(self.copies, 0)
        return x, y

    def due(self) -> Tensor:
        """Inner runs that start again in the next window: they ended, or their weights are not finite."""
        over = (self.cohort.done >= self.cohort.length) | self.cohort.lost()
        return over.reshape(-1, self.copies).any(1).repeat_interleave(self.copies)

    def unroll(self, phi: Tensor, due: Tensor | None = None) -> Window:
        """Advance every inner run by a window under φ, (parameter,) or (run, parameter).

        ``due`` says which of all inner runs start again, if only a share of them advances here.
        """
        cohort, span, worst = self.cohort, self.span, self.cohort.body.worst
        slots = (self.due() if due is None else due)[:: self.copies]
        if slots.any():
            self.tasks = self.tasks.redraw(slots, self.generator)
            self._begin(slots)
        begins = cohort.done == 0
        parameters = self.layout.split(phi)
        total: Any = 0.0
        contained = 0
        for _ in range(span.window):
            loss = cohort.advance(parameters, *self._presentations(span.batch, "train"))
            contained += int((~(loss.detach() <= worst)).sum())
            total = total + clipped(loss, worst, span.relative)
        x, y = self._presentations(span.validation, "validation")
        final = cohort.body.judged(cohort.settle(x), y)[0].mean(-1)
        contained += int((~(final.detach() <= worst)).sum())
        objective = total / span.window + span.validation_weight * clipped(final, worst, span.relative)
        cohort.detach()
        return Window(objective, begins, contained)

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue, as named tensors."""
        found = {f"cohort/{name}": t for name, t in self.cohort.state().items()}
        found |= {f"tasks/{name}": t for name, t in self.tasks.state().items()}
        return found | {"generator": self.generator.get_state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        self.cohort.restore(within("cohort/", state))
        self.tasks = self.tasks.restore(within("tasks/", state))
        self.generator.set_state(state["generator"])


class WholeRuns:
    """Whole inner runs, for searchers that need only the fitness of each member.

    Satisfies `cortex_sim.tdca.outer.problem.FitnessProblem`.

    Parameters
    ----------
    body, rule, step, tasks
        As in `PersistentRuns`.
    runs : int
        Inner runs of each member, the same for all members.
    span : Span
        One length is drawn for each generation.
    """

    def __init__(
        self, body: Architecture, rule: InnerRule, step: Step, tasks: Any, runs: int, span: Span
    ) -> None:
        self.body, self.rule, self.step, self.tasks = body, rule, step, tasks
        self.runs, self.span = runs, span
        self.layout = layout(rule, step, body)
        self.parameters = self.layout.count
        self.contained = 0

    def fitness(self, phi: Tensor, generator: torch.Generator) -> Tensor:
        """Mean clipped objective over a member's inner runs plus that on validation at the end, (member,)."""
        return self.compared(self.outcomes(phi, generator))

    def compared(self, outcomes: Tensor) -> Tensor:
        """Fitness (member,) from `outcomes`: the same numbers, since members do not depend on each other."""
        return outcomes

    @torch.no_grad()
    def outcomes(self, phi: Tensor, generator: torch.Generator) -> Tensor:
        """Result of each member by itself, (member,)."""
        members, span, worst = len(phi), self.span, self.body.worst
        tasks = self.tasks.draw(self.runs, generator)
        cohort = Cohort(self.body, self.rule, self.step, self.runs * members, members)
        length = span.lengths(1, generator)
        seeds = torch.randint(2**31, (self.runs,), generator=generator)
        cohort.begin(torch.ones(self.runs, dtype=torch.bool), seeds, length.expand(self.runs))
        parameters = self.layout.split(phi.to(cohort.dtype).repeat(self.runs, 1))
        total: Any = 0.0
        for _ in range(int(length)):
            x, y = tasks.presentations(span.batch, "train", generator)
            loss = cohort.advance(
                parameters, x.repeat_interleave(members, 0), y.repeat_interleave(members, 0)
            )
            self.contained += int((~(loss <= worst)).sum())
            total = total + clipped(loss, worst, span.relative)
        x, y = tasks.presentations(span.validation * 4, "validation", generator)
        x, y = x.repeat_interleave(members, 0), y.repeat_interleave(members, 0)
        final = clipped(self.body.judged(cohort.settle(x), y)[0].mean(-1), worst, span.relative)
        fitness = total / float(length) + span.validation_weight * final
        return fitness.reshape(self.runs, members).mean(0)
