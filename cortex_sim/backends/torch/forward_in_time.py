"""Changes of rules that keep traces: credit of each step meets what synapses remember, on one way forward.

No graph reaches from one step to another, and of earlier steps nothing is kept but the traces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cortex_sim.backends.torch.eligibility import Slope, trace_of, trace_of_bias
from cortex_sim.backends.torch.objective import as_rates
from cortex_sim.backends.torch.presentations import Presentations
from cortex_sim.backends.torch.settling import Values
from cortex_sim.backends.torch.steps import Step
from cortex_sim.backends.torch.timed import Goals
from cortex_sim.backends.torch.unrolling import Moment, over_time, stepped

if TYPE_CHECKING:
    from cortex_sim.backends.torch.core import Core


@dataclass(frozen=True)
class Followed:
    """Changes by projection and population (of its bias), means over presentations; and the objective.

    ``rates`` are those of every step, (presentation, step, *shape), where they are kept, else none.
    """

    weights: Values
    biases: Values
    objective: Tensor
    rates: Values


@torch.no_grad()
def followed(model: Core, stimuli: Presentations, y: Tensor, keep_rates: bool) -> Followed:
    """Follow a batch through its steps.

    Parameters
    ----------
    model : Core
        Unrolled, its rules such that keep traces.
    stimuli : Presentations
    y : Tensor
        Labels or target rates, as `target_tensor` returns them.
    keep_rates : bool
        Whether other rules need the rates of every step.
    """
    traced = [_Traced(model, step) for step in model.steps if any(link.supervised for link in step.inputs)]
    kept: list[Moment] = []
    total = torch.zeros((), device=model.device)
    for moment, judged in _judged(model, stimuli, y):
        for one in traced:
            one.move(moment)
        if judged is not None:
            objective, c = judged
            total = total + objective
            for one in traced:
                one.learn(c[one.name])
        if keep_rates:
            kept.append(moment)
    weights = {name: change for one in traced for name, change in one.weights.items()}
    biases = {one.name: one.bias for one in traced if one.bias is not None}
    return Followed(weights, biases, total, over_time(kept)[1] if keep_rates else {})


@torch.no_grad()
def credits_in_steps(model: Core, stimuli: Presentations, y: Tensor) -> Values:
    """Credit of every population that gets any, (presentation, step, *shape); 0 in steps without target."""
    found: list[Values] = []
    like: Values = {}
    for moment, judged in _judged(model, stimuli, y):
        like = moment.rates
        found.append({} if judged is None else judged[1])
    names = {name for each in found for name in each}
    count = len(stimuli)
    return {
        name: torch.stack([count * each.get(name, torch.zeros_like(r)) for each in found], dim=1)
        for name, r in like.items()
        if name in names
    }


def terms(model: Core, found: Followed) -> Tensor:
    """A scalar whose gradient is minus the changes."""
    acting = model.constrained.acting(model.weights)
    total = torch.zeros((), device=model.device)
    for name, change in found.weights.items():
        total = total - (change * acting[name]).sum()
    for name, change in found.biases.items():
        total = total - (change * model.biases[name]).sum()
    return total


def _judged(
    model: Core, stimuli: Presentations, y: Tensor
) -> Iterator[tuple[Moment, tuple[Tensor, Values] | None]]:
    """Every step with its part of the objective and its credit, which bears the share of each presentation."""
    how, objective = model.unrolled, model.net.objective_function
    assert how is not None
    assert objective is not None
    goals, carried = Goals(y, how), model.carried()
    for number, moment in enumerate(stepped(model.steps, model.shown(stimuli), model.carrier(False), how)):
        known = goals.at(number)
        if known is None:
            yield moment, None
            continue
        rates = {name: r.to(model.compute) for name, r in moment.rates.items()}
        top = rates[model.top].flatten(1)
        goal, share = as_rates(known[0], top), known[1].to(top.dtype)
        c_top = objective.credit(top, goal) * share
        c = {model.top: c_top.reshape(rates[model.top].shape)}
        for step in model.steps:
            paths = [path for path in step.paths if path.direct]
            if paths and step.name != model.top:
                r = rates[step.name]
                c[step.name] = sum(carried(path, r.flatten(1))(c_top) for path in paths).reshape(r.shape)
        value = objective.value(top.float() if top.dtype == torch.bfloat16 else top, goal)
        yield moment, ((value * share[:, 0]).sum(), c)


class _Traced:
    """One population's synapses: their traces, and the changes that have come of them so far."""

    def __init__(self, model: Core, step: Step) -> None:
        self.name, self._step, self._carrier, self._dtype = step.name, step, model.carrier(False), model.compute
        acting = {n: w.detach() for n, w in model.constrained.acting(model.weights).items()}
        links = [link for link in step.inputs if link.supervised]
        self._pre = {link.name: link.projection.pre for link in links}
        self._traces = {link.name: trace_of(model, step, link, acting) for link in links}
        self.weights = {name: torch.zeros_like(acting[name]) for name in self._traces}
        self.bias: Tensor | None = None
        if step.name in model.biases:
            self.bias = torch.zeros_like(model.biases[step.name])
            self._of_bias = trace_of_bias(model, step, links[0], acting)
        self._began: Slope | None = None
        self._now: Slope | None = None

    def move(self, moment: Moment) -> None:
        """One step of every trace."""
        self._began, self._now = self._now, Slope(self._step, self._carrier, moment, self._dtype)
        slope = self._began or self._now  # in the first step every trace is 0, whatever f′ is
        for name, trace in self._traces.items():
            trace.move(moment.read[self._pre[name]].to(self._dtype), slope)
        if self.bias is not None:
            self._of_bias.move(moment.rates[self.name].new_ones(len(moment.rates[self.name]), 1), slope)

    def learn(self, c: Tensor) -> None:
        """Add what credit (presentation, *shape) makes of the traces."""
        assert self._now is not None
        for name, trace in self._traces.items():
            self.weights[name] += trace.change(c, self._began, self._now)
        if self.bias is not None:
            change = self._of_bias.change(c, self._began, self._now)  # (unit, 1)
            self.bias += change.reshape(len(self.bias), -1).sum(1)  # one of a channel, over its places
