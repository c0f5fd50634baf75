"""Error diffusion: every unit receives one of the top's errors, chosen by the unit's index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import Modulo
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@register("rule", "error_diffusion")
@dataclass(frozen=True)
class ErrorDiffusion:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c_i = s_i c_L,k, k = i mod C, directly from the top's C units.

    Notes
    -----
    Departures: the routing is the paper's. Weights of either sign, one stream of units and receptor signs
    s_i are ours; the paper's class-centred errors, sigmoid widths and initial weights are not implemented.
    Only the abstract was read, not the equations.

    Limits: refused for a convolution onto the top, which does not address single units.

    References
    ----------
    Yamada et al. (2026), arXiv 2606.31700: modulo routing, there in networks of excitatory and inhibitory
    streams; after Kaneko's algorithm for one output, as described by Fujita (2025), arXiv
    2504.14814.
    """

    arrival: ClassVar[Arrival] = Arrival.DIRECT
    accepts: ClassVar[tuple[type, ...]] = (Modulo,)


register_word("error_diffusion", Word(ErrorDiffusion(), direct=lambda: TopDown(Modulo())))
