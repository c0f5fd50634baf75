"""Updates of a batch as plain tensors: by the rules, by backpropagation, and the credit itself.

These have no side effects: they run in evaluation mode, advance neither noise nor state, and leave
`Model.last_objective` unchanged. They work in any of torch's gradient modes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.modes import differentiating, only_looking
from cortex_sim.backends.torch.slow import normalisers
from cortex_sim.backends.torch.steps import loops_alone
from cortex_sim.backends.torch.unrolling import over_time, unroll
from cortex_sim.checks import listed
from cortex_sim.errors import DataError, RunError


@differentiating
@only_looking
def updates(
    model: Core, x: Any, y: Any = None, *, biases: bool = False, per_presentation: bool = False
) -> dict[str, Tensor]:
    """Change Δw/η of every plastic projection for one batch, without regularisers.

    Parameters
    ----------
    model : Core
    x : array of shape (presentation, *stimulus), or mapping of source to array
    y : array of labels (presentation,) or target rates (presentation, unit)
    biases : bool, default False
        Also the changes of biases, under their population's name, and of normalisers' gains, as "V1:gain".
    per_presentation : bool, default False
        One change for each presentation, along a first axis; their mean is the change of the batch.

    Returns
    -------
    dict of str to Tensor
        Change by projection name, in the shape of the weights.

    Raises
    ------
    DataError
        If stimuli or labels do not fit the network, or each other.
    """
    model.prepare()
    stimuli = model.presentations(x).detach()
    goals = None if y is None or model.net.objective_function is None else model.target_tensor(y)
    if goals is not None and len(goals) != len(stimuli):
        raise DataError(
            f"{len(goals)} labels for {len(stimuli)} presentations of {listed(model.sources)}; give one for "
            "each presentation"
        )
    if not per_presentation:
        return _negative_gradients(model, model.rule_terms(stimuli, goals, False)[0], biases, True)
    each = []
    for i in range(len(stimuli)):
        goal = None if goals is None else goals[i : i + 1]
        total, _ = model.rule_terms(stimuli[i : i + 1], goal, False, one=i, of=len(stimuli))
        each.append(_negative_gradients(model, total, biases, True))
    return {name: torch.stack([change[name] for change in each]) for name in each[0]}


@differentiating
@only_looking
def backprop_updates(model: Core, x: Any, y: Any, *, biases: bool = False) -> dict[str, Tensor]:
    """Change of plastic bottom-up and recurrent weights by backpropagation: minus the gradient."""
    if model.net.objective_function is None:
        raise RunError(
            f"network {model.net.name}: without an objective, backpropagation has no update; declare one "
            "with net.objective(...)"
        )
    _, rates = model.settle(model.presentations(x).detach(), credit=False)
    total = model.objective_value(rates[model.top], model.target_tensor(y))
    return _negative_gradients(model, total, biases, False)


@differentiating
@only_looking
def credits(model: Core, x: Any, y: Any) -> dict[str, Tensor]:
    """Credit c of every population that receives any, (presentation, *shape).

    In an unrolled network, at every step: (presentation, step, *shape).
    """
    model.prepare()
    if model.unrolled is not None:
        return _credits_over_time(model, x, y)
    drives, rates = model.settle(model.presentations(x).detach())
    total, _ = model.credit_terms(drives, rates, y, look=True)
    at = {n: model.credited_at(n, drives, rates) for n in drives}
    named = {n: t for n, t in at.items() if t.requires_grad}
    if not named or not total.requires_grad:
        return {}
    around = {step.name: step for block in model.blocks if loops_alone(block) for step in block}
    wanted = [*named.values(), *(drives[n] for n in around)]
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    count = len(rates[model.top])
    c = {n: -g * count for n, g in zip(named, found, strict=False) if g is not None}
    u = {n: -g * count for n, g in zip(around, found[len(named) :], strict=True) if g is not None}
    for name, returned in _around_loops(model, rates, u).items():
        returned = returned.reshape(rates[name].shape)
        c[name] = c[name] + returned if name in c else returned
    return c


def _credits_over_time(model: Core, x: Any, y: Any) -> dict[str, Tensor]:
    """Minus the gradient with respect to the rates of every step, in the rules' graph."""
    assert model.unrolled is not None
    if model.keeps_traces:
        return model.forward_in_time(model.presentations(x).detach(), y, look=True).credits()
    shown = model.shown(model.presentations(x).detach())
    moments = unroll(model.steps, shown, model.carrier(credit=True), model.unrolled)
    drives, rates = over_time(moments)
    total, _ = model.credit_terms(drives, rates, y, look=True)
    named = [n for n in drives if n not in model.sources and moments[-1].rates[n].requires_grad]
    if not named or not total.requires_grad:
        return {}
    wanted = [m.rates[n] for n in named for m in moments]
    found = iter(torch.autograd.grad(total, wanted, allow_unused=True))
    each = {n: [next(found) for _ in moments] for n in named}
    c: dict[str, Tensor] = {}
    for name, gradients in each.items():
        if any(g is not None for g in gradients):
            none = torch.zeros_like(moments[0].rates[name])
            arrived = [none if g is None else -g * len(none) for g in gradients]
            c[name] = torch.stack(arrived, dim=1)
    return c


def _around_loops(model: Core, rates: dict[str, Tensor], u: dict[str, Tensor]) -> dict[str, Tensor]:
    """Credit that the populations of a loop send one another, which acts through their fixed point only."""
    carried = model.carried()
    found: dict[str, Tensor] = {}
    for block in (block for block in model.blocks if loops_alone(block)):
        names = [step.name for step in block]
        for step in block:
            for path in step.paths:
                pre = path.projection.pre
                if pre in names and pre in u and not (path.direct or path.from_teacher):
                    returned = carried(path, rates[step.name].flatten(1))(u[pre].flatten(1))
                    found[step.name] = found[step.name] + returned if step.name in found else returned
    return found


def _negative_gradients(model: Core, total: Tensor, biases: bool, by_rule: bool) -> dict[str, Tensor]:
    wanted: dict[str, Tensor] = {n: w for n, w in model.weights.items() if w.requires_grad}
    if by_rule:
        wanted |= model.feedback.plastic
    else:
        wanted = {n: w for n, w in wanted.items() if not model.net.projections[n].is_lateral}
    if biases:
        wanted |= {n: b for n, b in model.biases.items() if b.requires_grad}
        gains = {f"{n}:gain": one.gain for n, one in normalisers(model.populations).items()}
        wanted |= {n: gain for n, gain in gains.items() if gain.requires_grad}
    if not wanted:
        return {}
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    return {
        name: torch.zeros_like(w) if g is None else -g
        for (name, w), g in zip(wanted.items(), found, strict=True)
    }
