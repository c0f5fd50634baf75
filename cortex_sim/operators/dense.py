"""Dense projections: one place, which reads every pre unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cortex_sim.connectors import Matrix, Shape
from cortex_sim.operators.base import Operator, operator_of


@dataclass(frozen=True)
class DenseOperator(Operator):
    """W of shape (post unit, pre unit)."""

    synapses = "all"
    shares_weights = False
    feedback_like_weights = False
    takes_gram = True

    @property
    def adds_bias(self) -> bool:  # type: ignore[override]
        """Whether there is one bias per unit, which torch's product can add, rather than one per channel."""
        return len(self.post) == 1

    def drive(self, r: Any, w: Any, bias: Any) -> Any:
        """W r + b, one fused product."""
        from torch.nn.functional import linear

        return linear(r.flatten(1), w, bias)

    def drive_with_feedback(self, r: Any, w: Any, bias: Any, b: Any, rule: Any) -> Any:
        """The same, with B u in the backward pass."""
        from cortex_sim.operators.autograd import DenseWithFeedback

        return DenseWithFeedback.apply(r.flatten(1), w, bias, b, rule)

    def drive_with_gram(self, r: Any, w: Any, bias: Any, m: Any) -> Any:
        """The same, with WᵀM u or MWᵀ u in the backward pass."""
        from cortex_sim.operators.autograd import DenseWithInverse

        return DenseWithInverse.apply(r.flatten(1), w, bias, m)


@operator_of.register(Matrix)
def _(connector: Matrix, pre: Shape, post: Shape) -> DenseOperator:
    return DenseOperator(pre, post)
