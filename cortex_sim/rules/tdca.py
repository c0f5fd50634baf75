"""TDCA: a top-down credit assignment network tells every population its credit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from cortex_sim.checks import require_flag
from cortex_sim.credit.context import ErrorContext
from cortex_sim.credit.feedback import Diffusion
from cortex_sim.feedback import Given
from cortex_sim.registry import make, register
from cortex_sim.rules.base import Arrival, Word, register_word


@register("rule", "tdca")
@dataclass(frozen=True)
class Tdca:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = D g, g the channels of a credit network declared above.

    The credit network is part of the declaration: populations and top-down projections (equations in
    `cortex_sim.credit.network`). What these do not say stands here.

    Parameters
    ----------
    context : Context or str, default "error"
        What the credit network is told of the top: "error" or "raw".
    pooled : bool, default False
        Whether it also reads the mean hidden rate around each channel.
    gated : bool, default True
        Whether credit is multiplied by f′ at hidden units; at the top it always is.

    References
    ----------
    arXiv 2208.01416: that such a network takes the place of loss and backpropagation, and spreads its
    credit by diffusion. Equations, inputs and sizes are ours.
    """

    context: Any = field(default_factory=ErrorContext)
    pooled: bool = False
    gated: bool = True
    arrival: ClassVar[Arrival] = Arrival.CREDIT
    accepts: ClassVar[tuple[type, ...]] = (Diffusion, Given)

    def __post_init__(self) -> None:
        object.__setattr__(self, "context", make("context", self.context))
        require_flag(self, pooled=self.pooled, gated=self.gated)


register_word("tdca", Word(Tdca()))
