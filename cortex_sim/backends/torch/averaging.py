"""Exponential moving average of a model's weights, for evaluation only."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cortex_sim.backends.torch import weights
from cortex_sim.backends.torch.core import Core
from cortex_sim.state import State

_SLOW = "populations."  # prefix of the buffers that forward passes read, such as running statistics


class Average:
    """w̄ ← d w̄ + (1 − d) w after each update, d = min(decay, (1 + t)/(10 + t)) at update t.

    All parameters that learn are averaged, top-down ones too, and the slow state of populations. Feedback
    that is computed from weights, and the state of rules, are not.

    Parameters
    ----------
    model : Core
        The model in training.
    decay : float
        d, between 0 and 1.
    """

    def __init__(self, model: Core, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model)
        self.model.eval().requires_grad_(False)
        learn = {name: p for name, p in model.named_parameters() if p.requires_grad}
        slow = {n: b for n, b in model.named_buffers() if n.startswith(_SLOW) and b.is_floating_point()}
        self._names = [*learn, *slow]
        self._theirs = [*learn.values(), *slow.values()]
        held = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        self._ours = [held[name] for name in self._names]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Move towards the present weights, which are those after ``updates`` updates."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        get_ema_multi_avg_fn(decay)(self._ours, self._theirs, None)

    def tensors(self) -> dict[str, Tensor]:
        """The averages by the names of the model's parameters and buffers."""
        return dict(zip(self._names, self._ours, strict=True))

    @torch.no_grad()
    def load(self, given: Mapping[str, Tensor]) -> None:
        """Continue from averages that `tensors` returned."""
        for name, ours in self.tensors().items():
            ours.copy_(given[name])

    def state(self, model: Core) -> State:
        """The state of the model in training, with the averages in place of its weights."""
        mean, present = weights.state(self.model), weights.state(model)
        return replace(
            present,
            weights=mean.weights,
            biases=mean.biases,
            feedback=mean.feedback,
            auxiliary=mean.auxiliary,
            transfers=mean.transfers,
            normalisers=mean.normalisers,
        )
