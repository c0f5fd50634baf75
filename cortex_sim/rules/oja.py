"""Oja's rule: Hebbian growth with forgetting; finds the first principal component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.checks import require_positive
from cortex_sim.registry import register
from cortex_sim.rules.base import Array, Word, register_word


@register("rule", "oja")
@dataclass(frozen=True)
class Oja:
    """Δw_ij = η⟨y_i x_j − y_i² w_ij / n²⟩, x pre rate, y post rate, n the norm that weights settle at.

    Parameters
    ----------
    norm : float, default 1.0
        n, the length to which each post unit's weights converge; positive.

    Notes
    -----
    Departures: n is ours; with n = 1 the equation is the paper's.

    Limits: units of one population do not interact, so all find the same component.

    References
    ----------
    Oja (1982), J. Math. Biol. 15, doi:10.1007/BF00275687; there n = 1.
    """

    norm: float = 1.0
    growth: ClassVar[str] = "r_post * (r_pre - r_post * w / norm**2)"  # Δw/η of one synapse, in time

    def __post_init__(self) -> None:
        require_positive(self, norm=self.norm)

    def change(self, w: Array, r_pre: Array, r_post: Array) -> Array:
        """Δw/η, as w (post, pre), from r_pre (presentation, pre), r_post (presentation, post)."""
        hebbian = r_post.T @ r_pre / len(r_pre)
        forgetting = (r_post * r_post).mean(0)[:, None] * w  # by row: each unit at its own pace
        return hebbian - forgetting / self.norm**2


register_word("oja", Word(Oja()))
