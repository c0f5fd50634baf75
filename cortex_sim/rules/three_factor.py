"""Three-factor rule: coincident activity leaves a trace at the synapse, a global signal makes it a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cortex_sim.arrays import Array
from cortex_sim.checks import positive_ms, require_window
from cortex_sim.registry import register
from cortex_sim.rules.base import Global, PerSynapse, State, Word, register_word


@register("rule", "three_factor")
@dataclass(frozen=True)
class ThreeFactor:
    """Δw_ij = η M e_ij, the eligibility e_ij a running mean of y_i x_j; x pre rate, y post rate.

    M is the third factor, the state ``modulator``: 1 unless a phase of a protocol sets another value, such as
    0 while stimuli are shown and 1 when reward follows. The trace then credits the synapses that were
    active before. A change uses the trace left by earlier presentations, not the present activity.

    Parameters
    ----------
    window : float, default 10.0
        Time constant of e in training on torch, in presentations; at least 1.
    tau_ms : float, default 1000.0
        Time constant of e in a simulation, in ms; positive.

    Notes
    -----
    Departures: the source is a review of many such rules; a trace that is a running mean of y x is one of
    them.

    Limits: M is one number for all synapses: there is no credit for single units.

    References
    ----------
    Gerstner et al. (2018), Front. Neural Circuits 12, doi:10.3389/fncir.2018.00053.
    """

    window: float = 10.0
    tau_ms: float = 1000.0
    state: ClassVar[Mapping[str, Any]] = {"e": PerSynapse(0.0), "modulator": Global(1.0)}
    growth: ClassVar[Mapping[str, str]] = {
        "w": "modulator * e",
        "e": "(r_post * r_pre - e) / (tau_ms * ms)",
    }

    def __post_init__(self) -> None:
        require_window(self, self.window)
        object.__setattr__(self, "tau_ms", positive_ms(self, tau_ms=self.tau_ms))

    def change(self, w: Array, r_pre: Array, r_post: Array, state: State) -> tuple[Array, State]:
        """Δw/η as w (post, pre), and e (post, pre) after these presentations."""
        e, modulator = state["e"], state["modulator"]
        kept = (1 - 1 / self.window) ** len(r_pre)  # weight of the old mean after len(r_pre) presentations
        coincidence = r_post.T @ r_pre / len(r_pre)
        return modulator * e, {"e": kept * e + (1 - kept) * coincidence, "modulator": modulator}


register_word("three_factor", Word(ThreeFactor()))
