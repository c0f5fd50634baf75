"""Initial weights of a declared network: every projection has its own random stream."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.allowed import allowed_of
from cortex_sim.checks import require_count
from cortex_sim.credit.feedback import Addressed
from cortex_sim.errors import BuildError
from cortex_sim.initialisers import stream
from cortex_sim.joined import enforced, joined_of
from cortex_sim.runs.room import require_memory

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


def drawn(net: Network, seed: int) -> dict[str, np.ndarray]:
    """Weights of all projections with independent weights, by name; see `Network.initial_weights`."""
    require_count("network " + net.name, minimum=0, seed=seed)
    addresses = [p for p in net.credit_projections if isinstance(p.feedback, Addressed)]
    own = [p for p in net.projections.values() if _has_its_own(net, p)]
    _require_memory(net, [*own, *addresses])
    found: dict[str, np.ndarray] = {}
    for p in (*own, *addresses):
        if not p.source.knows_weights:
            found[p.name] = _fitted(net, p, _weights(net, p, seed))
    found |= _together(net, found)
    echoes = {p.name: _fitted(net, p, _mirrored(net, p, seed, found)) for p in own if p.source.knows_weights}
    return {p.name: (found | echoes)[p.name] for p in (*own, *addresses)}


def _require_memory(net: Network, projections: list[Projection]) -> None:
    """Raise `BuildError` if the weights alone do not fit in memory."""
    sizes = {p.name: 8 * math.prod(net.weight_shape(p)) for p in projections}
    if not sizes:
        return
    largest = max(sizes, key=sizes.__getitem__)
    shape = net.weight_shape(net.projections[largest]) if largest in net.projections else ()
    require_memory(
        f"network {net.name}",
        f"the weights of {len(sizes)} projections (most in {largest}, {shape})",
        sum(sizes.values()),
        "use fewer units, or a connector with fewer weights, such as cs.Conv2d",
        BuildError,
    )


def _has_its_own(net: Network, projection: Projection) -> bool:
    return bool(net.weight_shape(projection)) and not projection.source.tied


def _fitted(net: Network, projection: Projection, drawn: np.ndarray) -> np.ndarray:
    """Drawn weights, adjusted to the projection's constraints.

    Where only one sign is allowed, weights of the other sign are flipped before clipping: clipping alone
    would set half of them to 0.
    """
    allowed = allowed_of(net, projection)
    if allowed is None:
        return drawn
    op, down = net.operator(projection), projection.is_top_down
    w = op.feedback_matrix(drawn) if down else op.matrix(drawn)
    w = np.where(allowed.low >= 0, np.abs(w), np.where(allowed.high <= 0, -np.abs(w), w))
    fitted = allowed.enforced(w)
    return np.array(op.as_feedback(fitted, drawn.shape) if down else fitted.reshape(drawn.shape))


def _together(net: Network, fitted: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights with the totals that several projections share (`RowNorm` with ``over``)."""
    members = {name: net.projections[name] for group in joined_of(net) for name in group.names}
    allowed = {name: one for name, p in members.items() if (one := allowed_of(net, p)) is not None}

    def matrix(name: str) -> np.ndarray:
        found: np.ndarray = net.operator(members[name]).matrix(fitted[name])
        return found

    rows = enforced(members, matrix, allowed, joined_of(net))
    return {name: np.array(w).reshape(fitted[name].shape) for name, w in rows.items()}


def _mirrored(net: Network, projection: Projection, seed: int, found: dict[str, np.ndarray]) -> np.ndarray:
    """Top-down weights that depend on the initial weights of their paired projection."""
    op, shape = net.operator(projection), net.weight_shape(projection)
    up = op.matrix(found[projection.reverse_name])
    rng = stream(seed, f"mirror {projection.name}")
    matrix = projection.source.draw(rng, shape, len(up), up=up, operator=op)  # type: ignore[misc]
    return np.array(op.as_feedback(matrix, shape))


def _weights(net: Network, projection: Projection, seed: int) -> np.ndarray:
    rng, (pre, post) = stream(seed, projection.name), net.ends(projection)
    if not projection.is_top_down:
        exists = net.wiring(projection)
        also_exists = () if exists is None else (exists,)
        return projection.connector.draw(rng, pre, post, *also_exists)
    shape, source = net.weight_shape(projection), projection.source
    op = net.operator(projection)
    senders = shape[0] // op.groups if op.feedback_like_weights else shape[1]
    also: dict[str, Any] = {}
    if source.one_signal:  # drawn once for all receivers of the sender
        also["sender"] = stream(seed, projection.pre)
    if source.knows_shape:  # of maps, not of a row of units
        also["post"] = post
    return source.draw(rng, shape, senders, **also)  # type: ignore[misc]
