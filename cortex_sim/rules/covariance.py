"""Covariance rule: only deviations from mean rates count, so synapses weaken as well as grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cortex_sim.arrays import Array
from cortex_sim.checks import positive_ms, require_window
from cortex_sim.registry import register
from cortex_sim.rules.base import PerPost, PerPre, State, Word, register_word


@register("rule", "covariance")
@dataclass(frozen=True)
class Covariance:
    """Δw_ij = η⟨(y_i − ȳ_i)(x_j − x̄_j)⟩, x pre rate, y post rate, bars their running means.

    Parameters
    ----------
    window : float, default 100.0
        Time constant of the means in training on torch, in presentations; at least 1. They start at 0.
    tau_ms : float, default 10000.0
        Time constant of the means in a simulation, in ms; positive.

    Notes
    -----
    Departures: none, except that the means are running means, kept by each side.

    Limits: unstable: weights grow along the first principal component. A synapse also grows when both of
    its sides are below their means.

    References
    ----------
    Sejnowski (1977), Storing covariance with nonlinearly interacting neurons, J. Math. Biol. 4.
    """

    window: float = 100.0
    tau_ms: float = 10_000.0
    state: ClassVar[Mapping[str, Any]] = {"mean_post": PerPost(0.0), "mean_pre": PerPre(0.0)}
    growth: ClassVar[Mapping[str, str]] = {
        "w": "(r_post - mean_post) * (r_pre - mean_pre)",
        "mean_post": "(r_post - mean_post) / (tau_ms * ms)",
        "mean_pre": "(r_pre - mean_pre) / (tau_ms * ms)",
    }

    def __post_init__(self) -> None:
        require_window(self, self.window)
        object.__setattr__(self, "tau_ms", positive_ms(self, tau_ms=self.tau_ms))

    def change(self, w: Array, r_pre: Array, r_post: Array, state: State) -> tuple[Array, State]:
        """Δw/η as w (post, pre), and the means after these presentations, (post,) and (pre,)."""
        x, y = r_pre - state["mean_pre"], r_post - state["mean_post"]
        moved = 1 - (1 - 1 / self.window) ** len(x)  # weight of len(x) presentations in a running mean
        means = {
            "mean_post": state["mean_post"] + moved * y.mean(0),
            "mean_pre": state["mean_pre"] + moved * x.mean(0),
        }
        return y.T @ x / len(x), means


register_word("covariance", Word(Covariance()))
