"""Kolen–Pollack: weights up and down with the same changes and decay become each other's transpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cortex_sim.checks import require_known, require_positive
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
    """c_pre = B u, ΔB = η κ⟨r_pre uᵀ⟩ for the top-down B paired with W, whose own change is η⟨u r_preᵀ⟩.

    With an equal `Decay` λ on both, κW − Bᵀ shrinks by the factor 1 − ηλ at every step: B becomes κWᵀ
    although neither synapse ever reads the other's weight.

    Parameters
    ----------
    of : Projection or str
        The paired bottom-up projection.
    gain : float, default 1.0
        κ, the factor by which B's step is larger than W's; positive.
    forgetting : {"equal", "own"}, default "equal"
        With "own" each of the two weights may have a different decay, or none: B then follows a weighted
        mean of past W, and need not become its transpose. Trained credit networks are declared with "own".

    Notes
    -----
    Departures: the gain κ and forgetting="own" are ours; with κ = 1 and equal decay the equations are the
    papers'.

    Limits: each plain gradient step shrinks the gap by the factor 1 − ηλ: to 1/e in ten million steps at the
    default decay and η = 1e-3. With Adam the argument holds only if both synapses have the same history.

    References
    ----------
    Kolen & Pollack (1994), doi:10.1109/ICNN.1994.374486; Akrout et al. (2019), arXiv 1904.05391, eq. 16.
    """

    of: str | HasName
    gain: float = 1.0
    forgetting: str = "equal"
    top_down: ClassVar[bool] = True
    growth: ClassVar[str] = "gain * r_post * u_pre"  # Δw/η of one synapse, in time
    reads_credit: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", projection_name(self.of))
        require_positive(self, gain=self.gain)
        require_known("forgetting of KolenPollack", self.forgetting, dict.fromkeys(("equal", "own")))

    def change(self, w: Array, u_pre: Array, r_post: Array) -> Array:
        """ΔB/η as (post, pre), from u_pre (presentation, pre) and r_post (presentation, post)."""
        change = r_post.T @ u_pre / u_pre.shape[0]
        return change if self.gain == 1 else self.gain * change

    def check_whole(self, net: Network, projection: Projection) -> None:
        """Both weights must have the same decay, or they never become each other's transpose."""
        if self.forgetting == "own":
            return
        paired = net.projections[projection.reverse_name]
        down, up = _decay(projection), _decay(paired)
        if down != up or not up:
            raise DeclarationError(
                f"projection {projection.name}: KolenPollack needs the same decay, above 0, on both weights, "
                f"but {projection.name} has {down:g} and {paired.name} {up:g}; give both "
                'regulariser=Decay(1e-4), or allow different decays by forgetting="own"'
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
