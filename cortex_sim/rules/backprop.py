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

    The reference for every other rule.

    Notes
    -----
    Departures: none; the update is the negative gradient, averaged over presentations.

    Limits: weight transport: each top-down synapse has the strength of its bottom-up partner. Weights
    upstream of lateral or gain projections learn from only part of the gradient, under every rule.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), Nature 323, doi:10.1038/323533a0.
    """

    arrival: ClassVar[Arrival] = Arrival.CHAIN
    accepts: ClassVar[tuple[type, ...]] = (Transpose,)


register_word("backprop", Word(Backprop(), paired=lambda up: TopDown(Transpose(of=up))))
