"""Low-rank feedback: the top's credit passes through few numbers on its way to every population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import LowRank
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "low_rank_feedback")
@dataclass(frozen=True)
class LowRankFeedback:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = P Q c_L straight from the top, both random and fixed.

    References
    ----------
    Hanut & Kadmon (2025), arXiv 2502.20580. There the two factors learn, and credit goes down population
    by population; here nothing learns them, and it comes straight from the top.
    """

    arrival: ClassVar[Arrival] = Arrival.DIRECT
    accepts: ClassVar[tuple[type, ...]] = (LowRank,)


register_word("low_rank_feedback", Word(LowRankFeedback(), direct=lambda: TopDown(LowRank())))
