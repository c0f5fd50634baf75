"""Credit networks with plastic weights, as declarations.

The layered form becomes plastic top-down projections paired with the bottom-up ones; the broadcast becomes a
teacher whose channels reach every population by plastic weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cortex_sim.credit.broadcast import BroadcastCredit
from cortex_sim.credit.layered import SHARES, LayeredCredit, share_of
from cortex_sim.credit.saving import TrainedCredit
from cortex_sim.feedback import Feedback, Mirrored, Random
from cortex_sim.presynaptic.decorrelated import Decorrelated
from cortex_sim.registry import make
from cortex_sim.regularisers import Decay
from cortex_sim.rules.base import TopDown, Word
from cortex_sim.rules.feedback_alignment import FeedbackAlignment
from cortex_sim.rules.kolen_pollack import KolenPollack
from cortex_sim.rules.plastic_diffusion import PlasticDiffusion
from cortex_sim.rules.tdca import Tdca


def declared_word(trained: TrainedCredit) -> Word | None:
    """How ``with_rule("tdca", credit=trained)`` puts a network under a credit network with plastic weights.

    W ← (1 − λ_W) W + Δ and B ← (1 − λ_B) B + κ Δᵀ (`cortex_sim.credit.layered`) are the Kolen–Pollack rule
    with a gain and two separate decays; D of a broadcast (`cortex_sim.credit.broadcast`) learns by
    `PlasticDiffusion`; synapses read rates through `Decorrelated` with the trained shares. Returns None for
    credit networks whose weights change only in the outer loop.
    """
    form = trained.network
    if isinstance(form, BroadcastCredit):
        return _broadcast(form, trained)
    if not isinstance(form, LayeredCredit):
        return None
    values = form.values(trained.parameters)

    def paired(up: str) -> TopDown:
        initial = Mirrored(up, form.mirror, values.scale) if form.mirror else Random(values.scale)
        rule = KolenPollack(up, gain=values.gain, forgetting="own")
        return TopDown(initial, rule, (Decay(values.decay_down),))

    up = (Decay(values.decay_up),)
    return Word(FeedbackAlignment(), paired=paired, adds=up, reads=trained_reads(trained))


def _broadcast(form: BroadcastCredit, trained: TrainedCredit) -> Word:
    values = form.values(trained.parameters)

    def diffusing(kernel: Feedback) -> TopDown:
        drawn: Any = replace(kernel, scale=values.scale)  # type: ignore[type-var]
        rule = PlasticDiffusion(values.gain, form.energy)
        return TopDown(drawn, rule, (Decay(values.decay_down),))

    up = (Decay(values.decay_up),)
    return Word(Tdca(), diffusing=diffusing, adds=up, reads=trained_reads(trained))


def trained_reads(trained: TrainedCredit) -> Any:
    """How synapses read rates in the inner runs that trained a credit network, with the trained shares.

    A share that was declared as 0 or 1 was not trained and is kept. None if synapses read plain rates.
    """
    logits = {**trained.provenance("shares"), **{n: p for n, p in trained.parameters.items() if n in SHARES}}
    declared = trained.provenance("settings", "model_settings").get("reads")
    if declared is None and not logits:
        return None
    read = Decorrelated(0.5, 0.5) if declared is None else make("reads", declared)
    inside = {name: share_of(p) for name, p in logits.items() if 0 < getattr(read, name) < 1}
    return replace(read, **inside)
