"""Weight mirror: spontaneous activity below, correlated with its echo above, copies W into B."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.feedback import HasName, Random, projection_name
from cortex_sim.registry import register
from cortex_sim.regularisers import Decay
from cortex_sim.rules.base import Array, TopDown, Word, register_word
from cortex_sim.rules.feedback_alignment import FeedbackAlignment


@register("rule", "weight_mirror")
@dataclass(frozen=True)
class WeightMirror:
    """c_pre = B u, ΔB = η⟨ξ yᵀ⟩, ξ white spontaneous activity below, y = Wξ its echo above.

    ⟨ξ yᵀ⟩ = Wᵀ for white ξ, so with a `Decay` B converges to a multiple of Wᵀ.

    Parameters
    ----------
    of : Projection or str
        The bottom-up projection whose transpose B approaches.

    Notes
    -----
    Departures: in the paper mirroring has separate phases; here it happens at every update, with a linear
    echo.

    Limits: B lags behind a changing W by about 1/(ηλ) updates, and keeps sampling noise of size
    √(η/presentations). ξ with covariance C_ξ would give C_ξWᵀ.

    References
    ----------
    Akrout et al. (2019), arXiv 1904.05391, eq. 7.
    """

    of: str | HasName
    top_down: ClassVar[bool] = True
    growth: ClassVar[str] = "r_post * r_pre"  # Δw/η of one synapse, in spontaneous activity
    spontaneous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", projection_name(self.of))

    def change(self, w: Array, r_pre: Array, r_post: Array) -> Array:
        """ΔB/η as (post, pre), from the echo r_pre (presentation, pre) and ξ, r_post (presentation, post)."""
        return r_post.T @ r_pre / r_pre.shape[0]


register_word(
    "weight_mirror",
    Word(
        FeedbackAlignment(),
        paired=lambda up: TopDown(Random(), WeightMirror(of=up), (Decay(rate=1.0),)),
    ),
)
