"""Outputs of a network: rates of the top population, and their objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.modes import only_looking
from cortex_sim.checks import require_count
from cortex_sim.errors import RunError


@torch.no_grad()
@only_looking
def predict(model: Core, x: Any, batch: int = 256) -> np.ndarray | Tensor:
    """Rates of the top population for any number of stimuli.

    Parameters
    ----------
    model : Core
    x : array or Tensor of shape (presentation, *stimulus), or mapping of source to these
    batch : int, default 256
        Presentations settled at a time.

    Returns
    -------
    array or Tensor of shape (presentation, unit), or (presentation, step, unit) of an unrolled network
        A tensor, on the model's device and without a graph, if ``x`` is a tensor or a mapping of tensors.

    Raises
    ------
    DataError
        If the stimuli do not fit the network.
    """
    require_count("predict", batch=batch)
    stimuli = model.presentations(x)
    parts = [model.top_rates(stimuli[start : start + batch]) for start in range(0, len(stimuli), batch)]
    found = torch.cat(parts)
    if all(isinstance(one, Tensor) for one in (x.values() if isinstance(x, Mapping) else [x])):
        return found
    return (found.float() if found.dtype == torch.bfloat16 else found).cpu().numpy()


@torch.no_grad()
@only_looking
def loss(model: Core, x: Any, y: Any) -> Tensor:
    """Mean objective over presentations, without a graph; `RunError` if the network has no objective."""
    if model.net.objective_function is None:
        raise RunError(f"network {model.net.name}: has no objective; declare one with net.objective(...)")
    _, rates = model.settle(model.presentations(x), credit=False)
    return model.objective_value(rates[model.top], model.target_tensor(y))
