"""BCM: plasticity changes sign at a threshold that slides with the post unit's own activity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cortex_sim.arrays import Array
from cortex_sim.checks import positive_ms, require_window
from cortex_sim.registry import register
from cortex_sim.rules.base import PerPost, State, Word, register_word


@register("rule", "bcm")
@dataclass(frozen=True)
class Bcm:
    """Δw_ij = η⟨y_i(y_i − θ_i) x_j⟩, θ_i a running mean of y_i²; x pre rate, y post rate.

    A post unit above its threshold strengthens the synapses that drive it, below it weakens them; the
    threshold rises faster than the rate, so that growth is limited.

    Parameters
    ----------
    window : float, default 100.0
        Time constant of θ in training on torch, in presentations; at least 1.
    tau_ms : float, default 10000.0
        Time constant of θ in a simulation, in ms; positive.

    Notes
    -----
    Departures: none from Intrator & Cooper's form; the threshold of Bienenstock, Cooper & Munro is a
    different function of past rates.

    Limits: without inhibition several units may become selective for the same feature. θ must change
    faster than the weights, or rates oscillate.

    References
    ----------
    Bienenstock, Cooper & Munro (1982), doi:10.1523/JNEUROSCI.02-01-00032.1982; this form Intrator &
    Cooper (1992), doi:10.1016/S0893-6080(05)80003-6.
    """

    window: float = 100.0
    tau_ms: float = 10_000.0
    state: ClassVar[Mapping[str, Any]] = {"theta": PerPost(0.0)}
    growth: ClassVar[Mapping[str, str]] = {
        "w": "r_post * (r_post - theta) * r_pre",
        "theta": "(r_post**2 - theta) / (tau_ms * ms)",
    }

    def __post_init__(self) -> None:
        require_window(self, self.window)
        object.__setattr__(self, "tau_ms", positive_ms(self, tau_ms=self.tau_ms))

    def change(self, w: Array, r_pre: Array, r_post: Array, state: State) -> tuple[Array, State]:
        """Δw/η as w (post, pre), and θ after these presentations, θ (post,)."""
        y, theta = r_post, state["theta"]
        growth = (y * (y - theta)).T @ r_pre / len(y)
        kept = (1 - 1 / self.window) ** len(y)  # weight of the old mean after len(y) presentations
        return growth, {"theta": kept * theta + (1 - kept) * (y * y).mean(0)}


register_word("bcm", Word(Bcm()))
