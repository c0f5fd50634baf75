"""GAIT-prop: targets a small step away from the rates, sent down through inverses.

It equals backpropagation if weights are orthogonal (arXiv 2006.06438, 2102.11598).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_flag, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Given, Inverse, Random
from cortex_sim.registry import register
from cortex_sim.rules.base import Arrival, Level, TopDown, Word, register_word
from cortex_sim.rules.inverse_learning import InverseLearning


@register("rule", "gait_prop")
@dataclass(frozen=True)
class GaitProp:
    """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), and below c_pre = W⁺ u; in the finite form from nearby targets.

    *Limit form* (γ → 0), any activation: **c_pre = W⁺ u**. It is backpropagation's recursion with
    the inverse in place of the transpose.

    *Finite form*, as published: with t = r + π c the target of the population above,

        Δa = f⁻¹((1 − γ f′²) r + γ f′² t) − a,    c_pre = W⁺ Δa / (γ π),    π_pre = γ π,

    π = 1 at the top; a population with several outputs takes the smallest π. This form needs invertible
    activations and float64: in float32 the step γ is lost in the rounding of rates.

    Parameters
    ----------
    form : {"limit", "finite"}, default "limit"
        Which of the two forms.
    gamma : float, default 1e-3
        γ of the finite form.
    normalised : bool, default False
        Use γ = κ√N / ‖t − r‖ for each presentation, with N units (arXiv 2102.11598), in place of a fixed γ.
    kappa : float, default 1e-7
        κ of the normalised finite form.

    Notes
    -----
    Departures: the finite form with auxiliary units is the papers'. The limit form, the damped
    pseudo-inverse in place of auxiliary units, and graphs other than chains are ours.

    Limits: equal to backpropagation only if weights are orthogonal, so it needs a regulariser that keeps
    them so. A computed inverse reads W: see `InverseLearning` for one that does not. The finite form needs
    float64 and activations with an inverse, and runs only in training.

    References
    ----------
    Ahmad, van Gerven & Ambrogioni (2020), arXiv 2006.06438; Dalm et al. (2021), arXiv 2102.11598.
    """

    form: str = "limit"
    gamma: float = 1e-3
    normalised: bool = False
    kappa: float = 1e-7
    accepts: ClassVar[tuple[type, ...]] = (Inverse, Given, Random)
    chain_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.form not in list(_ARRIVAL):
            raise DeclarationError(f'GaitProp: form must be "limit" or "finite". Got {self.form!r}')
        require_positive(self, gamma=self.gamma, kappa=self.kappa)
        require_flag(self, normalised=self.normalised)

    @property
    def arrival(self) -> Arrival:
        """By targets in the finite form, by the chain c_pre = W⁺ u in the limit form."""
        return _ARRIVAL[self.form]

    @property
    def needs_float64(self) -> bool:
        """True for the finite form only."""
        return self.arrival is Arrival.TARGETS

    def top_step(self) -> float:
        """π = 1 at the top: t_L = r_L + c_L."""
        return 1.0

    def step_size(self, above: Level) -> Array:
        """γ of each presentation, shape (presentation, 1); 0 where the target equals the rate."""
        xp = array_namespace(above.r)
        if not self.normalised:
            return xp.full_like(above.r[:, :1], self.gamma)
        distance = xp.sqrt(xp.sum((above.step * above.c) ** 2, axis=1))[:, None]
        asked = distance > 0
        safe = xp.where(asked, distance, xp.ones_like(distance))
        return xp.where(asked, self.kappa * above.r.shape[1] ** 0.5 / safe, xp.zeros_like(distance))

    def delivered(self, carry: Callable[[Array], Array], above: Level, r_below: Array) -> tuple[Array, Array]:
        """c_pre = W⁺ Δa / (γ π) and π_pre = γ π; 0 where the target above equals the rate."""
        xp = array_namespace(above.r)
        gamma = self.step_size(above)
        share = gamma * above.activation.gain(above.a) ** 2
        drive_change = above.activation.drive((1 - share) * above.r + share * above.t) - above.a
        step = gamma * above.step
        asked = step > 0
        credit = carry(drive_change) / xp.where(asked, step, xp.ones_like(step))
        return xp.where(asked, credit, xp.zeros_like(credit)), xp.where(asked, step, above.step)


_ARRIVAL: dict[Any, Arrival] = {"limit": Arrival.CHAIN, "finite": Arrival.TARGETS}

register_word("gait_prop", Word(GaitProp(), paired=lambda up: TopDown(Inverse(of=up))))
LEARNED = """ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), and below c_pre = B u with B learned: ΔB = η⟨(ξ − By) yᵀ⟩.

    Notes
    -----
    Departures: the papers compute the inverse and propose that it be learned; this way of learning it is
    ours (`InverseLearning`).

    Limits: those of `gait_prop` and of `InverseLearning`: B follows W with a lag, weak directions of W last.

    References
    ----------
    Ahmad, van Gerven & Ambrogioni (2020), arXiv 2006.06438, discussion.
    """

register_word(
    "gait_prop_learned",
    Word(GaitProp(), paired=lambda up: TopDown(Random(), InverseLearning(of=up)), docstring=LEARNED),
)
