"""The layered credit network as a declared one: plastic top-down projections beside the bottom-up ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cortex_sim.credit.broadcast import BroadcastCredit
from cortex_sim.credit.layered import SHARES, LayeredCredit, share_of
from cortex_sim.credit.saving import TrainedCredit
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Mirrored, Random
from cortex_sim.presynaptic.decorrelated import Decorrelated
from cortex_sim.registry import make
from cortex_sim.regularisers import Decay
from cortex_sim.rules.base import TopDown, Word
from cortex_sim.rules.feedback_alignment import FeedbackAlignment
from cortex_sim.rules.kolen_pollack import KolenPollack


def declared_word(trained: TrainedCredit) -> Word | None:
    """How ``with_rule("tdca", credit=trained)`` puts a network under a layered credit network.

    W ← (1 − λ_W) W + Δ and B ← (1 − λ_B) B + κ Δᵀ (`cortex_sim.credit.layered`) are Kolen–Pollack's rule with
    a gain and with decays of its own; what synapses read is `Decorrelated` with the trained shares. None for
    credit networks of other forms, which a teacher holds.

    Raises
    ------
    DeclarationError
        Of a broadcast with plastic diffusion, which has no declared form yet.
    """
    form = trained.network
    if isinstance(form, BroadcastCredit):
        raise DeclarationError(
            "credit network: a broadcast with plastic diffusion is known to inner runs of cortex-sim evolve "
            "alone, not to declared networks; use a layered, dense or shared one"
        )
    if not isinstance(form, LayeredCredit):
        return None
    values = form.values(trained.parameters)

    def paired(up: str) -> TopDown:
        initial = Mirrored(up, form.mirror, values.scale) if form.mirror else Random(values.scale)
        rule = KolenPollack(up, gain=values.gain, forgetting="own")
        return TopDown(initial, rule, (Decay(values.decay_down),))

    up = (Decay(values.decay_up),)
    return Word(FeedbackAlignment(), paired=paired, adds=up, reads=trained_reads(trained))


def trained_reads(trained: TrainedCredit) -> Any:
    """What synapses read in the inner runs that trained a credit network, with the trained shares.

    A share that was declared as 0 or 1 was not trained, and stays so. None where synapses read rates.
    """
    logits = {**trained.provenance("shares"), **{n: p for n, p in trained.parameters.items() if n in SHARES}}
    declared = trained.provenance("settings", "model_settings").get("reads")
    if declared is None and not logits:
        return None
    read = Decorrelated(0.5, 0.5) if declared is None else make("reads", declared)
    inside = {name: share_of(p) for name, p in logits.items() if 0 < getattr(read, name) < 1}
    return replace(read, **inside)
