"""Whether a projection can have the ``reads`` that it declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_sim.errors import DeclarationError
from cortex_sim.presynaptic.held import inputs_of
from cortex_sim.projection import BOTTOM_UP, Projection

if TYPE_CHECKING:
    from cortex_sim.network import Network


def check_reads(net: Network, projection: Projection) -> None:
    """Raise `DeclarationError` where a projection has no plastic bottom-up weights, or too many inputs."""
    if projection.reads is None:
        return
    name, word = projection.name, type(projection.reads).__name__
    if projection.kind != BOTTOM_UP:
        raise DeclarationError(
            f"projection {name}: {word} is for bottom-up synapses, but this projection is {projection.kind}; "
            "give reads to net.bottom_up(...) only"
        )
    if projection.plasticity is None:
        raise DeclarationError(
            f"projection {name}: {word} is for plastic synapses, but these do not change; leave reads "
            "out, or give a plasticity"
        )
    if not net.weight_shape(projection):
        raise DeclarationError(
            f"projection {name}: {type(projection.connector).__name__}() has no weights that could change; "
            "leave reads out, or use Dense()"
        )
    try:
        projection.reads.check(name, inputs_of(net, projection))
    except DeclarationError as exception:
        if not projection.reads_by_word:
            raise
        raise DeclarationError(
            f"{exception}; the trained credit network brings {projection.reads}, so declare it with another "
            "group, such as group='fit', by net.with_reads(...) before net.with_rule(...)"
        ) from None
