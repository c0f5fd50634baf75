"""Sign-symmetric feedback: top-down weights have the signs of bottom-up weights, not their sizes."""

from __future__ import annotations

from cortex_sim.feedback import SignSymmetric
from cortex_sim.rules.base import TopDown, Word, register_word
from cortex_sim.rules.feedback_alignment import FeedbackAlignment

DOCSTRING = """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), and below c_pre = B u,
    B = sign(Wᵀ)·‖W‖_F/√(number of weights).

    Notes
    -----
    Departures: the size of B, the root mean square of W, is ours.

    Limits: the angle to backpropagation grows with the number of projections on the path. How signs stay
    matched when a weight changes sign is not modelled: B follows at once.

    References
    ----------
    Liao, Leibo & Poggio (2016), arXiv 1510.05067.
    """

register_word(
    "sign_symmetric",
    Word(FeedbackAlignment(), paired=lambda up: TopDown(SignSymmetric(of=up)), docstring=DOCSTRING),
)
