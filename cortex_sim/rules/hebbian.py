"""Hebb's rule: units that fire together wire together, without bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortex_sim.registry import register
from cortex_sim.rules.base import Array, Word, register_word


@register("rule", "hebbian")
@dataclass(frozen=True)
class Hebbian:
    """Δw_ij = η⟨y_i x_j⟩, x pre rate, y post rate.

    Notes
    -----
    Departures: Hebb stated the rule in words, not as an equation.

    Limits: weights grow without bound: see `Oja`. With nonnegative rates they never shrink.

    References
    ----------
    Hebb (1949), The Organization of Behavior.
    """

    growth: ClassVar[str] = "r_post * r_pre"  # Δw/η of one synapse, in time

    def change(self, w: Array, r_pre: Array, r_post: Array) -> Array:
        """Δw/η, as w (post, pre), from r_pre (presentation, pre), r_post (presentation, post)."""
        return r_post.T @ r_pre / len(r_pre)


register_word("hebbian", Word(Hebbian()))
