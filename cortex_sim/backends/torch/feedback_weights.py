"""The weights B of every top-down projection: constant, computed from the bottom-up ones, or learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cortex_sim.backends.torch import distributed, freshness
from cortex_sim.backends.torch.dividing import Work, carry_out
from cortex_sim.backends.torch.inverse import (
    as_number,
    auxiliary_inverse,
    check_invertible,
    complement,
    difference_to_transpose,
    gram_inverse,
    inverse_from_gram,
    lost_rank,
    sign_pattern,
    singular_together,
)
from cortex_sim.backends.torch.uncompiled import uncompiled
from cortex_sim.errors import RunError
from cortex_sim.feedback import Inverse, SignSymmetric, Transpose
from cortex_sim.network import Network
from cortex_sim.operators.grouping import by_group
from cortex_sim.projection import Projection
from cortex_sim.regularisers import Orthogonality

Weights = Mapping[str, Tensor] | nn.ParameterDict
Noise = Callable[[str], torch.Generator]  # of one projection, by name


class FeedbackWeights(nn.Module):
    """B by top-down projection, stored as (post, pre), or in the kernel's shape if paired with a convolution.

    ``plastic`` are parameters that a rule changes, ``fixed`` are buffers. The buffer of an inverse holds the
    inverted Gram matrix (with auxiliary units, B itself; or the transposed difference from Wᵀ, see
    `Inverse.keeps`), and is recomputed as the weights change. Transposes and sign patterns are computed from
    the weights when used.
    """

    def __init__(
        self,
        net: Network,
        drawn: Mapping[str, np.ndarray],
        weights: Weights,
        dtype: torch.dtype,
        present: Callable[[str, Tensor], Tensor],
    ) -> None:
        super().__init__()
        self._present = present  # makes the gradient of weights 0 where there is no synapse
        top_downs = [*net.top_downs, *net.credit_projections]
        self.projections = {p.name: p for p in top_downs}
        self.operators = {p.name: net.operator(p) for p in top_downs}
        self._bottom_up = {p.name: p for p in net.driving}
        self.learned = nn.ParameterDict()
        self.auxiliary = nn.ParameterDict()
        self.fixed = nn.Module()
        self._marks: dict[str, freshness.Mark] = {}
        self._numbers: dict[str, float | None] = {}
        self._unread: list[tuple[Tensor, str]] = []  # whether inverses failed, and what to say then
        self._deferring = False
        for p in top_downs:
            if p.name in drawn:
                b = torch.as_tensor(drawn[p.name].copy()).to(dtype)
                if p.plasticity is not None:
                    self.learned[p.name] = nn.Parameter(b)
                else:
                    self.fixed.register_buffer(p.name, b)
            elif isinstance(p.feedback, Inverse) and self.operators[p.name].weighted:
                self._prepare_inverse(p, p.feedback, weights[p.reverse_name].detach())

    def _prepare_inverse(self, p: Projection, inverse: Inverse, w: Tensor) -> None:
        flat = self._blocks(p.name, w)
        check_invertible(flat, inverse, str(inverse.of))
        shape: tuple[int, ...] = (*flat.shape[:-2], *(min(flat.shape[-2:]),) * 2)
        shape = tuple(flat.shape) if inverse.keeps == "difference" else shape
        if inverse.auxiliary and flat.shape[-2] < flat.shape[-1]:
            learns = any(isinstance(r, Orthogonality) for r in self._bottom_up[p.reverse_name].regularisers)
            self.auxiliary[p.reverse_name] = nn.Parameter(complement(flat), requires_grad=learns)
            shape = tuple(flat.mT.shape)
        self.fixed.register_buffer(p.name, torch.zeros(shape, dtype=w.dtype))

    def _blocks(self, name: str, w: Tensor) -> Tensor:
        """Bottom-up weights as the matrices to invert, ([group,] post, inputs)."""
        op = self.operators[name]
        blocks: Tensor = op.blocks(op.matrix(w))
        return blocks

    @property
    def plastic(self) -> dict[str, Tensor]:
        """Top-down weights that a rule changes, by projection."""
        return dict(self.learned.items())

    @property
    def free(self) -> dict[str, Tensor]:
        """Top-down weights that do not depend on others, by projection: learned, drawn or given."""
        fixed = {n: b for n, b in self.fixed.named_buffers() if n not in self.inverses}
        return dict(self.learned.items()) | fixed

    def plastic_or_free(self, name: str) -> Tensor:
        """The tensor of free top-down weights."""
        return self.learned[name] if name in self.learned else self.fixed.get_buffer(name)

    def is_transpose(self, name: str) -> bool:
        """Whether autograd's own backward pass already carries this credit."""
        return isinstance(self.projections[name].feedback, Transpose)

    def reads_credit(self, name: str) -> bool:
        """Whether the projection's plasticity needs the credit that passes through it."""
        return self.projections[name].rule.reads_credit

    def stored(self, name: str, w: Tensor) -> Tensor:
        """B as stored, or computed from the bottom-up weights ``w``."""
        feedback, op = self.projections[name].feedback, self.operators[name]
        match feedback:
            case SignSymmetric():
                b = op.matrix(sign_pattern(w.detach())).T
            case Transpose():
                b = op.matrix(w.detach()).T
            case Inverse():
                b = self._inverse(name, self._blocks(name, w.detach()))
            case _:
                return self._present(name, self.plastic_or_free(name))
        return op.as_feedback(b, tuple(w.shape) if op.feedback_like_weights else tuple(b.shape))

    def matrix(self, name: str, w: Tensor) -> Tensor:
        """B as rules see it, (input, channel): what carries credit down is its transpose."""
        b: Tensor = self.operators[name].feedback_matrix(self.stored(name, w))
        return b

    def _inverse(self, name: str, w: Tensor) -> Tensor:
        """B (inputs, post) of an inverse, of the present weights ([group,] post, inputs)."""
        b = self.fixed.get_buffer(name).to(w.dtype)
        if self.projections[name].reverse_name not in self.auxiliary:
            number = self.kept_gram(name) if b.ndim == 2 else None
            if isinstance(number, float):
                b = number * w.T
            else:
                b = (w + b).mT if self._keeps_difference(name) else inverse_from_gram(w, b)
        return b if b.ndim == 2 else b.mT.flatten(0, 1).T

    def kept_gram(self, name: str) -> Tensor | float | None:
        """M of `gram_inverse` if it is stored for this projection, or the number x if M = xI."""
        p = self.projections[name]
        if not isinstance(p.feedback, Inverse) or p.reverse_name in self.auxiliary:
            return None
        kept, apart = self.fixed.get_buffer(name), self._keeps_difference(name)
        if torch.compiler.is_compiling():  # a number would be part of the compiled code
            return None if apart else kept
        if name not in self._numbers:  # recomputed, or read from a checkpoint
            none_left = 1.0 if apart and not kept.any() else None
            self._numbers[name] = none_left if apart else as_number(kept)
        number = self._numbers[name]
        return number if apart or number is not None else kept

    def _keeps_difference(self, name: str) -> bool:
        feedback = self.projections[name].feedback
        return isinstance(feedback, Inverse) and feedback.keeps == "difference"

    @property
    def inverses(self) -> dict[str, Inverse]:
        """Stored inverses, by top-down projection."""
        return {
            name: p.feedback
            for name, p in self.projections.items()
            if isinstance(p.feedback, Inverse) and self.operators[name].weighted
        }

    def belongs_to(self, name: str, weights: Weights) -> list[Tensor]:
        """Tensors on which an inverse depends: weights, and auxiliary units if there are any."""
        reverse = self.projections[name].reverse_name
        extra = [self.auxiliary[reverse]] if reverse in self.auxiliary else []
        return [weights[reverse], *extra]

    @torch.no_grad()
    def renew(self, weights: Weights, steps_done: int, divided: bool = False) -> None:
        """Compute the inverses that are due after ``steps_done`` updates (all of them at 0).

        With ``divided`` each rank computes some and all receive them.
        """
        due = [(name, how) for name, how in self.inverses.items() if steps_done % how.refresh == 0]
        self._renew(due, weights, divided)

    @torch.no_grad()
    def renew_changed(self, weights: Weights, in_loop: bool) -> None:
        """Recompute the inverses whose weights have changed since they were computed."""
        for name, inverse in self.inverses.items():
            tensors = self.belongs_to(name, weights)
            mark = self._marks.get(name)
            if mark is None or not freshness.same(mark, tensors, in_loop):
                self._renew([(name, inverse)], weights)
                self._marks[name] = freshness.whole(tensors)

    @torch.no_grad()
    def mark(self, weights: Weights) -> None:
        """Accept the present inverses as those of the present weights, within a training loop."""
        for name in self.inverses:
            self._marks[name] = freshness.sampled(self.belongs_to(name, weights))

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Context in which nothing is read from the device; the caller must read what is `pending`."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def pending(self) -> Tensor:
        """Status of inverses computed since the last reading: 0 unless one failed."""
        place = next(iter(self.fixed.buffers()), torch.empty(0)).device
        none = torch.zeros(0, dtype=torch.int32, device=place)
        return torch.cat([none, *(failed.reshape(1) for failed, _ in self._unread)])

    def taken(self) -> list[str]:
        """Messages for the `pending` inverses, in case they failed; the caller must then check them."""
        said = [complaint for _, complaint in self._unread]
        self._unread.clear()
        return said

    def require(self, failed: Sequence[float], complaints: Sequence[str] | None = None) -> None:
        """Check the values of `pending` inverses after reading; ``complaints`` are what `taken` returned.

        Raises
        ------
        RunError
            If an inverse failed.
        """
        complaints = self.taken() if complaints is None else complaints
        said = [complaint for number, complaint in zip(failed, complaints, strict=True) if number]
        if said:
            raise RunError(said[0])

    def forget(self) -> None:
        """Forget from which weights inverses were computed, so that they are recomputed before use."""
        self._marks.clear()
        self._numbers.clear()

    def __getstate__(self) -> dict[str, Any]:
        """A copy checks again whether its feedback was computed from its weights."""
        return {**self.__dict__, "_marks": {}, "_numbers": {}, "_unread": []}

    def _renew(self, due: Sequence[tuple[str, Inverse]], weights: Weights, divided: bool = False) -> None:
        works = []
        for name, inverse in due:
            kept = self.fixed.get_buffer(name)
            failed = torch.zeros((), dtype=torch.int32, device=kept.device)
            reverse = self.projections[name].reverse_name
            do = partial(self._solve, name, inverse, weights, failed)
            works.append(Work(weights[reverse].numel() * kept.shape[-1], do, (kept, failed)))
            said = singular_together if reverse in self.auxiliary else lost_rank
            self._unread.append((failed, said(reverse)))
            self._numbers.pop(name, None)
            if inverse.solver != "iterative":  # else it may be a multiple of the identity
                self._numbers[name] = None
        carry_out(works, divided)
        if due and not self._deferring:
            self.require(self.pending().tolist())

    def _solve(self, name: str, inverse: Inverse, weights: Weights, failed: Tensor) -> None:
        w, *extra = self.belongs_to(name, weights)
        flat, reverse = self._blocks(name, w), self.projections[name].reverse_name
        if extra:
            solved = auxiliary_inverse(flat, extra[0], inverse.rescale)
        elif inverse.keeps == "difference":
            solved = difference_to_transpose(flat, inverse, reverse)
        else:
            solved = gram_inverse(flat, inverse, reverse)
        self.fixed.get_buffer(name).copy_(solved.kept)
        if isinstance(solved.failed, Tensor):
            failed.copy_(solved.failed)

    def terms(
        self,
        weights: Weights,
        generator: Noise,
        presentations: int,
        one: int | None = None,
        ranks: bool = False,
    ) -> Tensor | float:
        """−⟨ΔB, B⟩ of rules that learn from spontaneous activity; its gradient is minus the change.

        The activity is white noise ξ below and its echo y = Wξ above; in a convolution, patch by patch. With
        ``one``, only presentation number ``one`` is used; with ``ranks``, ``presentations`` is the number on
        this rank rather than in the batch.
        """
        total: Tensor | float = 0.0
        for name, b in self.learned.items():
            p = self.projections[name]
            if not p.rule.spontaneous:
                continue
            op = self.operators[name]
            w = self._blocks(name, weights[p.reverse_name].detach())
            draw = partial(_white, generator, name, w)
            noise = distributed.own(draw, presentations, dim=-2) if ranks else draw(presentations)
            noise = noise if one is None else noise[..., one : one + 1, :]
            change, _ = by_group(
                op,
                partial(_without_state, p.plasticity),
                op.feedback_matrix(b.detach()),
                {},
                {},
                down=True,
                r_pre=noise @ w.mT,
                r_post=noise,
            )
            total = total - (op.as_feedback(change, tuple(b.shape)) * self._present(name, b)).sum()
        return total


@uncompiled
def _white(noise: Noise, name: str, w: Tensor, presentations: int) -> Tensor:
    """White activity ([group,] presentation, inputs of w); a generator is not part of a compiled graph."""
    size = (*w.shape[:-2], presentations, w.shape[-1])
    return torch.randn(size, generator=noise(name), dtype=w.dtype, device=w.device)


def _without_state(
    rule: Any, w: Tensor, state: Mapping[str, Tensor], r_pre: Tensor, r_post: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    return rule.change(w, r_pre, r_post), {}
