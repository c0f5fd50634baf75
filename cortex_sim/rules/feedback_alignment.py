"""Feedback alignment: credit is sent down through fixed random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import Given, Mirrored, Random, SignSymmetric
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "feedback_alignment")
@dataclass(frozen=True)
class FeedbackAlignment:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), and below c_pre = B u with B independent of W.

    Here B is fixed and random. With sign-symmetric or plastic B (`KolenPollack`, `WeightMirror`) it becomes
    the rule of that name; the bottom-up synapses learn in the same way.

    Notes
    -----
    Departures: the size of B, scale/√(sending units), is ours.

    Limits: below the top the change initially has a large angle to backpropagation's. B of scale 1 is
    larger than Wᵀ where few units send to many, so plain gradient steps need a lower learning rate there.

    References
    ----------
    Lillicrap et al. (2016), Nat. Commun. 7, doi:10.1038/ncomms13276, eq. 4.
    """

    arrival: ClassVar[Arrival] = Arrival.CHAIN
    accepts: ClassVar[tuple[type, ...]] = (Random, Given, Mirrored, SignSymmetric)


register_word("feedback_alignment", Word(FeedbackAlignment(), paired=lambda up: TopDown(Random())))
