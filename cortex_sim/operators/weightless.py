"""Connectors without weights: a fixed linear map of rates, and its transpose for credit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cortex_sim.arrays import Array
from cortex_sim.operators.base import Operator


@dataclass(frozen=True)
class Weightless(Operator):
    """A fixed linear map between populations of two shapes.

    Parameters
    ----------
    pre, post : tuple of int
        Shapes of the populations.
    upward : callable
        From rates (…, pre unit) to drive (…, post unit), for arrays of numpy and of torch alike.
    downward : callable
        Its transpose, from (…, post unit) to (…, pre unit).
    """

    upward: Callable[[Array], Array]
    downward: Callable[[Array], Array]

    called = "connector without weights"
    weighted = False
    shares_weights = False

    def up(self, r: Array, w: Array) -> Array:
        """Drive of the post population."""
        return self.upward(r)

    def down(self, u: Array, w: Array) -> Array:
        """The transpose applied to u."""
        return self.downward(u)
