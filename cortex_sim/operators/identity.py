"""Skip connections: every pre unit to the post unit at the same place, with weight 1."""

from __future__ import annotations

from typing import Any

from cortex_sim.arrays import Array
from cortex_sim.connectors import Identity, Shape
from cortex_sim.operators.base import Operator, operator_of, without_operator


class IdentityOperator(Operator):
    """Rates as they are; there are no weights."""

    weighted = False
    synapses = "one_to_one"
    shares_weights = False

    def up(self, r: Array, w: Array) -> Array:
        """The rates themselves."""
        return r

    def down(self, u: Array, w: Array) -> Array:
        """The credit, unchanged."""
        return u

    def drive(self, r: Any, w: Any, bias: Any) -> Any:
        """The rates themselves."""
        return r


@operator_of.register(Identity)
def _(connector: Identity, pre: Shape, post: Shape) -> IdentityOperator:
    if type(connector) is not Identity:  # a derived class may mean something else
        raise without_operator(connector)
    return IdentityOperator(pre, post)
