"""What supervised rules say of a batch, as terms whose gradient is minus their changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cortex_sim.backends.torch.arrival import direct_credits, target_credits
from cortex_sim.backends.torch.forward_in_time import followed, terms
from cortex_sim.backends.torch.modes import in_full_precision
from cortex_sim.backends.torch.objective import as_rates, injected
from cortex_sim.backends.torch.presentations import Presentations
from cortex_sim.backends.torch.settling import Values
from cortex_sim.errors import DataError

if TYPE_CHECKING:
    from cortex_sim.backends.torch.core import Core


def credited(
    model: Core, stimuli: Presentations, y: Any, look: bool | None
) -> tuple[Values, Values, Tensor, Tensor]:
    """Drives and rates, the terms of supervised rules, and the mean objective.

    Rules that keep traces need no drives, and rates only where other rules learn from these.
    """
    if not model.keeps_traces:
        drives, rates = model.settle(stimuli)
        with in_full_precision(model.device):
            return drives, rates, *credit_terms(model, drives, rates, y, look)
    found = followed(model, stimuli, goal_of(model, y, look), keep_rates=bool(model.local.projections))
    with in_full_precision(model.device):
        return {}, found.rates, terms(model, found), found.objective


def goal_of(model: Core, y: Any, look: bool | None) -> Tensor:
    """Labels or target rates of the top, which an objective needs."""
    if y is None:
        raise DataError(f"network {model.net.name}: its objective at {model.top} needs labels or targets y")
    return model.target_tensor(y, look)


def credit_terms(
    model: Core, drives: Values, rates: Values, y: Any, look: bool | None
) -> tuple[Tensor, Tensor]:
    """Terms of rules whose credit is in the graph of these drives and rates, and the mean objective."""
    if model.net.objective_function is None:
        zero = torch.zeros((), device=model.device)
        return zero, zero
    goal = goal_of(model, y, look)
    total = model.objective_value(rates[model.top], goal)
    objective = total.detach()
    if not (model.routes.direct or model.routes.by_targets or model.teacher):
        return total, objective
    top = rates[model.top].detach().flatten(1)
    c_top = model.net.objective_function.credit(top, as_rates(goal, top))
    if model.teacher is not None:
        at = {name: model.credited_at(name, drives, rates) for name in model.teacher.credited}
        return model.teacher.terms(rates, as_rates(goal, top), c_top, at), objective
    if model.routes.by_targets:
        rule = next(p.plasticity for p in model.net.driving if p.rule.supervised)
        credits = target_credits(
            model.steps, rule, model.carried(), model.biases, model.transfer, drives, rates, model.top, c_top
        )
        return injected(credits, rates), objective
    return total + injected(direct_credits(model.steps, model.carried(), rates, c_top), rates), objective
