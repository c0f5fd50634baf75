"""Direct feedback alignment: the top's credit is broadcast to every population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import Given, Random
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "direct_feedback_alignment")
@dataclass(frozen=True)
class DirectFeedbackAlignment:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = B c_L directly from the top, B fixed and random.

    Notes
    -----
    Departures: none in the equation; B is normal with variance scale²/C for C top units, drawn once.

    Limits: a population's credit lies in the at most C dimensions that B's columns span, whatever the
    weights between it and the top.

    References
    ----------
    Nøkland (2016), arXiv 1609.01596, eq. 6.
    """

    arrival: ClassVar[Arrival] = Arrival.DIRECT
    accepts: ClassVar[tuple[type, ...]] = (Random, Given)


register_word("direct_feedback_alignment", Word(DirectFeedbackAlignment(), direct=lambda: TopDown(Random())))
