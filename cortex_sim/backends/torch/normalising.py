"""A population's normaliser on torch: its gain as a parameter, its running statistics as buffers.

Autograd differentiates the forward pass, statistics of the batch included, so that credit passes through the
full Jacobian under every rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.reduced import reduced_batch_norm
from cortex_sim.errors import DataError, DeclarationError
from cortex_sim.normalisers import BatchNorm, GroupNorm, LayerNorm
from cortex_sim.normalisers.base import STATISTICS, first_values, normalised
from cortex_sim.population import Population

F = nn.functional
Grouped = Callable[[Tensor, Any, Tensor, Tensor | None], Tensor]

# For these classes exactly: a derived class may compute other moments.
_GROUPED: dict[type, Grouped] = {
    GroupNorm: lambda a, one, gain, offset: F.group_norm(a, one.groups, gain, offset, one.eps),
    LayerNorm: lambda a, one, gain, offset: F.group_norm(a, 1, gain, offset, one.eps),
}


class Normalising(nn.Module):
    """n = gain · (a − mean)/√(variance + eps) + offset of one population.

    Parameters
    ----------
    population : Population
        The declaration.
    learns : bool
        Whether its gain learns.
    dtype : torch.dtype
        Precision of gain and statistics.
    """

    def __init__(self, population: Population, learns: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.population, self.declared = population, population.normaliser
        self.running = bool(self._one.running)
        first = {name: torch.as_tensor(x).to(dtype) for name, x in first_values(population).items()}
        self.gain = nn.Parameter(first.pop("gain"), requires_grad=learns)
        for name, values in first.items():
            self.register_buffer(name, values)
        self._met: Tensor | None = None  # mean and variance of the latest training batch, (2, channel)

    @property
    def _one(self) -> Any:
        return self.declared

    def kept(self) -> dict[str, Tensor]:
        """Gain and running statistics, (unit,) or (channel,), by name."""
        names = STATISTICS if self.running else ()
        return {"gain": self.gain, **{name: self.get_buffer(name) for name in names}}

    def forward(self, a: Tensor, offset: Tensor | None) -> Tensor:
        """N (presentation, *shape), from drives and the population's bias."""
        grouped = _GROUPED.get(type(self.declared))
        if grouped is not None:
            return grouped(a, self.declared, self.gain, offset)
        if self.running and self.training:
            self._require_several(a)
        if type(self._one) is BatchNorm:
            return self._over_presentations(a, self._one, offset)
        return self._as_written(a, offset)

    def _over_presentations(self, a: Tensor, one: BatchNorm, offset: Tensor | None) -> Tensor:
        if not self.training:
            mean, variance = (self.get_buffer(name) for name in STATISTICS)
            return F.batch_norm(a, mean, variance, self.gain, offset, False, 0.0, one.eps)
        if one.reduced and distributed.place()[1] > 1:
            n, self._met = reduced_batch_norm(a, self.gain, offset, one.eps)
            return n
        met = torch.zeros(2, len(self.gain), dtype=self.gain.dtype, device=a.device)
        # A momentum of 1 leaves the batch's own statistics, with the unbiased variance.
        n = F.batch_norm(a, met[0], met[1], self.gain, offset, True, 1.0, one.eps)
        self._met = met
        return n

    def _as_written(self, a: Tensor, offset: Tensor | None) -> Tensor:
        """Normalised by the moments of a user-defined class."""
        each = (-1, *[1] * (a.dim() - 2))
        if self.running and not self.training:
            kept = [self.get_buffer(name).to(a.dtype).reshape(each) for name in STATISTICS]
            moments = kept[0], kept[1]
        else:
            moments = self._one.moments(a)
        if self.running and self.training:
            self._met = self._unbiased(a, *(m.detach() for m in moments))
        n = normalised(self._one, a, moments, self.gain.to(a.dtype).reshape(each))
        return n if offset is None else n + offset.to(a.dtype).reshape(each)

    def _unbiased(self, a: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        count = len(self.gain)
        if mean.numel() != count or variance.numel() != count:
            raise DeclarationError(
                f"population {self.population.name}: moments of {type(self.declared).__name__} have shapes "
                f"{tuple(mean.shape)} and {tuple(variance.shape)}; with running = True return one mean and "
                f"one variance for each of {count} {'channel' if a.dim() > 2 else 'unit'}"
                f"{'' if count == 1 else 's'}"
            )
        values = a.numel() // count
        found = torch.stack([mean.reshape(-1), variance.reshape(-1) * values / (values - 1)])
        return found.to(self.gain.dtype)

    def _require_several(self, a: Tensor) -> None:
        if a.numel() <= len(self.gain):
            raise DataError(
                f"population {self.population.name}: {type(self.declared).__name__} takes mean and variance "
                "over the presentations of a batch, but this batch has only one presentation; give larger "
                "batches, or use GroupNorm or LayerNorm"
            )

    def taken(self) -> Tensor | None:
        """Statistics of the latest batch in training mode, (2, channel); None if taken already."""
        met, self._met = self._met, None
        return met

    def shares(self) -> bool:
        """Whether each rank has its own statistics, so that running ones are averaged over ranks."""
        return not getattr(self.declared, "reduced", False)

    @torch.no_grad()
    def move(self, met: Tensor) -> None:
        """Update the running statistics by those of a batch, ``met``."""
        share = float(self._one.momentum)
        for name, value in zip(STATISTICS, met, strict=True):
            self.get_buffer(name).mul_(1 - share).add_(value, alpha=share)

    def extra_repr(self) -> str:
        """The declared normaliser."""
        return repr(self.declared)


@torch.no_grad()
def move_statistics(modules: list[Normalising]) -> None:
    """Update running statistics by the latest training batch; the result is the same on all ranks.

    If ranks were normalised separately, their statistics are averaged, in one exchange.
    """
    met = [(module, found) for module in modules if (found := module.taken()) is not None]
    apart = [found for module, found in met if module.shares()]
    if distributed.place()[1] > 1 and apart:
        both = iter(
            distributed.gathered(torch.cat(apart, dim=1)[None])
            .mean(0)
            .split([m.shape[1] for m in apart], dim=1)
        )
        met = [(module, next(both) if module.shares() else found) for module, found in met]
    for module, found in met:
        module.move(found)
