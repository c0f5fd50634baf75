"""What a network answers: rates of the top population, and how far they are from the goal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cortex_sim.checks import require_count
from cortex_sim.errors import DataError, RunError
from cortex_sim.objectives import CrossEntropy

if TYPE_CHECKING:
    from cortex_sim.backends.torch.model import Model


def top_rates(model: Model, stimuli: Tensor) -> Tensor:
    """Rates of the top population, (presentation, unit), in plain autograd's graph."""
    _, rates = model.settle(stimuli, credit=False)
    return rates[model.top].flatten(1)


@torch.no_grad()
def predict(model: Model, x: Any, batch: int = 256) -> np.ndarray | Tensor:
    """Rates of the top population for any number of stimuli.

    Parameters
    ----------
    model : Model
    x : array or Tensor of shape (presentation, *stimulus)
    batch : int, default 256
        Presentations settled at a time.

    Returns
    -------
    array or Tensor of shape (presentation, unit)
        A tensor, on the model's device, where ``x`` is one; without a graph.
    """
    require_count("predict", batch=batch)
    stimuli = model.stimulus_tensor(x)
    parts = [top_rates(model, stimuli[start : start + batch]) for start in range(0, len(stimuli), batch)]
    found = torch.cat(parts)
    if isinstance(x, Tensor):
        return found
    return (found.float() if found.dtype == torch.bfloat16 else found).cpu().numpy()


@torch.no_grad()
def loss(model: Model, x: Any, y: Any) -> Tensor:
    """Mean objective over presentations, without a graph."""
    if model.net.error is None:
        raise RunError(f"network {model.net.name}: has no objective; declare one with net.objective(...)")
    _, rates = model.settle(model.stimulus_tensor(x), credit=False)
    return model.objective_value(rates[model.top], model.target_tensor(y))


def objective_value(model: Model, r_top: Tensor, y: Tensor) -> Tensor:
    """Mean objective over presentations, from the top's rates and labels or target rates."""
    objective = model.net.error
    assert objective is not None
    if len(y) != len(r_top):
        raise DataError(
            f"{len(y)} labels for {len(r_top)} presentations of population {model.stimulus}; give one each"
        )
    r_top = r_top.flatten(1)
    if r_top.dtype == torch.bfloat16:
        r_top = r_top.float()
    if isinstance(objective, CrossEntropy) and y.dim() == 1:
        return objective.weight * F.cross_entropy(r_top, y)
    return objective.error(r_top, as_rates(y, r_top)).mean()


def as_rates(y: Tensor, r_top: Tensor) -> Tensor:
    """Target rates (presentation, unit) in the precision of ``r_top``; labels as one unit of 1."""
    if y.dim() == 1:
        return F.one_hot(y, r_top.shape[1]).to(r_top.dtype)
    return y.to(r_top.dtype)
