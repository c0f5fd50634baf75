"""Credit from a credit network: its parameters as tensors, and what it tells every population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cortex_sim.credit.context import Told
from cortex_sim.credit.declared import DeclaredCredit

if TYPE_CHECKING:
    from cortex_sim.backends.torch.feedback_weights import FeedbackWeights


class TaughtCredit(nn.Module):
    """A declared credit network on torch; its weights are those of the model's top-down projections.

    Parameters
    ----------
    declared : DeclaredCredit
    feedback : FeedbackWeights
        Where those weights are kept.
    dtype : torch.dtype
        Of what is no projection's weight: biases, and the small networks of the shared form.
    """

    def __init__(self, declared: DeclaredCredit, feedback: FeedbackWeights, dtype: torch.dtype) -> None:
        super().__init__()
        self.declared, self.dtype = declared, dtype
        self._weights = feedback.fixed.named_buffers  # not the module: its tensors belong to the feedback
        for name, value in declared.constants.items():
            self.register_buffer(name, torch.as_tensor(value.copy()).to(dtype))

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
        declared, weights = self.declared, dict(self._weights())
        seen = {name: rates[name].flatten(1).to(self.dtype) for name in (*declared.hidden, declared.top)}
        told = Told(seen[declared.top], goal.to(self.dtype), error.to(self.dtype))
        parameters = dict(self.named_buffers(recurse=False)) | declared.parameters(weights)
        placed = declared.placed(weights)
        top, channels = declared.network.credits(
            parameters, told, placed, [seen[name] for name in declared.hidden]
        )
        told_below = zip(declared.hidden, channels, placed, strict=True)
        return {declared.top: top} | {name: g @ p.diffusion.T for name, g, p in told_below}
