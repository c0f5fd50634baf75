"""E-prop: traces that run forward in time meet credit that comes straight from the top, step by step."""

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
    """What a trace keeps from step to step: by the unit's leak, and by its synapse onto itself."""

    leak: bool
    autapse: bool


MEMORIES = {"leak": Memory(True, False), "unit": Memory(True, True), "none": Memory(False, False)}


@register("rule", "e_prop")
@dataclass(frozen=True)
class EProp:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = B c_L; over steps η⟨Σ_t c[t] ē[t]⟩, ē the trace of f′ r_pre.

    In a network that is unrolled in time, whose steps are a[t+1] = a[t] + p (Σ W r[t] − a[t]), p = dt/τ:

        ε_ij[t+1] = (1 − p_i) ε_ij[t] + p_i r_j[t],
        e_ij[t] = f′(a_i[t]) ε_ij[t],
        ē_ij[t+1] = (1 − p_L) ē_ij[t] + p_L e_ij[t],

    L the top population, whose leak is the readout's. Credit is c[t] = B c_L[t] with c_L[t] = −∂E/∂r_L[t] of
    that step alone; the top's own synapses have c_L e. No credit goes back through time, and of earlier steps
    nothing is kept but the traces.

    Parameters
    ----------
    memory : {"leak", "unit", "none"}, default "leak"
        What ε keeps. "leak": as above. "unit": also what returns through the unit's synapse onto itself,
        1 − p_i + p_i w_ii f′(a_i[t]) in place of 1 − p_i: all paths that stay within the unit. "none":
        p = 1 in both traces, so credit meets what the synapse did one step before and no earlier.

    Notes
    -----
    Departures: rate units, and the paper's spiking ones, for which f′ is a pseudo-derivative, only on brian2;
    B may diffuse; where a network settles, traces have reached f′ r_pre, and this is direct feedback
    alignment.

    Limits: what a synapse does to other units through recurrent projections is left out, so it is the
    gradient only where no path leads from unit to unit. Where steps are shorter than the top's τ a trace is
    kept for every synapse and presentation, and convolutions can have no such traces. Normalisers are
    refused.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y; of rate units, Murray (2019),
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
            raise DeclarationError(f"EProp: memory must be leak, unit or none. Got {self.memory!r}")

    @property
    def keeps(self) -> Memory:
        """What its traces keep."""
        return MEMORIES[self.memory]

    def pace(self, dt_ms: float, tau_ms: float) -> float:
        """P, the share of a trace that a step replaces, for a unit of time constant ``tau_ms``."""
        return dt_ms / tau_ms if self.keeps.leak else 1.0


def _says(equation: str, departures: str, limits: str, reference: str) -> str:
    """Docstring of a word whose traces are those of `EProp`."""
    notes = f"Departures: {departures}\n\nLimits: {limits}"
    return f"{equation}\n\nNotes\n-----\n{notes}\n\nReferences\n----------\n{reference}"


_LOCAL = "ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = "
_SYMMETRIC = _says(
    f"{_LOCAL}Wᵀ c_L, W the weights onto the top; over steps η⟨Σ_t c[t] ē[t]⟩, ē the trace of f′ r_pre.",
    "a population that does not project onto the top receives its credit through random weights.",
    "as of e_prop; and B follows W at once, which is weight transport.",
    "Bellec et al. (2020), doi:10.1038/s41467-020-17236-y.",
)
_DIFFUSED = _says(
    f"{_LOCAL}D P c_L, P random, D diffusion; over steps η⟨Σ_t c[t] ē[t]⟩, ē the trace of f′ r_pre.",
    "in the paper the signal diffuses in time too, and decays; here it has spread at once. Rate units in "
    "place of spiking ones.",
    "as of e_prop; and neighbours have nearly the same credit, of as many dimensions as places at most.",
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
