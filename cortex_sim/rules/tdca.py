"""TDCA: a top-down credit assignment network tells every population its credit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.credit.feedback import Diffusion
from cortex_sim.feedback import Given
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, Word, register_word


@register("rule", "tdca")
@dataclass(frozen=True)
class Tdca:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = D g, g the channels of the network's teacher.

    What the credit network reads, and whether f′ has part in the credit of hidden units, is said by the
    credit network, ``net.teacher.network`` (equations in ``cortex_sim.credit.network``).

    References
    ----------
    arXiv 2208.01416: that such a network takes the place of loss and backpropagation, and spreads its
    credit by diffusion. Equations, inputs and sizes are ours.
    """

    arrival: ClassVar[Arrival] = Arrival.CREDIT
    accepts: ClassVar[tuple[type, ...]] = (Diffusion, Given)


register_word("tdca", Word(Tdca()))
