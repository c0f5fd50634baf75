"""Inner runs that persist in workers; satisfies `cortex_sim.tdca.outer.problem.UnrolledProblem`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cortex_sim.tdca.outer.problem import Window
from cortex_sim.tdca.workers.crew import Call, Crew
from cortex_sim.tdca.workers.splitting import State, joined, parts, split
from cortex_sim.tdca.workers.worker import Advanced, Move

_LONGEST = 100  # largest number of windows to run again when a worker is lost


class SharedRuns:
    """Inner runs spread over workers, which hold their state.

    Every worker draws the random numbers of all inner runs and uses those of its own, so an inner run does
    not depend on which worker advances it. In every window, this process sends φ (with twins, the centre and
    the state of the generator that draws the perturbations) and which inner runs start again, and receives
    each inner run's loss; for a meta-gradient it also sends the weights of losses, and receives a gradient
    from each worker. A lost worker's inner runs are run again from the last saved state, or from the start.

    Parameters
    ----------
    given : UnrolledProblem with ``share`` and ``run_axes``
    crew : Crew
    together : int
        Neighbouring inner runs that stay with one worker: 2 for twins.
    """

    def __init__(self, given: Any, crew: Crew, together: int) -> None:
        self._given, self._crew, self._axes = given, crew, given.run_axes()
        self.parameters, self.count = given.parameters, given.count
        self._shares = parts(self.count, crew.size, together)
        self._due = given.due()
        self._saved: list[State | None] = [None] * crew.size
        self._before: Tensor | None = None  # perturbations of twins before ``_since``
        self._since: list[Move] = []

    def due(self) -> Tensor:
        """Inner runs that start again in the next unroll, bool of shape (run,)."""
        return self._due

    def unroll(self, phi: Tensor) -> Window:
        """Start the inner runs that are due, and advance all by one window under φ: (P,), or (run, P)."""
        if not (phi.requires_grad and torch.is_grad_enabled()):
            return _window(self._advance(Move(self._due, phi.detach())))
        loss = _Loss.apply(phi, self)
        window = _window(self._answers)
        differentiable = any(a.differentiable for a in self._answers)
        return replace(window, loss=loss if differentiable else loss.detach())

    def unroll_twins(self, centre: Tensor, sigma: float, before: Tensor, drawn_with: Tensor) -> Window:
        """See `cortex_sim.tdca.outer.nres.TwinsElsewhere`."""
        if not self._since:
            self._before = before.clone()
        return _window(self._advance(Move(self._due, centre, sigma, drawn_with)))

    def _advance(self, move: Move) -> list[Advanced]:
        if len(self._since) >= _LONGEST:
            self._keep()
        calls: list[Call] = [("advance", [_of(move, share)]) for share in self._shares]
        answers = self._crew.ask(calls, self._prepare)
        self._since.append(replace(move, gradient=False))
        self._due = torch.cat([a.due for a in answers])
        self._answers = answers
        return answers

    def gradient(self, weights: Tensor, like: Tensor) -> Tensor:
        """Σ_i weights_i ∂loss_i/∂φ in the window last advanced."""
        calls: list[Call] = [("gradient", weights[share].clone()) for share in self._shares]
        found = self._crew.ask(calls, self._prepare_to_differentiate)
        return torch.cat(found) if like.dim() == 2 else torch.stack(found).sum(0)

    def _prepare(self, rank: int) -> Sequence[Call]:
        share, before = self._shares[rank], self._before
        noise = None if before is None else before[share.start // 2 : share.stop // 2].clone()
        calls: list[Call] = [("begin", share, self._saved[rank], noise)]
        if self._since:
            calls.append(("advance", [_of(move, share) for move in self._since]))
        return calls

    def _prepare_to_differentiate(self, rank: int) -> Sequence[Call]:
        share = self._shares[rank]
        *passed, last = self._since
        moves = [_of(move, share) for move in (*passed, replace(last, gradient=True))]
        return [self._prepare(rank)[0], ("advance", moves)]

    def _keep(self) -> list[State]:
        """Fetch and return the state of all inner runs, from which a lost worker's are then run again."""
        answers = self._crew.ask([("state",)] * self._crew.size, self._prepare)
        noises = [noise for _, noise in answers]
        self._saved = [state for state, _ in answers]
        self._before = None if noises[0] is None else torch.cat(noises)
        self._since = []
        return [state for state, _ in answers]

    def state(self) -> State:
        """Everything the next unroll depends on, as one process would have it."""
        return joined(self._keep(), self._axes)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a saved state, with any number of workers."""
        self._saved = [*split(state, self._axes, self._shares)]
        self._since, self._before = [], None
        self._crew.unprepare()
        self._given.restore(state)
        self._due = self._given.due()


class _Loss(torch.autograd.Function):
    """Losses (run,) found by workers, which also differentiate them."""

    @staticmethod
    def forward(ctx: Any, phi: Tensor, runs: SharedRuns) -> Tensor:
        ctx.runs, ctx.like = runs, phi.detach()
        answers = runs._advance(Move(runs.due(), phi.detach(), gradient=True))
        return torch.cat([a.loss for a in answers])

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, None]:
        return ctx.runs.gradient(weights, ctx.like), None


def _of(move: Move, share: slice) -> Move:
    """A window for one worker, with the φ of its own inner runs."""
    return replace(move, phi=move.phi[share].clone()) if move.phi.dim() == 2 else move


def _window(answers: Sequence[Advanced]) -> Window:
    loss = torch.cat([a.loss for a in answers])
    return Window(loss, torch.cat([a.begins for a in answers]), sum(a.contained for a in answers))
