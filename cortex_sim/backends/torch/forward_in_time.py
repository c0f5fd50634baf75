"""Changes of rules that keep traces: the credit of each step times the traces, in one pass forward in time.

No graph extends from one step to another, and nothing of earlier steps is kept but the traces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cortex_sim.backends.torch.arrival import Carry, Weights, direct_credits
from cortex_sim.backends.torch.eligibility import Slope, Traces
from cortex_sim.backends.torch.objective import as_rates
from cortex_sim.backends.torch.settling import Carrier, Values
from cortex_sim.backends.torch.steps import Step
from cortex_sim.backends.torch.timed import Goals
from cortex_sim.backends.torch.uncompiled import uncompiled
from cortex_sim.backends.torch.unrolling import Moment, Unrolled, over_time, stepped
from cortex_sim.objectives import Objective


@dataclass(frozen=True)
class Forward:
    """A batch of an unrolled network whose rules keep traces.

    Parameters
    ----------
    steps : tuple of Step
    shown : mapping of str to Tensor
        Rates of every source, (presentation, *shape) or (presentation, time_bin, *shape).
    y : Tensor
        Labels or target rates, as `target_tensor` returns them.
    how : Unrolled
    top : str
    objective : Objective
    weights, biases : mapping of str to Tensor
        The effective ones, in the graph of the parameters.
    carrier : Carrier
        Carries rates, in plain autograd's graph.
    carried : Carry
        Carries credit.
    dtype : torch.dtype
        Precision of rates and credit.
    """

    steps: tuple[Step, ...]
    shown: Values
    y: Tensor
    how: Unrolled
    top: str
    objective: Objective
    weights: Weights
    biases: Weights
    carrier: Carrier
    carried: Carry
    dtype: torch.dtype

    @uncompiled  # every step asks autograd for f′
    def terms(self, others: Sequence[Any]) -> tuple[Values, Tensor, Tensor]:
        """Rates, a scalar whose gradient is minus the changes, and the mean objective.

        Rates are those of every step, (presentation, step, *shape), if there are ``others``, rules that learn
        from them; otherwise none are returned.
        """
        found, objective, kept = self._followed(bool(others))
        total = objective.new_zeros(())
        for name, change in found.items():
            total = total - (change * (self.weights[name] if "->" in name else self.biases[name])).sum()
        return over_time(kept)[1] if kept else {}, total, objective

    @torch.no_grad()
    def _followed(self, keep_rates: bool) -> tuple[Values, Tensor, list[Moment]]:
        """Changes by projection (weights) and population (bias), the objective, and moments if kept."""
        learning = [_Population(self, s) for s in self.steps if any(link.supervised for link in s.inputs)]
        total, kept = self.y.new_zeros((), dtype=self.dtype), []
        for moment, judged in self._judged():
            for population in learning:
                population.move(moment)
            if judged is not None:
                objective, c = judged
                total = total + objective
                for population in learning:
                    population.learn(c[population.name])
            if keep_rates:
                kept.append(moment)
        return {n: change for one in learning for n, change in one.changes.items()}, total, kept

    @torch.no_grad()
    def credits(self) -> Values:
        """Credit of every population that receives any, (presentation, step, *shape); 0 without a target."""
        found: list[Values] = []
        like: Values = {}
        for moment, judged in self._judged():
            like = moment.rates
            found.append({} if judged is None else judged[1])
        names = {name for each in found for name in each}
        return {
            name: len(r) * torch.stack([each.get(name, torch.zeros_like(r)) for each in found], dim=1)
            for name, r in like.items()
            if name in names
        }

    def _judged(self) -> Iterator[tuple[Moment, tuple[Tensor, Values] | None]]:
        """Every step, with its part of the objective and its credit, weighted by presentations' shares."""
        goals = Goals(self.y, self.how)
        for number, moment in enumerate(stepped(self.steps, self.shown, self.carrier, self.how)):
            known = goals.at(number)
            yield moment, None if known is None else self._judge(moment, *known)

    def _judge(self, moment: Moment, y: Tensor, share: Tensor) -> tuple[Tensor, Values]:
        rates = {name: r.to(self.dtype) for name, r in moment.rates.items()}
        top = rates[self.top].flatten(1)
        goal, share = as_rates(y, top), share.to(top.dtype)
        c_top = self.objective.credit(top, goal) * share
        found = direct_credits(self.steps, self.carried, rates, c_top) | {self.top: c_top}
        value: Any = self.objective.value(top, goal)
        return (value * share[:, 0]).sum(), {n: c.reshape(rates[n].shape) for n, c in found.items()}


class _Population:
    """One population's synapses: their traces, and the changes made from them so far."""

    def __init__(self, given: Forward, step: Step) -> None:
        self.name, self._step, self._carrier, self._dtype = step.name, step, given.carrier, given.dtype
        make = Traces(given.steps, step, given.how.dt_ms, given.top, given.dtype)
        acting = {n: w.detach() for n, w in given.weights.items()}
        links = {link.name: link for link in step.inputs if link.supervised}
        self._pre = {name: link.projection.pre for name, link in links.items()}
        self._traces = {name: make.of(link, acting) for name, link in links.items()}
        self.changes = {name: torch.zeros_like(acting[name]) for name in links}
        if step.name in given.biases:
            self.changes[step.name] = torch.zeros_like(given.biases[step.name])
            self._of_bias = make.of_bias(next(iter(links.values())), acting, self.changes[step.name].dtype)
        self._began: Slope | None = None
        self._now: Slope | None = None

    def move(self, moment: Moment) -> None:
        """Advance every trace by one step."""
        self._began, self._now = self._now, Slope(self._step, self._carrier, moment, self._dtype)
        began = self._began or self._now  # in the first step every trace is 0, whatever f′ is
        for name, trace in self._traces.items():
            trace.move(moment.read[self._pre[name]].to(self._dtype), began)
        if self.name in self.changes:
            one = moment.rates[self.name].new_ones(len(moment.rates[self.name]), 1)
            self._of_bias.move(one.to(self._dtype), began)

    def learn(self, c: Tensor) -> None:
        """Add credit (presentation, *shape) times the traces to the changes."""
        assert self._now is not None
        for name, trace in self._traces.items():
            self.changes[name] += trace.change(c, self._began, self._now)
        if self.name in self.changes:
            change = self._of_bias.change(c, self._began, self._now)  # (unit, 1)
            bias = self.changes[self.name]
            bias += change.reshape(len(bias), -1).sum(1)  # a channel's is summed over its places
