"""Synaptic scaling: all synapses of a unit are scaled together until its mean rate is at its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cortex_sim.arrays import Array
from cortex_sim.checks import positive_ms, require_positive, require_window
from cortex_sim.registry import register
from cortex_sim.rules.base import PerPost, State, Word, register_word


@register("rule", "synaptic_scaling")
@dataclass(frozen=True)
class SynapticScaling:
    """Δw_ij = η w_ij (ρ − ȳ_i), ȳ_i a running mean of the post rate y_i, ρ its target.

    Multiplicative: the ratios between a unit's synapses do not change. ȳ starts at ρ, so nothing is scaled
    before there has been activity.

    Parameters
    ----------
    target : float, default 1.0
        ρ, the mean rate that each post unit returns to; positive.
    window : float, default 100.0
        Time constant of ȳ in training on torch, in presentations; at least 1.
    tau_ms : float, default 10000.0
        Time constant of ȳ in a simulation, in ms; positive.

    Notes
    -----
    Departures: the time course, measured as hours to days, is a setting here.

    Limits: it does not determine what a unit responds to. ȳ must change faster than the weights, or rates
    oscillate.

    References
    ----------
    Turrigiano et al. (1998), Nature 391, doi:10.1038/36103, for the measurement; van Rossum, Bi &
    Turrigiano (2000), doi:10.1523/JNEUROSCI.20-23-08812.2000, for the equation.
    """

    target: float = 1.0
    window: float = 100.0
    tau_ms: float = 10_000.0
    growth: ClassVar[Mapping[str, str]] = {
        "w": "w * (target - mean_post)",
        "mean_post": "(r_post - mean_post) / (tau_ms * ms)",
    }

    def __post_init__(self) -> None:
        require_positive(self, target=self.target)
        object.__setattr__(self, "tau_ms", positive_ms(self, tau_ms=self.tau_ms))
        require_window(self, self.window)

    @property
    def state(self) -> Mapping[str, Any]:
        """ȳ of each post unit, initially at the target."""
        return {"mean_post": PerPost(self.target)}

    def change(self, w: Array, r_pre: Array, r_post: Array, state: State) -> tuple[Array, State]:
        """Δw/η as w (post, pre), and ȳ (post,) after these presentations."""
        mean = state["mean_post"]
        kept = (1 - 1 / self.window) ** len(r_post)  # weight of the old mean after len(r_post) presentations
        return w * (self.target - mean)[:, None], {"mean_post": kept * mean + (1 - kept) * r_post.mean(0)}


register_word("synaptic_scaling", Word(SynapticScaling()))
