"""Credit that arrives otherwise than by the chain: straight from the top, or as the way to a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input

from cortex_sim.backends.torch.settling import is_identity
from cortex_sim.connectors import Conv2d
from cortex_sim.projection import Projection
from cortex_sim.rules.base import Level
from cortex_sim.validation import is_supervised

if TYPE_CHECKING:
    from cortex_sim.backends.torch.model import Drives, Model


@torch.no_grad()
def direct_credits(model: Model, c_top: Tensor) -> Drives:
    """C = B c_L of every population that hears the top, (presentation, unit)."""
    return {path.post: carried(model, path)(c_top) for path in model.plan.direct}


@torch.no_grad()
def target_credits(model: Model, drives: Drives, rates: Drives, c_top: Tensor) -> Drives:
    """Credit of every population that gets any, (presentation, unit).

    A population's credit is the sum of what is delivered to it; its step π is the smallest that
    its outgoing projections ask for.
    """
    rule = next(p.plasticity for p in model.net.bottom_ups if is_supervised(p.plasticity))
    credits: Drives = {model.top: c_top}
    steps: Drives = {model.top: torch.full_like(c_top[:, :1], rule.top_step())}
    for name in reversed(model.plan.order):
        paths = [p for p in model.plan.targets if p.pre == name]
        if name not in credits or not paths:
            continue
        above = _level(model, name, drives[name], rates[name], credits[name], steps[name])
        for path in paths:
            below = rates[path.post].flatten(1)
            credit, step = rule.delivered(carried(model, path), above, below)
            known = path.post in credits
            credits[path.post] = credits[path.post] + credit if known else credit
            steps[path.post] = torch.minimum(steps[path.post], step) if known else step
    return {name: c for name, c in credits.items() if name != model.stimulus}


def _level(model: Model, name: str, a: Tensor, r: Tensor, c: Tensor, step: Tensor) -> Level:
    population = model.net.populations[name]
    bias = torch.zeros_like(a[:1])
    if name in model.biases:
        b = model.biases[name].detach().to(a.dtype)
        bias = bias + b.reshape(-1, *[1] * (len(population.shape) - 1))
    return Level(population.activation, a.flatten(1), r.flatten(1), bias.flatten(1), c, step)


def carried(model: Model, path: Projection) -> Callable[[Tensor], Tensor]:
    """From (presentation, unit above) to B times it, (presentation, unit below)."""
    if is_identity(path):
        return lambda u: u
    w = model.weights[path.mate] if path.mate in model.weights else torch.empty(0)
    b = model.feedback.stored(path.name, w).detach().to(model.compute)
    if not isinstance(path.connector, Conv2d):
        return lambda u: u @ b.T
    above = model.net.populations[path.pre].shape
    below = model.net.populations[path.post].shape
    stride, padding = path.connector.stride, path.connector.padding

    def scattered(u: Tensor) -> Tensor:
        maps = u.reshape(-1, *above)
        return conv2d_input((len(u), *below), b, maps, stride, padding).flatten(1)

    return scattered
