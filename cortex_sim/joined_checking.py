"""What a norm over several projections requires of each of them; see `cortex_sim.joined`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.constraints import RowNorm
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import GivenWeights
from cortex_sim.joined import Joined, allowed_in, called, join, norm_of, require_carried

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


def given_weights(p: Projection) -> np.ndarray | None:
    """Initial weights that were given as an array; None if they are drawn."""
    if p.is_top_down:
        weights: Any = getattr(p.feedback, "weights", None)
        return None if weights is None else np.asarray(weights)
    init = getattr(p.connector, "init", None)
    return init.weights if isinstance(init, GivenWeights) else None


def check_joined(net: Network, projection: Projection) -> None:
    """Refuse a projection that does not fit those that share its norm, as far as they are declared."""
    norm = norm_of(projection)
    if norm is None:  # joined_of finds, once per network, whether other norms name it
        return
    every = net.projections | {projection.name: projection}
    if projection.name not in norm.over:
        raise DeclarationError(
            f"projection {projection.name}: its RowNorm is over {' and '.join(norm.over)} and leaves this "
            f"projection out; add {projection.name!r} to over"
        )
    if not projection.drives:
        raise DeclarationError(
            f"projection {projection.name}: a RowNorm over several projections is for those that drive a "
            f"unit, but this one is {projection.kind.replace('_', '-')}; use bottom-up or recurrent "
            "projections, or leave over out"
        )
    known = [every[name] for name in norm.over if name in every]
    for other in known:
        _check_pair(projection, other, norm)
    if len(known) == len(norm.over):
        _check_given(net, known, join(net, norm, known))


def _check_pair(projection: Projection, other: Projection, norm: RowNorm) -> None:
    require_carried(other, projection, norm)
    if other.post != projection.post:
        raise DeclarationError(
            f"projection {projection.name}: its RowNorm is over {called(norm)}, which go to {other.post} "
            f"and {projection.post}; name projections onto one population"
        )


def _check_given(net: Network, projections: list[Projection], group: Joined) -> None:
    """Given weights are not changed, so all projections or none must have them; then they have the total."""
    given = {p.name: w for p in projections if (w := given_weights(p)) is not None}
    without = [p.name for p in projections if p.name not in given]
    if without and given:
        raise DeclarationError(
            f"projection {without[0]}: its RowNorm is over {group.name}, but only some of them have given "
            "weights; give the weights of all, or of none"
        )
    if without:
        return
    matrices = {p.name: net.operator(p).matrix(given[p.name]) for p in projections}
    group.require(matrices, allowed_in(net, projections), DeclarationError)
