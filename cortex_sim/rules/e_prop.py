"""E-prop: eligibility traces, computed forward in time, times the credit of each step from the top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.credit.feedback import Diffused
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Given, LowRank, Modulo, Neuromodulator, Random, SignSymmetric, Transpose
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, TopDown, Word, register_word


@dataclass(frozen=True)
class Memory:
    """What a trace keeps from step to step: through the unit's leak, and through its autapse."""

    leak: bool
    autapse: bool


MEMORIES = {"leak": Memory(True, False), "unit": Memory(True, True), "none": Memory(False, False)}


@register("rule", "e_prop")
@dataclass(frozen=True)
class EProp:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = B c_L; over steps η⟨Σ_t c[t] ē[t]⟩, ē the trace of f′ r_pre.

    In a network unrolled in time, with steps a[t+1] = a[t] + p (Σ W r[t] − a[t]), p = dt/τ:

        ε_ij[t+1] = (1 − p_i) ε_ij[t] + p_i r_j[t],
        e_ij[t] = f′(a_i[t]) ε_ij[t],
        ē_ij[t+1] = (1 − p_L) ē_ij[t] + p_L e_ij[t],

    where L is the top population, whose leak is that of the readout. Credit is c[t] = B c_L[t] with
    c_L[t] = −∂E/∂r_L[t] of that step only; the top's own synapses learn from c_L e. No credit is propagated
    back through time, and nothing but the traces is kept of earlier steps.

    Parameters
    ----------
    memory : {"leak", "unit", "none"}, default "leak"
        What ε keeps. "leak": as above. "unit": also what returns through the unit's autapse, with
        1 − p_i + p_i w_ii f′(a_i[t]) in place of 1 − p_i: all paths that stay within the unit. "none":
        p = 1 in both traces, so credit acts only on the synapse's activity one step before.

    Notes
    -----
    Departures: rate units; spiking units as in the paper, with a pseudo-derivative as f′, only on brian2. B
    may diffuse. In a network that settles, traces have converged to f′ r_pre, and the rule is direct
    feedback alignment.

    Limits: the effect of a synapse on other units through recurrent projections is ignored, so the change
    is the gradient only if no path leads from unit to unit. If steps are shorter than the top's τ, a trace
    is kept for every synapse and presentation, and convolutions cannot have such traces. Normalisers are
    refused.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y; for rate units, Murray (2019),
    doi:10.7554/eLife.43299; memory "unit" is the one-step approximation of Menick et al. (2021), arXiv
    2006.07232.
    """

    memory: str = "leak"
    arrival: ClassVar[Arrival] = Arrival.DIRECT
    accepts: ClassVar[tuple[type, ...]] = (
        *(Random, Transpose, Diffused, SignSymmetric, Given),
        *(LowRank, Modulo, Neuromodulator),
    )
    keeps_traces: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.memory not in tuple(MEMORIES):
            raise DeclarationError(f'EProp: memory must be "leak", "unit" or "none". Got {self.memory!r}')

    @property
    def keeps(self) -> Memory:
        """What its traces keep."""
        return MEMORIES[self.memory]

    def pace(self, dt_ms: float, tau_ms: float) -> float:
        """Share p of a trace that a step replaces, for a unit with time constant ``tau_ms``."""
        return dt_ms / tau_ms if self.keeps.leak else 1.0


def _says(equation: str, departures: str, limits: str, reference: str) -> str:
    """Docstring of a word whose traces are those of `EProp`."""
    notes = f"Departures: {departures}\n\nLimits: {limits}"
    return f"{equation}\n\nNotes\n-----\n{notes}\n\nReferences\n----------\n{reference}"


_LOCAL = "ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = "
_SYMMETRIC = _says(
    f"{_LOCAL}Wᵀ c_L, W the weights onto the top; over steps η⟨Σ_t c[t] ē[t]⟩, ē the trace of f′ r_pre.",
    "a population that does not project onto the top receives its credit through random weights.",
    "those of e_prop; and B follows W at once, which is weight transport.",
    "Bellec et al. (2020), doi:10.1038/s41467-020-17236-y.",
)
_DIFFUSED = _says(
    f"{_LOCAL}D P c_L, P random, D diffusion; over steps η⟨Σ_t c[t] ē[t]⟩, ē the trace of f′ r_pre.",
    "in the paper the signal also diffuses and decays in time; here it spreads at once. Rate units in "
    "place of spiking ones.",
    "those of e_prop; and neighbours have nearly the same credit, with at most as many dimensions as places.",
    "Barretto-Bittar et al. (2026), arXiv 2603.08949.",
)

register_word("e_prop", Word(EProp(), direct=lambda: TopDown(Random())))
register_word(
    "e_prop_symmetric",
    Word(
        EProp(),
        direct=lambda: TopDown(Random()),
        onto_top=lambda up: TopDown(Transpose(of=up)),
        docstring=_SYMMETRIC,
    ),
)
register_word("e_prop_diffused", Word(EProp(), direct=lambda: TopDown(Diffused()), docstring=_DIFFUSED))
