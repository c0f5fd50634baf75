"""Feedback alignment: credit comes down through fixed random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import Given, Mirrored, Random, SignSymmetric
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "feedback_alignment")
@dataclass(frozen=True)
class FeedbackAlignment:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), and below c_pre = B u with B of its own.

    B is fixed and random here; sign-symmetric, or plastic (`KolenPollack`, `WeightMirror`), it is
    the rule of those names: the bottom-up synapse does not know the difference.

    Notes
    -----
    Departures: the size of B, scale/√(sending units), is ours.

    Limits: below the top the change starts at a large angle to backpropagation's. B of scale 1 is larger
    than Wᵀ where few units send to many, so plain gradient steps need a lower rate there.

    References
    ----------
    Lillicrap et al. (2016), Nat. Commun. 7, doi:10.1038/ncomms13276, eq. 4.
    """

    arrival: ClassVar[Arrival] = Arrival.CHAIN
    accepts: ClassVar[tuple[type, ...]] = (Random, Given, Mirrored, SignSymmetric)


register_word("feedback_alignment", Word(FeedbackAlignment(), paired=lambda up: TopDown(Random())))
