"""Inverse learning: top-down weights learn to predict spontaneous activity from its echo above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import HasName, projection_name
from cortex_sim.registry import register
from cortex_sim.rules.base import Array


@register("rule", "inverse_learning")
@dataclass(frozen=True)
class InverseLearning:
    """ΔB = η⟨(ξ − By) yᵀ⟩, ξ white spontaneous activity below, y = Wξ its echo above.

    This is the delta rule on the reconstruction error; its fixed point is C_ξWᵀ(WC_ξWᵀ)⁻¹, with C_ξ the
    covariance of ξ, which is W⁺ for white ξ. Where units outnumber inputs, start B at zero: components
    outside the range of W are never unlearned.

    Parameters
    ----------
    of : Projection or str
        The bottom-up projection that is inverted.

    Notes
    -----
    Departures: the form is ours, linear and with white ξ.

    Limits: a direction with singular value σ is learned at rate ησ², so weak directions are learned last.

    References
    ----------
    Ahmad et al. (2020), arXiv 2006.06438, discussion; Bengio (2014), arXiv 1407.7906.
    """

    of: str | HasName
    top_down: ClassVar[bool] = True
    growth: ClassVar[str] = "(r_post - reconstruction_post) * r_pre"  # Δw/η of one synapse, in time
    spontaneous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", projection_name(self.of))

    def change(self, w: Array, r_pre: Array, r_post: Array) -> Array:
        """ΔB/η as (post, pre), from the echo r_pre (presentation, pre) and ξ, r_post (presentation, post)."""
        missed = r_post - r_pre @ w.T
        return missed.T @ r_pre / r_pre.shape[0]
