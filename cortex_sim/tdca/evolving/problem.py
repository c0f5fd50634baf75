"""The inner runs of a configuration, as the problem of its searcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_known
from cortex_sim.errors import RunError
from cortex_sim.registry import registered_name
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.cohort import layout, start
from cortex_sim.tdca.inner.inner_runs import PersistentRuns, WholeRuns
from cortex_sim.tdca.outer.problem import Window, under, within
from cortex_sim.tdca.reinforcement.signals import ActionContext
from cortex_sim.tdca.tasks.settings import tasks_from


def problem(settings: OuterSettings, data_dir: Path | None) -> tuple[Any, Tensor]:
    """The problem, and the initial values of the searched outer parameters.

    Raises
    ------
    RunError, DataError
        If the settings do not fit each other, or data needed for training is missing.
    """
    search, rule, step = settings.search(), settings.inner_rule(), settings.inner_step()
    _check_context(rule)
    tasks = tasks_from(settings.tasks, data_dir)
    bodies = [settings.body(), *(settings.body(**other) for other in settings.also)]
    for body in bodies:
        if (body.inputs, body.outputs) != (tasks.inputs, tasks.outputs):
            raise RunError(
                f"model {settings.model}: has {body.inputs} inputs and {body.outputs} outputs, but its tasks "
                f"have {tasks.inputs} and {tasks.outputs}; change model_settings to match"
            )
        _check_objective(settings, body, tasks)
        rule.fixed(body, np.random.default_rng(0))
    named = start(rule, step, settings.seed, bodies[0])
    phi, span, seed = layout(rule, step, bodies[0]).joined(named), settings.inner_span(), settings.seed
    if search.serves == "unrolls":
        twins = bool(search.twins)
        if twins and settings.lives % 2:
            raise RunError(
                f"setting lives: {settings.searcher['name']} needs inner runs in pairs; give an even number. "
                f"Got {settings.lives}"
            )
        cohorts = [
            PersistentRuns(body, rule, step, tasks, settings.lives, span, seed + i, twins)
            for i, body in enumerate(bodies)
        ]
        runs: Any = cohorts[0] if len(cohorts) == 1 else TakingTurns(cohorts)
        if twins and len(cohorts) > 1:
            raise RunError(
                f"setting also: {settings.searcher['name']} needs pairs of inner runs that start together, "
                "and those of several networks do not; leave it empty"
            )
    else:
        if len(bodies) > 1:
            raise RunError(
                f"setting also: {settings.searcher['name']} runs whole inner runs of one network; leave it "
                "empty, or choose the searcher meta_gradient"
            )
        runs = WholeRuns(bodies[0], rule, step, tasks, settings.lives, span)
    searched = searched_parameters(settings, named)
    if bool(searched.all()):
        return runs, phi
    return Restricted(runs, phi, searched), phi[searched]


_SLOPES, _FALLS = "slopes", "falls"


def searched_parameters(settings: OuterSettings, named: Mapping[str, np.ndarray]) -> Tensor:
    """Which outer parameters the outer loop searches, bool of shape (parameter,)."""
    step = settings.inner_step().draw()
    masks = {name: np.full(p.shape, name in step or not settings.frozen) for name, p in named.items()}
    known = dict.fromkeys([*named, _SLOPES, _FALLS])
    for held in settings.hold:
        require_known("outer parameter in hold", held, known, RunError)
        if held == _SLOPES:
            masks["step_rate"][..., 1] = False
        else:
            masks["step_fall" if held == _FALLS else held][...] = False
    searched = torch.from_numpy(np.concatenate([np.ravel(mask) for mask in masks.values()]))
    if not bool(searched.any()):
        raise RunError(
            "evolve: frozen and hold leave no outer parameter to search; shorten hold, or set frozen: false"
        )
    return searched


def _check_context(rule: Any) -> None:
    context = getattr(getattr(rule, "credit_network", None), "context", None)
    if isinstance(context, ActionContext):
        raise RunError(
            f"rule {registered_name('inner_rule', rule)}: its credit network reads actions and outcomes, but "
            "these inner runs learn from targets; give context: {name: error}, or problem: reinforcement"
        )


def _check_objective(settings: OuterSettings, body: Architecture, tasks: Any) -> None:
    own, wanted = registered_name("objective", body.net.objective_function), tasks.objective
    if own != wanted:
        raise RunError(
            f"model {settings.model}: has objective {own}, but its tasks need {wanted}; "
            f"set model_settings: {{objective: {wanted}}}"
        )


class TakingTurns:
    """Cohorts of different networks, of which one at a time advances, by a window.

    Parameters
    ----------
    cohorts : sequence of PersistentRuns
        All with the same number of inner runs.
    """

    def __init__(self, cohorts: Sequence[PersistentRuns]) -> None:
        self.cohorts, self.turn = cohorts, 0
        self.parameters, self.count = cohorts[0].parameters, cohorts[0].count

    def due(self) -> Tensor:
        """Inner runs that start again in the next window."""
        return self.cohorts[self.turn].due()

    def share(self, runs: slice) -> TakingTurns:
        """The same inner runs of every cohort."""
        return TakingTurns([cohort.share(runs) for cohort in self.cohorts])

    def run_axes(self) -> dict[str, int | None]:
        """Axis of inner runs in each tensor of `state`; None for what all have in common."""
        found: dict[str, int | None] = {"turn": None}
        for i, cohort in enumerate(self.cohorts):
            found |= {f"{i}/{name}": axis for name, axis in cohort.run_axes().items()}
        return found

    def unroll(self, phi: Tensor, due: Tensor | None = None) -> Window:
        """Advance the cohort whose turn it is by one window."""
        window = self.cohorts[self.turn].unroll(phi, due)
        self.turn = (self.turn + 1) % len(self.cohorts)
        return window

    def state(self) -> dict[str, Tensor]:
        """State of every cohort, and whose turn it is."""
        found = {"turn": torch.tensor(self.turn)}
        for i, cohort in enumerate(self.cohorts):
            found |= under(f"{i}/", cohort.state())
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        self.turn = int(state["turn"])
        for i, cohort in enumerate(self.cohorts):
            cohort.restore(within(f"{i}/", state))


class Restricted:
    """A problem in which only some parameters are searched; the others keep their values.

    Parameters
    ----------
    inner : UnrolledProblem or FitnessProblem
    phi : Tensor of shape (parameter,)
        All parameters.
    searched : Tensor of bool, shape (parameter,)
        Which of them are searched.
    """

    def __init__(self, inner: Any, phi: Tensor, searched: Tensor) -> None:
        self.inner, self.phi, self.searched = inner, phi, searched
        self.parameters = int(searched.sum())

    @property
    def count(self) -> int:
        """Number of inner runs."""
        return self.inner.count

    @property
    def contained(self) -> int:
        """As in the inner problem."""
        return self.inner.contained

    def whole(self, part: Tensor) -> Tensor:
        """All parameters (…, parameter), from those that are searched."""
        index = torch.nonzero(self.searched).flatten()
        every = self.phi.to(part.dtype).expand(*part.shape[:-1], -1)
        return every.index_copy(-1, index, part)

    def due(self) -> Tensor:
        """As in the inner problem."""
        return self.inner.due()

    def share(self, runs: slice) -> Restricted:
        """Some of the inner runs, restricted in the same way."""
        return Restricted(self.inner.share(runs), self.phi, self.searched)

    def run_axes(self) -> dict[str, int | None]:
        """As in the inner problem."""
        return self.inner.run_axes()

    def unroll(self, phi: Tensor, due: Tensor | None = None) -> Window:
        """As in the inner problem."""
        return self.inner.unroll(self.whole(phi), due)

    def outcomes(self, phi: Tensor, generator: Generator) -> Tensor:
        """As in the inner problem."""
        return self.inner.outcomes(self.whole(phi), generator)

    def compared(self, outcomes: Tensor) -> Tensor:
        """As in the inner problem."""
        return self.inner.compared(outcomes)

    def fitness(self, phi: Tensor, generator: Generator) -> Tensor:
        """As in the inner problem."""
        return self.inner.fitness(self.whole(phi), generator)

    def state(self) -> dict[str, Tensor]:
        """As in the inner problem."""
        return self.inner.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """As in the inner problem."""
        self.inner.restore(state)
