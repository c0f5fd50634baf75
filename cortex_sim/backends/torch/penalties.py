"""Regularisers that act through the gradient: decay and the soft orthogonality penalties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cortex_sim.backends.torch.orthogonality import penalty_gradient
from cortex_sim.projection import Projection
from cortex_sim.regularisers import Decay, Orthogonality

if TYPE_CHECKING:
    from cortex_sim.backends.torch.model import Model


def terms(model: Model) -> Tensor | float:
    """⟨gradient, w⟩ of every regulariser: what its own gradient adds is the regulariser's."""
    total: Tensor | float = 0.0
    for p in model.net.projections.values():
        for w, gradient in gradients(model, p):
            total = total + (gradient * w).sum()
    return total


def gradients(model: Model, p: Projection) -> list[tuple[Tensor, Tensor]]:
    """Pairs (weights, gradient of the regularisers) of one projection; empty where there are none."""
    pairs = []
    for rule in p.regularisers:
        if isinstance(rule, Decay):
            w = model.feedback.learned[p.name] if p.is_top_down else model.weights[p.name]
            pairs.append((w, rule.rate * w.detach()))
        elif isinstance(rule, Orthogonality):
            pairs += _orthogonality(model, p, rule)
    return pairs


def _orthogonality(model: Model, p: Projection, rule: Orthogonality) -> list[tuple[Tensor, Tensor]]:
    w = model.weights[p.name]
    flat = w.detach().flatten(1)
    if p.name not in model.feedback.auxiliary:
        return [(w, penalty_gradient(flat, rule, model.noise(p.name)).reshape(w.shape))]
    extra = model.feedback.auxiliary[p.name]
    both = torch.cat([flat, extra.detach()])  # auxiliary units are rows of W̃ like any other
    gradient = penalty_gradient(both, rule, model.noise(p.name))
    return [(w, gradient[: len(flat)].reshape(w.shape)), (extra, gradient[len(flat) :])]
