"""Weights and biases of a network as parameters, at their initial values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from cortex_sim.network import Network


def parameters(
    net: Network, drawn: Mapping[str, np.ndarray], dtype: torch.dtype
) -> tuple[nn.ParameterDict, nn.ParameterDict]:
    """Weights by projection and biases by population; those that learn require a gradient."""
    weights, biases = nn.ParameterDict(), nn.ParameterDict()
    for p in net.of_rates:
        if net.operator(p).weighted:
            w = torch.as_tensor(drawn[p.name].copy()).to(dtype)
            weights[p.name] = nn.Parameter(w, requires_grad=p.plasticity is not None)
    for name, population in net.populations.items():
        if population.bias and net.inputs(name):
            learns = any(p.rule.supervised for p in net.drivers(name))
            biases[name] = nn.Parameter(torch.zeros(population.bias_shape, dtype=dtype), requires_grad=learns)
    return weights, biases
