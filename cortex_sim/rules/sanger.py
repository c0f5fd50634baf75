"""Sanger's rule: Oja's rule for several units, which find the principal components in order."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.registry import register
from cortex_sim.rules.base import Word, register_word


@register("rule", "sanger")
@dataclass(frozen=True)
class Sanger:
    """Δw_ij = η⟨y_i (x_j − Σ_{k≤i} y_k w_kj)⟩, x pre rate, y post rate; the generalised Hebbian algorithm.

    Unit i learns from the input minus its reconstruction by units 1 to i, so that linear units find the
    principal components in order.

    Notes
    -----
    Departures: none.

    Limits: the rule is not local: a synapse reads the weights of other post units. It needs an order of
    the units of a population.

    References
    ----------
    Sanger (1989), Neural Netw. 2, doi:10.1016/0893-6080(89)90044-0.
    """

    def change(self, w: Array, r_pre: Array, r_post: Array) -> Array:
        """Δw/η, as w (post, pre), from r_pre (presentation, pre), r_post (presentation, post)."""
        x, y, n = r_pre, r_post, len(r_pre)
        return y.T @ x / n - array_namespace(y).tril(y.T @ y / n) @ w

    growth = change  # at every moment, for all synapses together


register_word("sanger", Word(Sanger()))
