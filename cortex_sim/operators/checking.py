"""Whether the operator of a user-defined connector is consistent upward and downward."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortex_sim.capabilities import connector_of
from cortex_sim.connectors import Dense, Identity, Shape
from cortex_sim.convolution import Conv2d
from cortex_sim.errors import BuildError, DeclarationError
from cortex_sim.operators.base import operator_of, units
from cortex_sim.pooling import AveragePool2d, GlobalAveragePool2d, MaxPool2d

_OURS = (Dense, Conv2d, Identity, AveragePool2d, MaxPool2d, GlobalAveragePool2d)
_SHOWN = 3  # presentations: more than one, so that an operator must not mix them


def brings_operator(connector: Any) -> bool:
    """Whether a user-defined connector has an operator, by a method or by registration."""
    registered = operator_of.dispatch(type(connector)) is not operator_of.dispatch(object)
    return type(connector) not in _OURS and (registered or connector_of(connector).operator is not None)


def check_operator(name: str, connector: Any, pre: Shape, post: Shape) -> None:
    """Check the shapes of W r and Wᵀ u, and ⟨W r, u⟩ = ⟨r, Wᵀ u⟩, on random values.

    An operator that is not linear is checked as its linear map at these rates.

    Raises
    ------
    DeclarationError
        If the operator of projection ``name`` fails a check, or its connector has no operator.
    """
    try:
        op, word = operator_of(connector, pre, post), type(connector).__name__
    except BuildError as exception:
        raise DeclarationError(f"projection {name}: {exception}") from None
    rng = np.random.default_rng(0)
    shape = tuple(connector.weight_shape(pre, post))
    if op.weighted != bool(shape):
        raise DeclarationError(
            f"projection {name}: {word} has weights of shape {shape}, but its operator says weighted = "
            f"{op.weighted}; return Weightless(...) from operator(pre, post) where weight_shape gives ()"
        )
    w: Any = op.matrix(rng.normal(size=shape)) if op.weighted else None
    r, u = rng.normal(size=(_SHOWN, units(pre))), rng.normal(size=(_SHOWN, units(post)))
    up = _shaped(f"projection {name}: {word}", "up", op.up(r, w), u)
    down = _shaped(f"projection {name}: {word}", "down", op.at(r).down(u, w), r)
    forth, back = (up * u).sum(1), (r * down).sum(1)
    scale = np.linalg.norm(up) * np.linalg.norm(u) + np.linalg.norm(r) * np.linalg.norm(down)
    if not np.allclose(forth, back, rtol=0, atol=1e-6 * scale):
        raise DeclarationError(
            f"projection {name}: down of {word}'s operator is not the transpose of up (<W r, u> is "
            f"{forth[0]:.6g}, <r, W'u> is {back[0]:.6g}), so credit would not be a gradient; correct one of "
            "the two"
        )


def _shaped(called: str, way: str, found: Any, like: np.ndarray) -> np.ndarray:
    if np.shape(found) != like.shape:
        raise DeclarationError(
            f"{called}'s operator gives shape {np.shape(found)} going {way}, but (presentation, unit) is "
            f"{like.shape} there; return one value per unit"
        )
    return np.asarray(found)
