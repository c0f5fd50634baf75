"""Plastic diffusion: weights from credit channels to units change with the correlation of the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.checks import require_known, require_positive
from cortex_sim.credit.broadcast import ENERGIES
from cortex_sim.registry import register
from cortex_sim.rules.base import Array


@register("rule", "plastic_diffusion")
@dataclass(frozen=True)
class PlasticDiffusion:
    """ΔD = η κ⟨x gᵀ⟩ for D from the channels g of a credit network to a population.

    x is what the population's output synapses read: its rates, or, if a dense projection from it is declared
    with ``reads``, those transformed rates (of the first such projection in order of declaration). g is the
    credit that channels deliver: their rates times the strength of the nudge.

    Parameters
    ----------
    gain : float, default 1.0
        κ; positive.
    energy : {"rates", "credit"}, default "rates"
        For the optimiser "inner_step", whose step is normalised: by the energy of x, with the learning rate
        of the top, or by the energy of g, with the learning rate of hidden populations.

    Notes
    -----
    Departures: not a published rule. That credit diffuses is from the paper, of which only the abstracts
    were read.

    Limits: below the population that drives the top, credit is a broadcast of the top's credit, and does
    not follow the paths through which rates act.

    References
    ----------
    Ours, after arXiv 2208.01416. In a trained credit network: `cortex_sim.credit.BroadcastCredit`.
    """

    gain: float = 1.0
    energy: str = "rates"
    top_down: ClassVar[bool] = True
    growth: ClassVar[str] = "gain * r_post * u_pre"  # Δw/η of one synapse, in time
    reads_credit: ClassVar[bool] = True
    from_channels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive(self, gain=self.gain)
        require_known("energy of PlasticDiffusion", self.energy, ENERGIES)

    def change(self, w: Array, u_pre: Array, r_post: Array) -> Array:
        """ΔD/η as (unit, channel), from g (presentation, channel) and x (presentation, unit)."""
        change = r_post.T @ u_pre / u_pre.shape[0]
        return change if self.gain == 1 else self.gain * change
