"""Credit by other routes than the chain: directly from the top, or as the direction to a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch.feedback_weights import FeedbackWeights
from cortex_sim.backends.torch.settling import Values
from cortex_sim.backends.torch.steps import Path, Step
from cortex_sim.population import Population
from cortex_sim.rules.base import Level, TargetRule

Weights = Mapping[str, Tensor] | nn.ParameterDict
#: From a path and the rates of the population below, (presentation, unit): a function from u to B u.
Carry = Callable[[Path, Tensor], Callable[[Tensor], Tensor]]


def carrying(weights: Weights, feedback: FeedbackWeights, dtype: torch.dtype) -> Carry:
    """From a path to the function that carries credit down it, u of the population above to B u."""

    def carried(path: Path, r_below: Tensor) -> Callable[[Tensor], Tensor]:
        op, down = path.operator.at(r_below), torch.empty(0)
        if op.weighted:
            w = weights.get(path.projection.reverse_name, down)
            down = feedback.matrix(path.name, w).detach().to(dtype).T
        return lambda u: op.down(u, down)

    return carried


@torch.no_grad()
def direct_credits(steps: tuple[Step, ...], carried: Carry, rates: Values, c_top: Tensor) -> Values:
    """Credit B c_L of every population with a projection from the top, (presentation, unit)."""
    return {
        step.name: carried(path, rates[step.name].flatten(1))(c_top)
        for step in steps
        for path in step.paths
        if path.direct
    }


@torch.no_grad()
def target_credits(
    steps: tuple[Step, ...],
    rule: TargetRule,
    carried: Carry,
    biases: Weights,
    transfer: Callable[[str], Any],
    drives: Values,
    rates: Values,
    top: str,
    c_top: Tensor,
) -> Values:
    """Credit of every population that receives any, (presentation, unit).

    A population's credit is the sum of what its top-down projections deliver; its target step π is the
    smallest that any of them requires. ``transfer`` gives a population's activation by name.
    """
    credits: Values = {top: c_top}
    asked: Values = {top: torch.full_like(c_top[:, :1], rule.top_step())}
    for step in reversed(steps):
        name = step.name
        paths = [(s.name, p) for s in steps for p in s.paths if p.projection.pre == name]
        if name not in credits or not paths:
            continue
        bias = biases[name].detach() if name in biases else None
        own = _own_drive(step.population, bias, drives[name])
        a, r = drives[name].flatten(1), rates[name].flatten(1)
        above = Level(transfer(name), a, r, own, credits[name], asked[name])
        for below, path in paths:
            r_below = rates[below].flatten(1)
            credit, least = rule.delivered(carried(path, r_below), above, r_below)
            known = below in credits
            credits[below] = credits[below] + credit if known else credit
            asked[below] = torch.minimum(asked[below], least) if known else least
    return {name: c for name, c in credits.items() if name in drives}


def _own_drive(population: Population, bias: Tensor | None, a: Tensor) -> Tensor:
    """The part of a drive that no projection brings: the bias, (1, unit)."""
    own = torch.zeros_like(a[:1])
    if bias is not None:
        own = own + bias.to(a.dtype).reshape(-1, *[1] * (len(population.shape) - 1))
    return own.flatten(1)
