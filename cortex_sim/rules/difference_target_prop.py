"""Difference target propagation: targets through an inverse, with its reconstruction error subtracted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.arrays import Array
from cortex_sim.checks import require_positive
from cortex_sim.feedback import Given, Inverse, Random
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, Level, TopDown, Word, register_word
from cortex_sim.rules.inverse_learning import InverseLearning


@register("rule", "difference_target_prop")
@dataclass(frozen=True)
class DifferenceTargetProp:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = (t − r)/γ towards t_pre = r_pre + g(t) − g(r).

    At the top t_L = r_L + γ c_L; below, g(t) = B(f⁻¹(t) − b).

    The difference removes the reconstruction error: no credit above, no credit below.

    Parameters
    ----------
    gamma : float, default 0.1
        γ, the step of the target at the top.

    Notes
    -----
    Departures: the paper's inverse has its own nonlinearity and learns from noisy rates; ours is only the
    linear part, learned from white spontaneous activity.

    Limits: with nonlinear f it divides by f′ where backpropagation multiplies by it.

    References
    ----------
    Lee et al. (2015), arXiv 1412.7525, eq. 15.
    """

    gamma: float = 0.1
    arrival: ClassVar[Arrival] = Arrival.TARGETS
    accepts: ClassVar[tuple[type, ...]] = (Inverse, Given, Random)
    needs_float64: ClassVar[bool] = False
    chain_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_positive(self, gamma=self.gamma)

    def top_step(self) -> float:
        """π = γ everywhere."""
        return self.gamma

    def delivered(self, carry: Callable[[Array], Array], above: Level, r_below: Array) -> tuple[Array, Array]:
        """c_pre = B(f⁻¹(t) − f⁻¹(r))/γ, and π = γ."""
        f = above.activation
        return carry(f.drive(above.t) - f.drive(above.r)) / self.gamma, above.step


register_word(
    "difference_target_prop",
    Word(DifferenceTargetProp(), paired=lambda up: TopDown(Random(), InverseLearning(of=up))),
)
