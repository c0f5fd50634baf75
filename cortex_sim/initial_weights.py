"""Initial weights of a declared network: every projection has its own random stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.checks import require_count
from cortex_sim.credit.feedback import Addressed
from cortex_sim.initialisers import stream

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


def drawn(net: Network, seed: int) -> dict[str, np.ndarray]:
    """Weights of all projections that have their own, by name; see `Network.initial_weights`."""
    require_count("network " + net.name, minimum=0, seed=seed)
    addresses = [p for p in net.credit_projections if isinstance(p.feedback, Addressed)]
    own = [p for p in net.projections.values() if _has_its_own(net, p)]
    return {p.name: _weights(net, p, seed) for p in (*own, *addresses)}


def _has_its_own(net: Network, projection: Projection) -> bool:
    return bool(net.weight_shape(projection)) and not projection.source.tied


def _weights(net: Network, projection: Projection, seed: int) -> np.ndarray:
    rng, (pre, post) = stream(seed, projection.name), net.ends(projection)
    if not projection.is_top_down:
        return projection.connector.draw(rng, pre, post)
    shape, source = net.weight_shape(projection), projection.source
    senders = shape[0] if net.operator(projection).feedback_like_weights else shape[1]
    also: dict[str, Any] = {}
    if source.one_signal:  # drawn once for all receivers of the sender
        also["sender"] = stream(seed, projection.pre)
    if source.knows_shape:  # of maps, not of a row of units
        also["post"] = post
    return source.draw(rng, shape, senders, **also)  # type: ignore[misc]
