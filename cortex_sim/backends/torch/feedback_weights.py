"""The weights B of every top-down projection: kept, renewed from the bottom-up ones, or learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cortex_sim.backends.torch.inverse import (
    as_number,
    auxiliary_inverse,
    check_invertible,
    complement,
    gram_inverse,
    inverse_from_gram,
    sign_pattern,
)
from cortex_sim.feedback import Inverse, SignSymmetric, Transpose
from cortex_sim.network import Network
from cortex_sim.projection import Projection
from cortex_sim.regularisers import Orthogonality

if TYPE_CHECKING:
    from cortex_sim.backends.torch.model import Model

Weights = Mapping[str, Tensor] | nn.ParameterDict


class FeedbackWeights(nn.Module):
    """B by top-down projection, stored as (post, pre), beside a convolution in the kernel's shape.

    ``plastic`` are parameters that a rule changes, ``fixed`` are buffers. Of an inverse the buffer
    keeps the inverted Gram matrix (with auxiliary units, B itself), renewed from the weights;
    transposes and sign patterns are read off the weights when used.
    """

    def __init__(
        self, net: Network, drawn: Mapping[str, np.ndarray], weights: Weights, dtype: torch.dtype
    ) -> None:
        super().__init__()
        top_downs = [*net.top_downs, *net.credit_projections]
        self.projections = {p.name: p for p in top_downs}
        self._bottom_up = {p.name: p for p in net.bottom_ups}
        self.learned = nn.ParameterDict()
        self.auxiliary = nn.ParameterDict()
        self.fixed = nn.Module()
        self._seen: dict[str, int] = {}
        self._numbers: dict[str, tuple[int, float | None]] = {}
        for p in top_downs:
            if p.name in drawn:
                b = torch.as_tensor(drawn[p.name].copy()).to(dtype)
                if p.plasticity is not None:
                    self.learned[p.name] = nn.Parameter(b)
                else:
                    self.fixed.register_buffer(p.name, b)
            elif isinstance(p.feedback, Inverse) and p.connector.plastic:
                self._prepare_inverse(p, p.feedback, weights[p.mate].detach())

    def _prepare_inverse(self, p: Projection, inverse: Inverse, w: Tensor) -> None:
        check_invertible(w.flatten(1), inverse, str(inverse.of))
        flat = w.flatten(1)
        shape: tuple[int, ...] = (min(flat.shape),) * 2
        if inverse.auxiliary and flat.shape[0] < flat.shape[1]:
            learns = any(isinstance(r, Orthogonality) for r in self._bottom_up[p.mate].regularisers)
            self.auxiliary[p.mate] = nn.Parameter(complement(flat), requires_grad=learns)
            shape = tuple(flat.T.shape)
        self.fixed.register_buffer(p.name, torch.zeros(shape, dtype=w.dtype))

    @property
    def plastic(self) -> dict[str, Tensor]:
        """Top-down weights that a rule changes, by projection."""
        return dict(self.learned.items())

    def plastic_or_free(self, name: str) -> Tensor:
        """The tensor of free top-down weights."""
        return self.learned[name] if name in self.learned else self.fixed.get_buffer(name)

    def is_transpose(self, name: str) -> bool:
        """Whether autograd's own backward pass already carries this credit."""
        return isinstance(self.projections[name].feedback, Transpose)

    def reads_credit(self, name: str) -> bool:
        """Whether the projection's plasticity needs the credit that passes through it."""
        return getattr(self.projections[name].plasticity, "reads_credit", False)

    def stored(self, name: str, w: Tensor) -> Tensor:
        """B as stored, from the bottom-up weights ``w`` where it is read off them."""
        feedback = self.projections[name].feedback
        if isinstance(feedback, SignSymmetric):
            pattern = sign_pattern(w.detach())
            return pattern if w.dim() == 4 else pattern.T
        if isinstance(feedback, Transpose):
            return w.detach() if w.dim() == 4 else w.detach().T
        if isinstance(feedback, Inverse):
            b = self._inverse(name, w.detach().flatten(1))
            return b.T.reshape(w.shape) if w.dim() == 4 else b
        return self.plastic_or_free(name)

    def _inverse(self, name: str, w: Tensor) -> Tensor:
        """B (inputs, post) of an inverse, from what is kept of it and the present weights."""
        kept = self.fixed.get_buffer(name).to(w.dtype)
        if self.projections[name].mate in self.auxiliary:
            return kept
        return inverse_from_gram(w, kept)

    def kept_gram(self, name: str) -> Tensor | float | None:
        """M of `gram_inverse` where that is what is kept of this projection's weights; x where M = xI."""
        p = self.projections[name]
        if not isinstance(p.feedback, Inverse) or p.mate in self.auxiliary:
            return None
        kept = self.fixed.get_buffer(name)
        seen, number = self._numbers.get(name, (-1, None))
        if seen != kept._version:  # renewed, or read from a checkpoint
            number = as_number(kept)
            self._numbers[name] = kept._version, number
        return kept if number is None else number

    def matrix(self, name: str, dtype: torch.dtype) -> Tensor:
        """B of a dense top-down projection with no partner beside it, (post, pre)."""
        return self.plastic_or_free(name).to(dtype)

    @torch.no_grad()
    def renew(self, weights: Weights, steps_done: int) -> None:
        """Compute the inverses that are due after ``steps_done`` updates (all of them at 0)."""
        for name, p in self.projections.items():
            if not isinstance(p.feedback, Inverse) or not p.connector.plastic:
                continue
            if steps_done % p.feedback.refresh == 0:
                self._renew(name, p, p.feedback, weights[p.mate])

    @torch.no_grad()
    def renew_changed(self, weights: Weights) -> None:
        """Compute the inverses of weights that changed since they were last computed."""
        for name, p in self.projections.items():
            if isinstance(p.feedback, Inverse) and p.connector.plastic:
                versions = weights[p.mate]._version
                if self.auxiliary and p.mate in self.auxiliary:
                    versions += self.auxiliary[p.mate]._version
                if versions != self._seen.get(name):
                    self._renew(name, p, p.feedback, weights[p.mate])

    def _renew(self, name: str, p: Projection, inverse: Inverse, w: Tensor) -> None:
        flat = w.flatten(1)
        versions = w._version
        if p.mate in self.auxiliary:
            extra = self.auxiliary[p.mate]
            versions += extra._version
            kept = auxiliary_inverse(flat, extra, inverse.rescale, p.mate)
        else:
            kept = gram_inverse(flat, inverse, p.mate)
        self.fixed.get_buffer(name).copy_(kept)
        self._seen[name] = versions

    def terms(self, model: Model, presentations: int) -> Tensor | float:
        """−⟨ΔB, B⟩ of rules that learn from spontaneous activity; its gradient is minus the change.

        White activity ξ below and its echo y = Wξ above; beside a convolution, patch by patch.
        """
        total: Tensor | float = 0.0
        for name, b in self.learned.items():
            p = self.projections[name]
            if not getattr(p.plasticity, "spontaneous", False):
                continue
            w = model.weights[p.mate].detach().flatten(1)
            noise = torch.randn(
                presentations,
                w.shape[1],
                generator=model.noise(name),
                dtype=w.dtype,
                device=w.device,
            )
            matrix = b.detach().flatten(1).T if b.dim() == 4 else b.detach()
            change = p.plasticity.change(matrix, noise @ w.T, noise)
            total = total - ((change.T.reshape(b.shape) if b.dim() == 4 else change) * b).sum()
        return total
