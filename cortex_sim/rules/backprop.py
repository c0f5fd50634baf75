"""Backpropagation: credit returns through the transposed weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import Transpose
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "backprop")
@dataclass(frozen=True)
class Backprop:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), and below c_pre = Wᵀ u.

    The yardstick for every other rule. It needs weight transport: each top-down synapse must know
    its bottom-up partner.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), Nature 323, doi:10.1038/323533a0.
    """

    arrival: ClassVar[Arrival] = Arrival.CHAIN
    accepts: ClassVar[tuple[type, ...]] = (Transpose,)


register_word("backprop", Word(Backprop(), paired=lambda up: TopDown(Transpose(of=up))))
