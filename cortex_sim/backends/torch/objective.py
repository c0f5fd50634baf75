"""The mean objective of a batch, and labels as target rates."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cortex_sim.backends.torch.settling import Values
from cortex_sim.backends.torch.timed import Judged
from cortex_sim.objectives import CrossEntropy, Objective


def mean_objective(objective: Objective, judged: Judged) -> Tensor:
    """Mean objective over presentations."""
    r_top, y, share = judged.r, judged.y, judged.share
    if share is not None and not len(share):
        return r_top.sum()  # no target, no error: 0 in the graph
    if r_top.dtype == torch.bfloat16:
        r_top = r_top.float()
    if isinstance(objective, CrossEntropy) and y.dim() == 1:
        return objective.weight * F.cross_entropy(r_top, y, label_smoothing=objective.label_smoothing)
    values: Tensor = objective.value(r_top, as_rates(y, r_top))
    return values.mean() if share is None else (values * share).sum()


def as_rates(y: Tensor, r_top: Tensor) -> Tensor:
    """Target rates (presentation, unit) in the precision of ``r_top``; labels become one-hot rates."""
    if y.dim() == 1:
        return torch.zeros_like(r_top).scatter_(1, y[:, None], 1)  # one_hot would read labels from the device
    return y.to(r_top.dtype)


def injected(credits: Values, rates: Values) -> Tensor:
    """−⟨c·r⟩ summed over populations: its gradient with respect to rates (or drives) is minus the credit."""
    presentations = len(next(iter(rates.values())))
    total = next(iter(rates.values())).new_zeros(())
    for name, c in credits.items():
        total = total - (c.detach() * rates[name].flatten(1)).sum() / presentations
    return total
