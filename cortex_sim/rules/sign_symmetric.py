"""Sign-symmetric feedback: top-down weights share signs with the bottom-up ones, not sizes."""

from __future__ import annotations

from cortex_sim.feedback import SignSymmetric
from cortex_sim.rules.base import TopDown, Word, register_word
from cortex_sim.rules.feedback_alignment import FeedbackAlignment

# c_pre = B u, B = sign(Wᵀ)·‖W‖_F/√(number of weights): Liao, Leibo & Poggio (2016), arXiv 1510.05067.
register_word("sign_symmetric", Word(FeedbackAlignment(), paired=lambda up: TopDown(SignSymmetric(of=up))))
