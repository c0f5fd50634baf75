"""Credit from a credit network: its parameters as tensors, every population's credit, and changes by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cortex_sim.backends.torch.objective import injected
from cortex_sim.credit.context import TopSignals
from cortex_sim.credit.in_parts import ActingOnCredit, InParts, Values, settled_credit_network
from cortex_sim.credit.teacher import Teacher
from cortex_sim.credit.view import addresses_of, channels_of
from cortex_sim.network import Network
from cortex_sim.presynaptic.held import reads_as

if TYPE_CHECKING:
    from cortex_sim.backends.torch.feedback_weights import FeedbackWeights
    from cortex_sim.backends.torch.presynaptic import Presynaptic


class TeacherCredit(nn.Module):
    """A teacher on torch: its equations, with its parameters as tensors.

    Parameters
    ----------
    net : Network
        The network that receives its credit.
    feedback : FeedbackWeights
        Holds the diffusion kernels and addresses.
    presynaptic : Presynaptic
        What synapses read.
    dtype : torch.dtype
        Precision of its parameters.

    Attributes
    ----------
    declared : Teacher
        The teacher, part of the declaration and so of every checkpoint; its tensors are not saved again.
    sent : dict of str to Tensor
        Rates of the channels in the latest batch, by credit population; only those of plastic projections.
    """

    def __init__(
        self, net: Network, feedback: FeedbackWeights, presynaptic: Presynaptic, dtype: torch.dtype
    ) -> None:
        super().__init__()
        assert net.teacher is not None
        self.declared, self.dtype = net.teacher, dtype
        # Methods rather than the modules, which would be registered here as submodules.
        self._weight, self._inputs = feedback.plastic_or_free, presynaptic.inputs
        self._names = [name for name in feedback.free if name in _read(self.declared)]
        self._learning = [
            (p, net.operator(p), reads_as(net, p))
            for p in net.top_downs
            if p.plasticity is not None and p.pre in net.credit_populations
        ]
        self.sent: dict[str, Tensor] = {}
        for name, value in self.declared.parameters.items():
            tensor = torch.as_tensor(value.copy()).to(dtype)
            self.register_buffer(_PREFIX + name, tensor, persistent=False)

    def at_drives(self, name: str) -> bool:
        """Whether its credit to a population enters at the drives, without the factor f′."""
        return name in self.declared.hidden and not self.declared.network.gated

    @property
    def credited(self) -> tuple[str, ...]:
        """Populations that receive its credit."""
        return (*self.declared.hidden, self.declared.top)

    def terms(
        self, rates: Mapping[str, Tensor], goal: Tensor, error: Tensor, at: dict[str, Tensor]
    ) -> Tensor:
        """Terms whose gradient is minus its credit, at the rates or drives ``at``, and minus D's change."""
        total = injected(self.credits(rates, goal, error), at)
        for p, operator, reader in self._learning:
            with torch.no_grad():
                r = rates[p.post]
                name = p.name if reader is None else reader.name
                x = self._inputs(name, operator, r).to(self.dtype)
                d = self._weight(p.name)
                change = p.plasticity.change(d.detach(), self.sent[p.pre], x)
            total = total - (change * d).sum()
        return total

    @torch.no_grad()
    def credits(self, rates: Mapping[str, Tensor], goal: Tensor, error: Tensor) -> dict[str, Tensor]:
        """Credit c of every population that receives it, (presentation, unit); also updates `sent`.

        Parameters
        ----------
        rates : dict of str to Tensor
            Rates of every population, (presentation, …).
        goal, error : Tensor of shape (presentation, output)
            Target rates, and the objective's credit at the top.
        """
        teacher = self.declared
        seen = {name: rates[name].flatten(1).to(self.dtype) for name in (*teacher.hidden, teacher.top)}
        received = TopSignals(seen[teacher.top], goal.to(self.dtype), error.to(self.dtype))
        parameters = {n.removeprefix(_PREFIX): p for n, p in self.named_buffers(recurse=False)}
        placed = teacher.placed({name: self._weight(name) for name in self._names})
        hidden = [seen[name] for name in teacher.hidden]
        top, channels = teacher.network.credits(parameters, received, placed, hidden)
        names = (channels_of(name) for name in teacher.hidden)
        plastic = {p.pre for p, *_ in self._learning}
        self.sent = {name: g for name, g in zip(names, channels, strict=True) if name in plastic}
        below = zip(teacher.hidden, channels, placed, strict=True)
        return {teacher.top: top} | {name: g @ p.diffusion.T for name, g, p in below}

    @torch.no_grad()
    def settled(
        self,
        rates: Mapping[str, Tensor],
        goal: np.ndarray | None,
        error: Tensor | None,
        acting: ActingOnCredit,
    ) -> tuple[Values, Values, dict[str, np.ndarray]]:
        """Drives and rates of its populations in a phase of a protocol, and the credit that they send.

        Parameters
        ----------
        rates : dict of str to Tensor
            Rates of every population, (presentation, unit).
        goal : array of shape (presentation, output), optional
            Target rates; None while the top is not nudged.
        error : Tensor of shape (presentation, output), optional
            The objective's credit at the top.
        acting : ActingOnCredit

        Returns
        -------
        drives, rates, credits : dict of str to array
            Drives and rates by credit population; credits, D r, by the population that receives them.
        """
        teacher = self.declared
        parts = InParts(teacher, teacher.placed({n: self._weight(n).numpy(force=True) for n in self._names}))
        received = None
        if goal is not None and error is not None:
            received = TopSignals(rates[teacher.top].numpy(), goal, error.numpy())
        hidden = [rates[name].numpy() for name in teacher.hidden]
        drives, sent = settled_credit_network(parts, received, hidden, acting)
        top, *channels = parts.leaving
        below = zip(teacher.hidden, channels, parts.placed, strict=True)
        return drives, sent, {teacher.top: sent[top]} | {n: sent[g] @ p.diffusion.T for n, g, p in below}


def _read(teacher: Teacher) -> set[str]:
    """Names of the projections whose weights its equations read."""
    return {name for n in teacher.hidden for name in (f"{channels_of(n)}->{n}", addresses_of(n))}


_PREFIX = "credit "  # a parameter may have the name of a module's attribute
