"""Slow state of populations, which training batches update, and dropout, which is drawn for each batch.

Slow state consists of the parameters of activations that adapt and the running statistics of normalisers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.normalising import Normalising, move_statistics
from cortex_sim.backends.torch.uncompiled import uncompiled
from cortex_sim.errors import RunError

Noise = Callable[[str], torch.Generator]


def normalisers(container: nn.Module) -> dict[str, Normalising]:
    """Normalisers by population."""
    every = {name: module.normaliser for name, module in container.named_children()}
    return {name: module for name, module in every.items() if isinstance(module, Normalising)}


def transfer_values(container: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Parameters of activations, by population and name; only activations that have any."""
    every: Any = dict(container.named_children())
    found = {name: population.values() for name, population in every.items()}
    return {name: values for name, values in found.items() if values}


def adapt(container: nn.Module, adapting: tuple[str, ...], drives: Mapping[str, Tensor]) -> None:
    """Update slow state, parameters of activations and running statistics, by a training batch's drives."""
    for name in adapting:
        module: Any = container._modules[name]
        module.adapt(drives[name])
    move_statistics(list(normalisers(container).values()))


def require_several(container: nn.Module, presentations: int) -> None:
    """Refuse batches in which statistics over presentations would be taken over a single value.

    Raises
    ------
    RunError
        Naming the population.
    """
    for name, one in normalisers(container).items():
        values = presentations * one.population.size // len(one.gain)
        if one.running and values < 2:
            raise RunError(
                f"population {name}: {type(one.declared).__name__} takes its statistics over presentations "
                "of a batch, but the smallest batch of this training has one presentation per rank; choose a "
                "batch size that leaves no such remainder, or use GroupNorm or LayerNorm"
            )


def shown_plainly(rates: Tensor, container: nn.Module, count: Callable[[], None]) -> Tensor:
    """Update statistics and the noise count after a batch without labels, as in a user's training loop."""
    move_statistics(list(normalisers(container).values()))
    every: Any = dict(container.named_children())
    if any(population.declared.dropout for population in every.values()):
        count()
    return rates


@uncompiled
def kept_share(dropout: float, like: Tensor, noise: Noise, name: str) -> Tensor:
    """Factor on rates (presentation, *shape): 0 for a share ``dropout`` of them, else 1/(1 − dropout).

    So the mean of the rates is the same as without dropout (Srivastava et al. 2014, JMLR 15, section 10).
    """

    def drawn(presentations: int) -> Tensor:
        alone = presentations == len(like)
        empty = torch.empty_like(like, requires_grad=False) if alone else _empty(presentations, like)
        return empty.bernoulli_(1 - dropout, generator=noise(f"dropout {name}"))

    return distributed.own(drawn, len(like)).div(1 - dropout)


def _empty(presentations: int, like: Tensor) -> Tensor:
    """An empty tensor for ``presentations``, in the same memory layout: noise is drawn in memory order."""
    last = like.dim() == 4 and not like.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    size = (presentations, *like.shape[1:])
    return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=layout)
