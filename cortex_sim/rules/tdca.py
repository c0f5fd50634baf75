"""TDCA: a top-down credit assignment network sends every population its credit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.credit.feedback import Diffusion
from cortex_sim.feedback import Given
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, Word, register_word


@register("rule", "tdca")
@dataclass(frozen=True)
class Tdca:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = D g, g the channels of the network's teacher.

    What the credit network reads, and whether the credit of hidden units includes f′, is defined by the
    credit network, ``net.teacher.network`` (equations in ``cortex_sim.credit.network``).

    Notes
    -----
    Departures: only the abstracts of the paper were available. That a trained network replaces loss and
    backpropagation, and spreads credit by diffusion, is from them; equations, contexts, kernels, sizes and
    normalisation are ours.

    Limits: the credit network must be trained beforehand, in an outer loop. Its dense form fits only one
    number of outputs. The synapses engine of brian2 runs the dense form without pooling, and the broadcast,
    both with the shipped contexts only.

    References
    ----------
    arXiv 2208.01416, abstracts of 2022 and 2024.
    """

    arrival: ClassVar[Arrival] = Arrival.CREDIT
    accepts: ClassVar[tuple[type, ...]] = (Diffusion, Given)


register_word("tdca", Word(Tdca()))
