"""Regularisers that act through the gradient: soft orthogonality penalties, and any with a ``change``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch.feedback_weights import FeedbackWeights
from cortex_sim.backends.torch.orthogonality import penalty_gradient
from cortex_sim.network import Network
from cortex_sim.operators import Operator
from cortex_sim.projection import Projection
from cortex_sim.regularisers import Decay, Orthogonality

Weights = Mapping[str, Tensor] | nn.ParameterDict
Noise = Callable[[str], torch.Generator]  # of one projection, by name


def terms(
    net: Network, weights: Weights, feedback: FeedbackWeights, noise: Noise, decay: bool = True
) -> Tensor | float:
    """⟨gradient, w⟩, summed over regularisers: its gradient is that of the regularisers.

    Without ``decay`` the declared weight decay is left out, since the optimiser then applies it itself.
    """
    total: Tensor | float = 0.0
    for p in net.projections.values():
        for w, gradient in gradients(p, net.operator(p), weights, feedback, noise, decay):
            total = total + (gradient * w).sum()
    return total


def gradients(
    p: Projection,
    op: Operator,
    weights: Weights,
    feedback: FeedbackWeights,
    noise: Noise,
    decay: bool = True,
) -> list[tuple[Tensor, Tensor]]:
    """Pairs (weights, gradient of the regularisers) of one projection; empty where there are none."""
    pairs = []
    for declared in p.acting:
        rule = declared.part
        if isinstance(rule, Decay) and not decay:
            continue
        if isinstance(rule, Orthogonality):
            extra = feedback.auxiliary.get(p.name)
            pairs += _orthogonality(weights[p.name], extra, op, rule, noise(p.name))
        elif declared.change is not None:
            w = feedback.learned[p.name] if p.is_top_down else weights[p.name]
            pairs.append((w, -_changed(declared.change, w.detach(), op, p.is_top_down)))
    return pairs


def _changed(change: Callable[[Tensor], Tensor], w: Tensor, op: Operator, down: bool) -> Tensor:
    """Δw/η of a regulariser with a ``change``, in the shape of the weights."""
    if down:
        return op.as_feedback(change(op.feedback_matrix(w)), tuple(w.shape))
    return change(op.matrix(w)).reshape(w.shape)


def _orthogonality(
    w: Tensor, extra: Tensor | None, op: Operator, rule: Orthogonality, noise: torch.Generator
) -> list[tuple[Tensor, Tensor]]:
    flat = op.blocks(op.matrix(w.detach()))
    if extra is None:
        return [(w, penalty_gradient(flat, rule, noise).reshape(w.shape))]
    both = torch.cat([flat, extra.detach()], dim=-2)  # auxiliary units are further rows of the square W̃
    gradient, real = penalty_gradient(both, rule, noise), flat.shape[-2]
    return [(w, gradient[..., :real, :].reshape(w.shape)), (extra, gradient[..., real:, :])]
