"""Inner runs of policies that persist from window to window, as an outer loop unrolls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor

from cortex_sim.tdca.inner.cohort import Cohort, layout
from cortex_sim.tdca.inner.rules import InnerRule
from cortex_sim.tdca.inner.step import Step
from cortex_sim.tdca.outer.problem import Window, under, within
from cortex_sim.tdca.reinforcement.environment import drawn
from cortex_sim.tdca.reinforcement.episodes import (
    Baselines,
    Episodes,
    World,
    presented,
    returns_to_go,
    rollout,
    scrambling,
)
from cortex_sim.tdca.reinforcement.policy import Policy


class Learning:
    """Policies that learn in parallel, each in its own world.

    Parameters
    ----------
    body : Policy
    rule, step
        Rule and step of the inner runs.
    environment : Environment
    count : int
        Number of inner runs.
    episodes : int
        Episodes in an update.
    discount : float
        Discount of rewards.
    copies : int, default 1
        Number of consecutive inner runs that share start, world and random numbers.
    horizons : sequence of float, default ()
        Other discounts, whose outcomes the credit network reads.
    """

    def __init__(
        self,
        body: Policy,
        rule: InnerRule,
        step: Step,
        environment: Any,
        count: int,
        episodes: int,
        discount: float,
        copies: int = 1,
        horizons: Sequence[float] = (),
    ) -> None:
        self.environment, self.episodes, self.copies = environment, episodes, copies
        self.discounts = (discount, *horizons)
        self.body, self.count = body, count
        self.runs = slice(0, count)  # that learn here; worlds and random numbers are of all
        self.cohort = Cohort(body, rule, step, count, copies)
        self.baselines = [Baselines(count, environment.cap) for _ in self.discounts]
        n, a = environment.observations, environment.actions
        self.physics = {name: torch.zeros(count, 1) for name in sorted(environment.ranges)}
        self.rotation = torch.eye(n).repeat(count, 1, 1)
        self.order = torch.arange(a).repeat(count, 1)
        self.scrambled = False

    def share(self, runs: slice) -> Learning:
        """Some of the inner runs, none of them started, with the same random numbers."""
        own, whole, count = copy(self), self.cohort, runs.stop - runs.start
        own.runs = runs
        own.cohort = Cohort(self.body, whole.rule, whole.step, count, self.copies)
        own.baselines = [Baselines(count, self.environment.cap) for _ in self.discounts]
        own.physics = {name: p.clone() for name, p in self.physics.items()}
        own.rotation, own.order = self.rotation.clone(), self.order.clone()
        return own

    def begin(
        self, slots: Tensor, setting: str, scrambled: bool, updates: int, generator: torch.Generator
    ) -> None:
        """Start inner runs in new worlds where ``slots`` (start,) is true; ``slots`` are of all inner runs.

        ``setting`` is D, R or E, or several of them, which alternate over the starts.
        """
        starts = len(slots)
        which = torch.arange(starts) % len(setting)
        seeds = torch.randint(2**31, (starts,), generator=generator)
        here = slice(self.runs.start // self.copies, self.runs.stop // self.copies)
        self.cohort.begin(slots[here], seeds[here], torch.full((starts,), float(updates))[here])
        runs = slots.repeat_interleave(self.copies)
        for baselines in self.baselines:
            baselines.begin(runs[self.runs])
        for i, letter in enumerate(setting):
            new = (slots & (which == i)).repeat_interleave(self.copies)
            for name, values in drawn(self.environment, letter, (starts, 1), generator).items():
                self.physics[name][new] = values.repeat_interleave(self.copies, 0)[new]
        self.scrambled = scrambled
        if scrambled:
            rotation, order = scrambling(self.environment, starts, generator)
            self.rotation[runs] = rotation.repeat_interleave(self.copies, 0)[runs]
            self.order[runs] = order.repeat_interleave(self.copies, 0)[runs]

    @property
    def world(self) -> World:
        """The worlds of all inner runs."""
        turned = (self.rotation, self.order) if self.scrambled else (None, None)
        return World(self.physics, *turned)

    def play(self, generator: torch.Generator, episodes: int | None = None) -> Episodes:
        """Run episodes of the present policies."""
        cohort = self.cohort
        transfers = self.body.transfers(cohort.transfers)
        top = self.body.forward(
            [w.detach() for w in cohort.weights], [b.detach() for b in cohort.biases], transfers
        )
        shape = (self.count, episodes or self.episodes)
        return rollout(
            self.environment, self.world, top, shape, generator, copies=self.copies, among=self.runs
        )

    def judged(self, played: Episodes) -> tuple[Tensor, Tensor, Tensor]:
        """Presentations and goals of episodes, and the factor (run,) from objectives to scaled returns."""
        alive = played.alive.to(played.rewards.dtype)
        found = [
            baselines.outcome(returns_to_go(played.rewards, discount), alive)
            for baselines, discount in zip(self.baselines, self.discounts, strict=True)
        ]
        outcomes = [outcome for outcome, _ in found]
        x, goal = presented(played, outcomes, self.environment.actions, self.environment.cap)
        steps = alive.sum((0, 2)) / alive.shape[2]
        return x, goal, steps * found[0][1] / self.environment.worth

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue, as named tensors."""
        found = under("cohort/", self.cohort.state())
        for i, baselines in enumerate(self.baselines):
            found |= under(f"baseline/{i}/", baselines.state())
        found |= under("physics/", {n: p.clone() for n, p in self.physics.items()})
        return found | {"rotation": self.rotation.clone(), "order": self.order.clone()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        self.cohort.restore(within("cohort/", state))
        for i, baselines in enumerate(self.baselines):
            baselines.restore(within(f"baseline/{i}/", state))
        self.physics = {n: p.clone() for n, p in within("physics/", state).items()}
        self.rotation, self.order = state["rotation"].clone(), state["order"].clone()


class PersistentPolicies:
    """Inner runs of ``updates`` updates; one that ends is replaced by one in another world.

    Satisfies `cortex_sim.tdca.outer.problem.UnrolledProblem`. The loss of a window is minus the mean return
    of its episodes and of fresh ones at its end, divided by the environment's ``worth``. Its gradient is the
    score-function estimate −Σ_t (G_t − b_t) ∇log π(a_t), through the window's updates, whose episodes are
    treated as constant.

    Parameters
    ----------
    learning : Learning
    setting : str
        D, R or E.
    scrambled : bool
        Whether each inner run has its own rotation of observations and order of actions.
    updates, window : int
        Updates of an inner run, and between two outer updates.
    seed : int
    fresh : int, default 0
        Fresh episodes at the end of a window; 0: as many as in an update.
    """

    def __init__(
        self,
        learning: Learning,
        setting: str,
        scrambled: bool,
        updates: int,
        window: int,
        seed: int,
        fresh: int = 0,
    ) -> None:
        self.learning, self.setting, self.updates, self.window = learning, setting, updates, window
        self.scrambled = learning.scrambled = scrambled
        self.judging = fresh or learning.episodes
        cohort = learning.cohort
        self.layout = layout(cohort.rule, cohort.step, learning.body)
        self.parameters, self.count = self.layout.count, cohort.count
        self.generator = torch.Generator().manual_seed(seed)
        starts = self.count // learning.copies
        spread = torch.arange(starts) % max(updates // window, 1)  # first inner runs end at different times
        self.stop = (window * (1 + spread)).repeat_interleave(learning.copies)
        self.fresh = True  # no inner run has started

    def share(self, runs: slice) -> PersistentPolicies:
        """Some of the inner runs, none of them started, with the same random numbers."""
        own = copy(self)
        own.learning, own.stop = self.learning.share(runs), self.stop.clone()
        own.generator = torch.Generator()
        own.generator.set_state(self.generator.get_state())
        return own

    def run_axes(self) -> dict[str, int | None]:
        """Axis of inner runs in each tensor of `state`; None for what all have in common."""
        axes: dict[str, int | None] = dict.fromkeys(self.state())
        for name, tensor in self.learning.state().items():
            if name.startswith("baseline/"):
                axes[f"learning/{name}"] = 1
            elif name.startswith("cohort/") and tensor.dim():
                axes[f"learning/{name}"] = 0
        return axes

    def due(self) -> Tensor:
        """Inner runs that start again in the next window: they ended, or their weights are not finite."""
        copies, cohort = self.learning.copies, self.learning.cohort
        if self.fresh:
            return torch.ones(cohort.count, dtype=torch.bool)
        over = (cohort.done >= self.stop[self.learning.runs]) | cohort.lost()
        return over.reshape(-1, copies).any(1).repeat_interleave(copies)

    def unroll(self, phi: Tensor, due: Tensor | None = None) -> Window:
        """Advance every inner run by a window under φ, (parameter,) or (run, parameter).

        ``due`` says which of all inner runs start again, if only a share of them advances here.
        """
        learning, generator = self.learning, self.generator
        begins = self.due() if due is None else due
        if bool(begins.any()):
            if not self.fresh:
                self.stop[begins] = self.updates
            learning.begin(begins[:: learning.copies], self.setting, self.scrambled, self.updates, generator)
            self.fresh = False
        parameters = self.layout.split(phi)
        surrogate: Any = 0.0
        returned = torch.zeros(learning.cohort.count)
        for _ in range(self.window):
            played = learning.play(generator)
            x, goal, gain = learning.judged(played)
            surrogate = surrogate + gain * learning.cohort.advance(parameters, x, goal)
            returned += played.returns.mean(1)
        played = learning.play(generator, self.judging)
        before = [baselines.state() for baselines in learning.baselines]
        x, goal, gain = learning.judged(played)
        for baselines, state in zip(learning.baselines, before, strict=True):
            baselines.restore(state)  # the inner run does not learn from fresh episodes
        final = learning.body.judged(learning.cohort.settle(x), goal)[0].mean(-1)
        surrogate = (surrogate + gain * final) / self.window
        value = -(returned + played.returns.mean(1)) / (self.window + 1) / learning.environment.worth
        lost = ~torch.isfinite(surrogate.detach())
        surrogate = torch.where(lost, torch.zeros_like(surrogate), surrogate)
        learning.cohort.detach()
        loss = value + surrogate - surrogate.detach()
        return Window(loss, begins[learning.runs], int(lost.sum()))

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue, as named tensors."""
        own = {"generator": self.generator.get_state(), "stop": self.stop.clone()}
        return own | {"fresh": torch.tensor(self.fresh)} | under("learning/", self.learning.state())

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        self.learning.restore(within("learning/", state))
        self.stop, self.fresh = state["stop"].clone(), bool(state["fresh"])
        self.generator.set_state(state["generator"])
