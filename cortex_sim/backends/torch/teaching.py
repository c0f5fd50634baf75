"""Credit from a credit network: its parameters as tensors, and the credit of every population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cortex_sim.credit.context import TopSignals
from cortex_sim.credit.in_parts import ActingOnCredit, InParts, Values, settled_credit_network
from cortex_sim.credit.teacher import Teacher

if TYPE_CHECKING:
    from cortex_sim.backends.torch.feedback_weights import FeedbackWeights


class TeacherCredit(nn.Module):
    """A teacher on torch: its equations, with its parameters as tensors.

    Parameters
    ----------
    declared : Teacher
        Part of the declaration, and so of every checkpoint; its tensors are not saved a second time.
    feedback : FeedbackWeights
        Holder of kernels and addresses.
    dtype : torch.dtype
        Type of its parameters.
    """

    def __init__(self, declared: Teacher, feedback: FeedbackWeights, dtype: torch.dtype) -> None:
        super().__init__()
        self.declared, self.dtype = declared, dtype
        self._weights = feedback.fixed.named_buffers  # not the module, which owns its tensors
        for name, value in declared.parameters.items():
            tensor = torch.as_tensor(value.copy()).to(dtype)
            self.register_buffer(_PREFIX + name, tensor, persistent=False)

    def at_drives(self, name: str) -> bool:
        """Whether it sends its credit to a population's drives, past f′."""
        return name in self.declared.hidden and not self.declared.network.gated

    @torch.no_grad()
    def credits(self, rates: Mapping[str, Tensor], goal: Tensor, error: Tensor) -> dict[str, Tensor]:
        """Credit c of every population that it teaches, (presentation, unit).

        Parameters
        ----------
        rates : dict of str to Tensor
            Of every population, (presentation, …).
        goal, error : Tensor of shape (presentation, output)
            Target rates, and the objective's credit at the top.
        """
        teacher = self.declared
        seen = {name: rates[name].flatten(1).to(self.dtype) for name in (*teacher.hidden, teacher.top)}
        received = TopSignals(seen[teacher.top], goal.to(self.dtype), error.to(self.dtype))
        parameters = {n.removeprefix(_PREFIX): p for n, p in self.named_buffers(recurse=False)}
        placed = teacher.placed(dict(self._weights()))
        hidden = [seen[name] for name in teacher.hidden]
        top, channels = teacher.network.credits(parameters, received, placed, hidden)
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
            Of every population, (presentation, unit).
        goal : array of shape (presentation, output), optional
            Target rates; None while the top is not nudged.
        error : Tensor of shape (presentation, output), optional
            The objective's credit at the top.
        acting : ActingOnCredit

        Returns
        -------
        drives, rates, credits : dict of str to array
            The first two by credit population, the last, D r, by population that receives it.
        """
        teacher = self.declared
        parts = InParts(teacher, teacher.placed({name: w.numpy() for name, w in self._weights()}))
        received = None
        if goal is not None and error is not None:
            received = TopSignals(rates[teacher.top].numpy(), goal, error.numpy())
        hidden = [rates[name].numpy() for name in teacher.hidden]
        drives, sent = settled_credit_network(parts, received, hidden, acting)
        top, *channels = parts.leaving
        below = zip(teacher.hidden, channels, parts.placed, strict=True)
        return drives, sent, {teacher.top: sent[top]} | {n: sent[g] @ p.diffusion.T for n, g, p in below}


_PREFIX = "credit "  # a parameter may have the name of a module's attribute
