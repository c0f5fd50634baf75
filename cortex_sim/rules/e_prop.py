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
    """ΔW_ij = η⟨Σ_t c_i[t] ē_ij[t]⟩: what each synapse did lately, times the credit of its unit now.

    In a network that is unrolled in time, of steps a[t+1] = a[t] + p (Σ W r[t] − a[t]), r = f(a), p = dt/τ:

        ε_ij[t+1] = (1 − p_i) ε_ij[t] + p_i r_j[t],
        e_ij[t] = f′(a_i[t]) ε_ij[t],
        ē_ij[t+1] = (1 − p_L) ē_ij[t] + p_L e_ij[t],

    L the top population, whose leak is the readout's. Credit is c[t] = B c_L[t] with c_L[t] = −∂E/∂r_L[t] of
    that step alone; the top's own synapses have c_L e. No credit goes back through time, and nothing is kept
    of earlier steps but the traces. In a network that settles, traces have reached e = f′ r_j, and this is
    direct feedback alignment.

    Parameters
    ----------
    memory : {"leak", "unit", "none"}, default "leak"
        What ε keeps. "leak": as above. "unit": also what returns through the unit's synapse onto itself,
        1 − p_i + p_i w_ii f′(a_i[t]) in place of 1 − p_i: all paths that stay within the unit. "none":
        p = 1 in both traces, so credit meets what the synapse did one step before and no earlier.

    References
    ----------
    Bellec et al. (2020), Nat. Commun. 11, doi:10.1038/s41467-020-17236-y, eq. 1 and 5, for rate units as in
    Murray (2019), eLife 8, doi:10.7554/eLife.43299; "unit" is the one-step sparse approximation of Menick et
    al. (2021), arXiv 2006.07232, where every unit has a synapse onto itself.
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


register_word("e_prop", Word(EProp(), direct=lambda: TopDown(Random())))
register_word(
    "e_prop_symmetric",
    Word(EProp(), direct=lambda: TopDown(Random()), onto_top=lambda up: TopDown(Transpose(of=up))),
)
register_word("e_prop_diffused", Word(EProp(), direct=lambda: TopDown(Diffused())))
