"""Low-rank feedback: the top's credit passes through a few numbers on its way to every population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import LowRank
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "low_rank_feedback")
@dataclass(frozen=True)
class LowRankFeedback:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = P Q c_L directly from the top, P and Q random and fixed.

    Notes
    -----
    Departures: in the paper the two factors learn, and credit passes from population to population; here
    both are fixed, and credit comes directly from the top. This is a control, whose results say nothing
    about the paper's rule.

    Limits: errors that Q maps to zero change nothing below. Refused for a convolution onto the top.

    References
    ----------
    Hanut & Kadmon (2025), arXiv 2502.20580.
    """

    arrival: ClassVar[Arrival] = Arrival.DIRECT
    accepts: ClassVar[tuple[type, ...]] = (LowRank,)


register_word("low_rank_feedback", Word(LowRankFeedback(), direct=lambda: TopDown(LowRank())))
