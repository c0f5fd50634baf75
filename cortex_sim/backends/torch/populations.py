"""Every population as a module whose output are its rates, so that hooks and feature extractors find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.activations import LeakyRelu, Linear, Logistic, Relu, Softplus, Tanh
from cortex_sim.network import Network

F = nn.functional


def torch_rate(activation: Any) -> Callable[[Tensor], Tensor]:
    """Rate function as torch's own fused operation; any other activation as it is written."""
    match activation:
        case Linear():
            return lambda a: a
        case LeakyRelu(slope=slope):
            return lambda a: F.leaky_relu(a, slope)
        case Relu():
            return torch.relu
        case Tanh():
            return torch.tanh
        case Logistic():
            return torch.sigmoid
        case Softplus():
            return F.softplus
        case _:
            rate: Callable[[Tensor], Tensor] = activation.rate
            return rate


class Population(nn.Module):
    """r = f(a) of one population; the stimulated one passes its stimulus on."""

    def __init__(self, activation: Any) -> None:
        super().__init__()
        self.activation = activation
        self._rate = torch_rate(activation)

    def forward(self, a: Tensor) -> Tensor:
        """Rates (presentation, *shape) from drives of the same shape."""
        return self._rate(a)

    def extra_repr(self) -> str:
        """Its activation."""
        return repr(self.activation)

    def __getstate__(self) -> dict[str, Any]:
        """Without the function, which need not be one that pickle knows."""
        return {k: v for k, v in self.__dict__.items() if k != "_rate"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._rate = torch_rate(self.activation)


def populations(net: Network, stimulus: str) -> nn.Module:
    """Container of all populations by name: ``model.get_submodule("populations.V1")``."""
    container = nn.Module()
    for name, population in net.populations.items():
        container._modules[name] = Population(Linear() if name == stimulus else population.activation)
    return container
