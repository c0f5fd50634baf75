"""What constraints require of the projection that carries them, and of other projections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.allowed import allowed_of
from cortex_sim.connectors import has_weights
from cortex_sim.constraints import Dale
from cortex_sim.errors import DeclarationError
from cortex_sim.joined_checking import check_joined, given_weights
from cortex_sim.projection import Projection
from cortex_sim.regularisers import HardOrthogonality, Orthogonality

if TYPE_CHECKING:
    from cortex_sim.network import Network


def check_constraints(net: Network, projection: Projection) -> None:
    """Refuse constraints that contradict each other, the weights, the wiring or a regulariser."""
    name = projection.name
    words = [type(part).__name__ for part in projection.constraints]
    if words and projection.source.tied:
        raise DeclarationError(
            f"projection {name}: {type(projection.feedback).__name__} weights follow "
            f"{projection.reverse_name}, so {words[0]} cannot constrain them; give it to "
            f"{projection.reverse_name}"
        )
    if words and not projection.is_top_down and not has_weights(projection.connector):
        raise DeclarationError(
            f"projection {name}: {type(projection.connector).__name__}() has no weights for {words[0]} to "
            "constrain; remove the constraint, or use Dense()"
        )
    for word in {word for word in words if words.count(word) > 1}:
        raise DeclarationError(f"projection {name}: carries {word} twice; give one, with both settings")
    exists = net.wiring(projection)
    if exists is not None and not exists.any():
        raise DeclarationError(
            f"projection {name}: {type(projection.connector).__name__} leaves no synapse between "
            f"{projection.pre} and {projection.post}; let it connect more units"
        )
    allowed = allowed_of(net, projection)
    if allowed is None:
        check_joined(net, projection)
        return
    _check_orthogonality(net, projection)
    _check_senders(net, projection)
    check_joined(net, projection)
    given = given_weights(projection)
    if given is not None:
        op, down = net.operator(projection), projection.is_top_down
        allowed.require(op.feedback_matrix(given) if down else op.matrix(given), DeclarationError)


def _check_orthogonality(net: Network, projection: Projection) -> None:
    """Refuse orthogonality where synapses are missing or weights are constrained: it would undo both."""
    for part in projection.regularisers:
        missing = net.wiring(projection) is not None and isinstance(part, (Orthogonality, HardOrthogonality))
        if missing or isinstance(part, HardOrthogonality):
            reason = (
                f"{type(projection.connector).__name__} leaves synapses out"
                if missing
                else f"{type(projection.constraints[0]).__name__} constrains the weights"
            )
            raise DeclarationError(
                f"projection {projection.name}: {type(part).__name__} makes all weights orthogonal, and "
                f"{reason}; remove one of the two"
            )


def _check_senders(net: Network, projection: Projection) -> None:
    """A unit has one sign: all projections from one population that carry `Dale` must agree.

    Lateral projections are exempt: they are subtracted from the drive, so their signs mean the opposite.
    """
    mine = None if projection.is_lateral else _dale(projection)
    if mine is None:
        return
    units = int(np.prod(net.ends(projection)[0]))
    for other in net.projections.values():
        theirs = _dale(other)
        if theirs is None or other.pre != projection.pre or other.is_lateral or other.name == projection.name:
            continue
        if theirs != mine and (theirs.signs(units) != mine.signs(units)).any():
            raise DeclarationError(
                f"projection {projection.name}: Dale(inhibitory={mine.inhibitory!r}) gives units of "
                f"{projection.pre} other signs than in {other.name}, which has {theirs.inhibitory!r}; the "
                "sign belongs to the unit, so name the same units in both"
            )


def _dale(projection: Projection) -> Dale | None:
    return next((part for part in projection.constraints if isinstance(part, Dale)), None)
