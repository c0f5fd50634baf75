"""Kolen–Pollack: two synapses that learn alike and forget alike become each other's transpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import HasName, Random, projection_name
from cortex_sim.registry import register
from cortex_sim.regularisers import Decay
from cortex_sim.rules.base import Array, TopDown, Word, register_word
from cortex_sim.rules.feedback_alignment import FeedbackAlignment

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


@register("rule", "kolen_pollack")
@dataclass(frozen=True)
class KolenPollack:
    """ΔB = η⟨r_pre uᵀ⟩ for the top-down B beside W, whose own change is ⟨u r_preᵀ⟩.

    With an equal `Decay` on both, W − Bᵀ shrinks by the decay at every step: B becomes Wᵀ although
    neither synapse ever reads the other's weight.

    Parameters
    ----------
    of : Projection or str
        The bottom-up projection it runs beside.

    References
    ----------
    Kolen & Pollack (1994), doi:10.1109/ICNN.1994.374486; Akrout et al. (2019), arXiv 1904.05391, eq. 16.
    """

    of: str | HasName
    top_down: ClassVar[bool] = True
    growth: ClassVar[str] = "r_post * u_pre"  # Δw/η of one synapse, in time
    reads_credit: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", projection_name(self.of))

    def change(self, w: Array, u_pre: Array, r_post: Array) -> Array:
        """ΔB/η as (post, pre), from u_pre (presentation, pre) and r_post (presentation, post)."""
        return r_post.T @ u_pre / u_pre.shape[0]

    def check_whole(self, net: Network, projection: Projection) -> None:
        """Both weights must forget alike, or they never become each other's transpose."""
        paired = net.projections[projection.reverse_name]
        down, up = _decay(projection), _decay(paired)
        if down != up or not up:
            raise DeclarationError(
                f"projection {projection.name}: KolenPollack needs one decay, above 0, on both weights; "
                f"{projection.name} has {down:g}, {paired.name} {up:g}: give regulariser=Decay(1e-4) to both"
            )


def _decay(projection: Projection) -> float:
    return sum(one.rate for one in projection.regularisers if isinstance(one, Decay))


register_word(
    "kolen_pollack",
    Word(
        FeedbackAlignment(),
        paired=lambda up: TopDown(Random(), KolenPollack(of=up), (Decay(),)),
        adds=(Decay(),),
    ),
)
