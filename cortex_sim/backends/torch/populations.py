"""Every population as a module whose output is its rates, so that hooks and feature extractors find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim import transfers
from cortex_sim.activations import LeakyRelu, Linear, Logistic, Relu, Softplus, Tanh
from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.normalising import Normalising
from cortex_sim.network import Network
from cortex_sim.population import Population as Declared

F = nn.functional
Rate = Callable[[Tensor], Tensor]

# For these classes exactly: a derived class may have another rate function.
_FUSED: dict[type, Callable[[Any], Rate]] = {
    Linear: lambda f: lambda a: a,
    LeakyRelu: lambda f: lambda a: F.leaky_relu(a, f.slope),
    Relu: lambda f: torch.relu,
    Tanh: lambda f: torch.tanh,
    Logistic: lambda f: torch.sigmoid,
    Softplus: lambda f: F.softplus,
}


def torch_rate(activation: Any) -> Rate:
    """Rate function as torch's own fused operation if there is one, else the activation's own."""
    fused = _FUSED.get(type(activation))
    rate: Rate = activation.rate if fused is None else fused(activation)
    return rate


class Population(nn.Module):
    """r = f(a) of one population, or f(n) of its normalised drive n; a source passes its stimulus on.

    The parameters of its activation, if any, are buffers ``transfer_NAME``. Its normaliser is the module
    ``normaliser``.
    """

    def __init__(self, declared: Declared, is_source: bool, learns: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.declared = declared
        self.activation = Linear() if is_source else declared.activation
        self._rate = torch_rate(self.activation)
        start = {} if is_source else transfers.initial_values(declared)
        self._names = tuple(start)
        for name, values in start.items():
            self.register_buffer(f"transfer_{name}", torch.as_tensor(values).to(dtype))
        normalises = declared.normaliser is not None and not is_source
        self.normaliser = Normalising(declared, learns, dtype) if normalises else None

    def forward(self, a: Tensor, offset: Tensor | None = None, kept: Tensor | None = None) -> Tensor:
        """Rates (presentation, *shape) from drives of the same shape.

        ``offset``, (unit,) or (channel,), is added after a normaliser; ``kept`` is dropout's factor on rates.
        """
        n = a if self.normaliser is None else self.normaliser(a, offset)
        r = self._rates(n)
        return r if kept is None else r * kept

    def _rates(self, n: Tensor) -> Tensor:
        if not self._names:
            return self._rate(n)
        rates: Tensor = self.transfer(n.dtype).rate(n.flatten(1))
        return rates.reshape(n.shape)

    def values(self) -> dict[str, Tensor]:
        """Parameters of its activation, (unit,) or (channel,), by name."""
        return {name: self.get_buffer(f"transfer_{name}") for name in self._names}

    def transfer(self, dtype: torch.dtype) -> Any:
        """Its activation as a function of drives (presentation, unit), with the present parameters."""
        # Copies: the parameters may change before the backward pass needs those of these drives.
        kept = {name: v.to(dtype, copy=True) for name, v in self.values().items()}
        return transfers.bound(
            self.declared.activation, {name: transfers.by_unit(self.declared, v) for name, v in kept.items()}
        )

    @torch.no_grad()
    def adapt(self, a: Tensor) -> None:
        """Update the parameters by drives (presentation, *shape) of all ranks."""
        values = self.values()
        shown = distributed.gathered(a.flatten(1)) if distributed.place()[1] > 1 else a.flatten(1)
        kept = {name: v.clone() for name, v in values.items()}
        found = transfers.next_values(self.declared, shown.to(next(iter(kept.values())).dtype), kept)
        for name, buffer in values.items():
            buffer.copy_(found[name])

    def extra_repr(self) -> str:
        """Its activation."""
        return repr(self.activation)

    def __getstate__(self) -> dict[str, Any]:
        """The state without the rate function, which pickle may not support."""
        return {k: v for k, v in self.__dict__.items() if k != "_rate"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._rate = torch_rate(self.activation)


def populations(net: Network, dtype: torch.dtype) -> nn.Module:
    """Container of all populations by name: ``model.get_submodule("populations.V1")``."""
    container, sources = nn.Module(), net.sources
    for name, population in net.populations.items():
        learns = any(p.rule.supervised for p in net.drivers(name))
        container._modules[name] = Population(population, name in sources, learns, dtype)
    return container
