"""Global neuromodulator: one number, the same for every unit of every population, is the only credit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import Neuromodulator
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "global_neuromodulator")
@dataclass(frozen=True)
class GlobalNeuromodulator:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c_i = s_i m, m = wᵀ c_L one number for the whole network.

    Notes
    -----
    Departures: not a published rule, but a control: the limit of a single channel.

    Limits: m is not a reward: it is a weighted sum of errors of either sign, and can be 0 although errors
    are large. Refused for a convolution onto the top.

    References
    ----------
    Ours.
    """

    arrival: ClassVar[Arrival] = Arrival.DIRECT
    accepts: ClassVar[tuple[type, ...]] = (Neuromodulator,)


register_word("global_neuromodulator", Word(GlobalNeuromodulator(), direct=lambda: TopDown(Neuromodulator())))
