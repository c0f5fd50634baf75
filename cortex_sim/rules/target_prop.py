"""Target propagation: each population receives the rate it should have had, through an inverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.arrays import Array
from cortex_sim.checks import require_positive
from cortex_sim.feedback import Given, Inverse, Random
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, Level, TopDown, Word, register_word


@register("rule", "target_prop")
@dataclass(frozen=True)
class TargetProp:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), with c = (t − r)/γ towards t_pre = B(f⁻¹(t) − b).

    At the top t_L = r_L + γ c_L; below, t is the target of the population above.

    The credit also contains the reconstruction error g(r) − r_pre, with g(t) = B(f⁻¹(t) − b): with an
    imperfect inverse weights below change although the top's target equals its rate. The rule works only in
    chains of dense projections, since g inverts the whole drive of a population.

    Parameters
    ----------
    gamma : float, default 0.1
        γ, the step of the target at the top.

    Notes
    -----
    Departures: the papers learn the inverse; here it is computed, with damping, to separate the properties
    of the rule from those of inverse learning.

    Limits: chains of dense projections only. With fewer units than inputs, or with damping, weights also
    follow the reconstruction error.

    References
    ----------
    Bengio (2014), arXiv 1407.7906; Lee et al. (2015), arXiv 1412.7525, eq. 8.
    """

    gamma: float = 0.1
    arrival: ClassVar[Arrival] = Arrival.TARGETS
    accepts: ClassVar[tuple[type, ...]] = (Inverse, Given, Random)
    needs_float64: ClassVar[bool] = False
    chain_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive(self, gamma=self.gamma)

    def top_step(self) -> float:
        """π = γ everywhere."""
        return self.gamma

    def delivered(self, carry: Callable[[Array], Array], above: Level, r_below: Array) -> tuple[Array, Array]:
        """c_pre = (g(t) − r_pre)/γ, and π = γ."""
        target = carry(above.activation.drive(above.t) - above.bias)
        return (target - r_below) / self.gamma, above.step


register_word("target_prop", Word(TargetProp(), paired=lambda up: TopDown(Inverse(of=up))))
