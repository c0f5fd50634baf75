"""Unsupervised rules, bottom-up and lateral: Δw/η from the rates on both sides, and their state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch import distributed
from cortex_sim.errors import BuildError
from cortex_sim.network import Network
from cortex_sim.operators import Operator
from cortex_sim.operators.grouping import by_group
from cortex_sim.projection import Projection
from cortex_sim.rules.base import Global, PerPost, PerPre, PerSynapse

Weights = Mapping[str, Tensor] | nn.ParameterDict
#: New state of a rule, from projection, kind, new and old values; unchanged where there is no synapse.
Kept = Callable[[str, Any, Tensor, Tensor], Tensor]
#: What synapses read, from projection and inputs ([group,] presentation · place, input).
Read = Callable[[str, Tensor], Tensor]


class LocalRules(nn.Module):
    """The state of every unsupervised rule (in buffers, so that checkpoints include it), and its change."""

    def __init__(self, net: Network, weights: dict[str, Tensor], kept: Kept, read: Read) -> None:
        super().__init__()
        self._kept, self._read = kept, read
        self.projections = [
            (p, net.operator(p)) for p in net.of_rates if p.plasticity is not None and not p.rule.supervised
        ]
        self.state = nn.ModuleDict()
        for p, op in self.projections:
            variables = p.rule.state
            if not variables:
                continue
            w = weights[p.name]
            self.state[p.name] = nn.Module()
            for variable, kind in variables.items():
                values = torch.full(_shape(kind, op.matrix(w), p.name), float(kind.initial), dtype=w.dtype)
                self.state[p.name].register_buffer(variable, values)

    def of(self, name: str) -> dict[str, Tensor]:
        """State of a projection's rule, by variable."""
        return dict(self.state[name].named_buffers()) if name in self.state else {}

    def terms(self, weights: Weights, rates: dict[str, Tensor], learning: bool) -> Tensor | float:
        """−⟨Δw/η, w⟩: its gradient is minus the change; ``learning`` advances the state."""
        total: Tensor | float = 0.0
        for p, op in self.projections:
            w = weights[p.name]
            pre = self._read(p.name, op.patches(rates[p.pre].detach().flatten(1))).to(w.dtype)
            post = op.by_place(rates[p.post].detach().flatten(1)).to(w.dtype)
            matrix = op.matrix(w.detach())
            change, new = self._change(p, op, matrix, pre, post)
            if learning and new:
                if distributed.place()[1] > 1:  # the state depends on the presentations of all ranks
                    shown = distributed.gathered(pre, -2), distributed.gathered(post, -2)
                    new = self._change(p, op, matrix, *shown)[1]
                for variable, buffer in self.of(p.name).items():
                    buffer.copy_(self._kept(p.name, p.rule.state[variable], new[variable], buffer))
            total = total - op.places * (change.reshape(w.shape) * w).sum()
        return total

    def _change(
        self, p: Projection, op: Operator, w: Tensor, r_pre: Tensor, r_post: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        state = {
            variable: _before(kept) for variable, kept in self.of(p.name).items()
        }  # the rule may return a view of it

        def change(
            w: Tensor, state: Mapping[str, Tensor], r_pre: Tensor, r_post: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            rule: Any = p.plasticity
            return rule.change(w, r_pre, r_post, state) if state else (rule.change(w, r_pre, r_post), {})

        return by_group(op, change, w, state, p.rule.state, r_pre=r_pre, r_post=r_post)


# A custom operation: torch.compile may recompute a clone in the backward pass, from the buffer, which by then
# holds the next state.
@torch.library.custom_op("cortex_sim::before", mutates_args=())
def _before(state: Tensor) -> Tensor:
    """The state before this update: a copy that is made once."""
    return state.clone()


@_before.register_fake
def _(state: Tensor) -> Tensor:
    return torch.empty_like(state)


def _shape(kind: Any, matrix: Tensor, name: str) -> tuple[int, ...]:
    match kind:
        case PerPost():
            return (matrix.shape[0],)
        case PerPre():
            return (matrix.shape[1],)
        case PerSynapse():
            return tuple(matrix.shape)
        case Global():
            return ()
        case _:
            raise BuildError(
                f"projection {name}: each state variable of its rule must be PerPost, PerPre, PerSynapse or "
                f"Global. Got {kind!r}"
            )
