"""Error diffusion: every unit receives one of the top's errors, chosen by its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import Modulo
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "error_diffusion")
@dataclass(frozen=True)
class ErrorDiffusion:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c_i = s_i c_L,k, k = i mod C, straight from the top's C units.

    References
    ----------
    Yamada et al. (2026), arXiv 2606.31700: modulo routing, there in networks of excitatory and inhibitory
    streams; after Kaneko's algorithm for one output, as told by Fujita (2025), arXiv 2504.14814. The
    routing is theirs; units of either sign, and s_i, are ours.
    """

    arrival: ClassVar[Arrival] = Arrival.DIRECT
    accepts: ClassVar[tuple[type, ...]] = (Modulo,)


register_word("error_diffusion", Word(ErrorDiffusion(), direct=lambda: TopDown(Modulo())))
