"""What plastic projections read of their pre rates, on torch: the slow state, and its use in gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.modes import in_full_precision
from cortex_sim.backends.torch.uncompiled import uncompiled
from cortex_sim.network import Network
from cortex_sim.operators import Operator
from cortex_sim.operators.grouping import change_of_feedback
from cortex_sim.presynaptic.drawing import noise_of
from cortex_sim.presynaptic.held import first_readings, reads_as, updates_between
from cortex_sim.projection import BOTTOM_UP, Projection


class Reading(nn.Module):
    """State of one projection's reading, in buffers, and the count of updates, on which its noise depends."""

    def __init__(self, how: Any, first: Mapping[str, Any], dtype: torch.dtype) -> None:
        super().__init__()
        self.how, self.count = how, int(first["count"])
        for variable, values in first.items():
            if variable != "count":
                self.register_buffer(variable, torch.as_tensor(values).to(dtype))

    def state(self) -> dict[str, Tensor]:
        """Arrays by variable."""
        return dict(self.named_buffers())

    def read(self, r: Tensor) -> Tensor:
        """What synapses read of rates (presentation, input)."""
        state = self.state()
        found: Tensor = self.how.read(state, r.to(state["mean"].dtype))
        return found.to(r.dtype)

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Take the state after an update: new tensors, since the backward pass may still need the old."""
        for variable, values in state.items():
            self._buffers[variable] = values
        self.count += 1

    def get_extra_state(self) -> Tensor:
        """The count, on the CPU: reading it never waits for a device."""
        return torch.tensor(float(self.count), dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Continue from a count that `get_extra_state` returned."""
        self.count = int(state)


class Presynaptic(nn.Module):
    """The readings of a network's projections, by name; in buffers, so that checkpoints include them."""

    def __init__(self, net: Network, dtype: torch.dtype) -> None:
        super().__init__()
        first = first_readings(net)
        self.projections = [(p, net.operator(p)) for p in net.bottom_ups if p.name in first]
        self.measured: tuple[str, ...] = ()  # projections whose input energy an optimiser reads
        self._energies: dict[str, list[Tensor]] = {}  # since that optimiser's last update
        self._sources = {p.name: _source(net, p) for p in net.projections.values() if _measurable(p)}
        self.of = nn.ModuleDict({n: Reading(net.projections[n].reads, x, dtype) for n, x in first.items()})

    def __contains__(self, name: str) -> bool:
        return name in self.of

    def __len__(self) -> int:
        return len(self.of)

    def read(self, name: str, r: Tensor) -> Tensor:
        """What synapses of a projection read of its inputs ([group,] presentation · place, input)."""
        if name not in self.of:
            return r
        reading: Any = self.of[name]
        found: Tensor = reading.read(r)
        return found

    def inputs(self, name: str, operator: Operator, r: Tensor) -> Tensor:
        """The same from rates (presentation, *shape) of the pre population."""
        with in_full_precision(r.device):
            return self.read(name, operator.patches(r.detach().flatten(1)))

    def measure(self, names: Sequence[str]) -> None:
        """From now on record the energies of what these projections read, for an optimiser."""
        self.measured, self._energies = tuple(names), {}

    def taken_energies(self) -> dict[str, Tensor]:
        """Mean ‖r_pre‖² over places and training batches since the last call, by projection."""
        found = {name: torch.stack(values).mean() for name, values in self._energies.items()}
        self._energies = {}
        return found

    @uncompiled
    @torch.no_grad()
    def learned_from(self, rates: Mapping[str, Tensor]) -> None:
        """Record energies and update the state, from the rates of every population in a training batch.

        ``rates`` include channels of credit if their projections learn.
        """
        for name in self.measured:
            population, reader, operator = self._sources[name]
            r = rates[population]
            seen = r.detach() if operator is None else self.inputs(reader, operator, r)
            energy = seen.square().sum(-1).mean()
            self._energies.setdefault(name, []).append(energy)
        if len(self):
            self.renew(rates)

    @uncompiled
    @torch.no_grad()
    def renew(self, rates: Mapping[str, Tensor]) -> None:
        """Update the state once, from the rates (presentation, *shape) of every population."""
        for p, operator in self.projections:
            reading: Any = self.of[p.name]
            every = updates_between(reading.how)
            if reading.count % every:
                reading.count += 1
                continue
            state = reading.state()
            r = operator.patches(rates[p.pre].detach().flatten(1)).to(state["mean"].dtype)
            ranks = distributed.place()[1]
            if ranks > 1:  # the state depends on presentations of all ranks, in the order of one process
                r = _of_all_ranks(r, ranks, operator.places)
            noise = torch.from_numpy(noise_of(p.name, reading.count, *r.shape)).to(r)
            reading.take(reading.how.renewed(state, r, noise, float(every)))


def _measurable(p: Projection) -> bool:
    return p.kind == BOTTOM_UP or p.rule.from_channels


def _source(net: Network, p: Projection) -> tuple[str, str, Operator | None]:
    """Where energy is measured: the population, the projection that reads it, and that one's places."""
    by_rates = not p.is_top_down or getattr(p.plasticity, "energy", "rates") == "rates"
    if not by_rates:
        return p.pre, p.name, None
    reader = reads_as(net, p)
    return p.post if p.is_top_down else p.pre, (p if reader is None else reader).name, net.operator(p)


def _of_all_ranks(r: Tensor, ranks: int, places: int) -> Tensor:
    """Inputs ([group,] presentation · place, input) of every rank, in the order of one process."""
    gathered = distributed.gathered(r, -2).reshape(*r.shape[:-2], ranks, -1, places, r.shape[-1])
    return gathered.transpose(-3, -4).reshape(*r.shape[:-2], -1, r.shape[-1])


class ByReading(torch.autograd.Function):
    """Adds nothing upward; makes the change of weights ⟨u x'ᵀ⟩, where x' is what synapses read.

    The drive passes unchanged, and so does the credit that goes down, where W and B act as constants.
    """

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, w: Tensor, b: Tensor | None, read: Tensor, operator: Any, rule: Any
    ) -> Tensor:
        """The drive (presentation, …); ``read`` is ([group,] presentation · place, input)."""
        ctx.save_for_backward(read, b)
        ctx.operator, ctx.rule, ctx.shape = operator, rule, w.shape
        return a.view_as(a)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Gradients of the drive, of W, and (for a rule that reads credit) of B."""
        (g,) = grads
        read, b = ctx.saved_tensors
        operator = ctx.operator
        need_w, need_b = ctx.needs_input_grad[1:3]
        by_place = operator.by_place(g.flatten(1))
        grad_w = (by_place.mT @ read).reshape(ctx.shape) if need_w else None
        grad_b = None
        if need_b and ctx.rule is not None:
            grad_b = -change_of_feedback(operator, ctx.rule, b, by_place * -len(g), read)
        return g, grad_w, grad_b, None, None, None
