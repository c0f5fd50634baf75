"""A model as a feature extractor: a module that returns rates of named populations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from cortex_sim.backends.torch.core import Core
from cortex_sim.checks import require_known, short
from cortex_sim.errors import RunError


class Features(nn.Module):
    """Rates of named populations, in plain autograd's graph, for use within plain torch code.

    ``features(x)`` maps names to rates (presentation, *shape), with a second axis, step, if the network is
    unrolled. Gradients are those of autograd, whatever rules are declared. The model is not copied: its
    weights are ``features.parameters()``, and ``features.requires_grad_(False)`` freezes them. As in any
    module, normalisers and dropout act as in training until ``features.eval()``.

    Parameters
    ----------
    model : Model
    populations : sequence of str
        Names, such as ``["V1", "IT"]``.

    Raises
    ------
    RunError
        If ``model`` is not a model, or a population is unknown.

    Examples
    --------
    >>> import torch
    >>> import cortex_sim as cs
    >>> model = cs.torch.build(cs.model("digits_mlp", hidden=11))
    >>> features = cs.torch.Features(model, ["V1"])
    >>> readout = torch.nn.Linear(11, 3)
    >>> tuple(readout(features(torch.zeros(5, 64))["V1"]).shape)
    (5, 3)
    """

    def __init__(self, model: Core, populations: Sequence[str]) -> None:
        super().__init__()
        if not isinstance(model, Core):
            raise RunError(f"Features: give a model, such as cs.torch.load(RUN). Got {short(model)}")
        if isinstance(populations, str) or not populations:
            raise RunError(f'Features: give a list of populations, such as ["V1"]. Got {populations!r}')
        for name in populations:
            require_known(f"population of {model.net.name}", name, model.net.populations, RunError)
        self.model, self.names = model, tuple(populations)

    def forward(self, x: Any) -> dict[str, Tensor]:
        """Rates by population, from stimuli (presentation, *shape)."""
        _, rates = self.model.settle(self.model.presentations(x, look=False), credit=False)
        return {name: rates[name] for name in self.names}

    def extra_repr(self) -> str:
        """The populations."""
        return ", ".join(self.names)
