"""Connectors: which pre units reach which post units, and the initial weights of a projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from cortex_sim.arrays import FixedArray
from cortex_sim.checks import name_of, short
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import GivenWeights, Initialiser, Orthogonal
from cortex_sim.registry import make, register

Shape = tuple[int, ...]


class Connector(Protocol):
    """How a projection connects two populations.

    ``plastic`` says whether its weights can change at all; otherwise they stay as drawn.
    `Unweighted` connectors have no weights. Rules see weights as a matrix of shape (post,
    inputs of one post unit): for a convolution, (C_out, C_in·k·k), with C_in the channels of its group.
    """

    plastic: ClassVar[bool]

    def weight_shape(self, pre: Shape, post: Shape) -> Shape:
        """Shape of the weights between populations of these shapes; () where there are none."""

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` naming projection ``name`` where the shapes do not fit."""

    def draw(self, rng: np.random.Generator, pre: Shape, post: Shape) -> np.ndarray:
        """Initial weights, float64."""


def size(shape: Shape) -> int:
    """Units of a population of this shape."""
    return int(np.prod(shape))


def as_initialiser(init: Any, owner: object) -> Initialiser:
    """An initialiser from a name, an array of weights, or an object; ``owner`` is the connector."""
    if isinstance(init, (list, tuple)) or hasattr(init, "__array__"):
        return GivenWeights(init)
    return make("initialiser", init, f"{name_of(owner)}: init")


def _as_mask(mask: Any) -> FixedArray:
    try:
        values = np.asarray(mask)
        fits = values.ndim == 2 and values.dtype.kind in "biuf" and np.isin(values, (0, 1)).all()
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise DeclarationError(
            "Dense: mask must be a matrix (post, pre) of True and False, or of 1 and 0; use "
            f"np.array(mask) > 0. Got {short(mask)}"
        )
    return FixedArray(values.astype(np.uint8))


def check_sheets(name: str, what: str, pre: Shape, post: Shape, otherwise: str) -> None:
    """Raise `DeclarationError` unless both populations have shape (channel, row, column)."""
    before, _, after = name.partition("->")
    for population, shape in ((before, pre), (after, post)):
        if len(shape) != 3:
            raise DeclarationError(
                f"projection {name}: {what} needs populations of shape (channel, row, column), "
                f"but {population} has shape {shape}; give it three numbers, or use {otherwise}"
            )


def check_given(name: str, init: Initialiser, expected: Shape, pre: str, post: str) -> None:
    """Raise `DeclarationError` if given weights have another shape; ``pre`` and ``post`` explain why."""
    if isinstance(init, GivenWeights) and init.weights.shape != expected:
        raise DeclarationError(
            f"projection {name}: weights have shape {init.weights.shape}, but {pre} and {post}; "
            f'give shape {expected}, or init="orthogonal" to draw them'
        )


class Matrix:
    """Base of connectors whose weights are a matrix (post, pre), with all synapses or only some.

    Subclasses are dataclasses with an ``init``, and override `wiring` where synapses are missing.
    """

    init: Any
    plastic: ClassVar[bool] = True

    def weight_shape(self, pre: Shape, post: Shape) -> Shape:
        """(post units, pre units)."""
        return (size(post), size(pre))

    def wiring(self, name: str, pre: Shape, post: Shape) -> np.ndarray | None:
        """Which synapses of projection ``name`` exist, bool (post, pre); None where all do."""
        return None

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` unless given weights have shape (post, pre)."""
        before, _, after = name.partition("->")
        words = f"{before} has {size(pre)} units", f"{after} {size(post)}"
        check_given(name, self.init, self.weight_shape(pre, post), *words)

    def draw(
        self, rng: np.random.Generator, pre: Shape, post: Shape, exists: np.ndarray | None = None
    ) -> np.ndarray:
        """Weights of shape (post, pre).

        If only some synapses exist, all units' weights are drawn as if each had as many inputs as the unit
        with the most synapses, so that their spread fits the number of synapses.
        """
        if exists is None or isinstance(self.init, GivenWeights):
            return self.init.draw(rng, size(post), size(pre))
        weights = np.zeros(exists.shape)
        drawn = self.init.draw(rng, size(post), int(exists.sum(1).max()))
        for row, synapses, values in zip(weights, exists, drawn, strict=True):
            row[synapses] = values[: synapses.sum()]
        return weights


@register("connector", "dense")
@dataclass(frozen=True)
class Dense(Matrix):
    """Every pre unit to every post unit, or only the pairs that a mask allows; weights (post, pre).

    Parameters
    ----------
    init : str, array or Initialiser, default "orthogonal"
        "orthogonal", "xavier", "he", an object such as ``Orthogonal(gain=1.4)``, or the weights
        themselves as an array of shape (post, pre).
    mask : array of shape (post, pre), optional
        Which synapses exist: True or 1 where there is one, False or 0 where none exists or ever forms.
    """

    init: Any = Orthogonal()
    mask: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", as_initialiser(self.init, self))
        if self.mask is not None:
            object.__setattr__(self, "mask", _as_mask(self.mask))

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` unless mask and given weights have shape (post, pre)."""
        if self.mask is not None and self.mask.values.shape != self.weight_shape(pre, post):
            before, _, after = name.partition("->")
            raise DeclarationError(
                f"projection {name}: its mask has shape {self.mask.values.shape}, but {before} has "
                f"{size(pre)} units and {after} {size(post)}; give shape {self.weight_shape(pre, post)}"
            )
        super().check(name, pre, post)

    def wiring(self, name: str, pre: Shape, post: Shape) -> np.ndarray | None:
        """The mask."""
        return None if self.mask is None else self.mask.values.astype(bool)


class Unweighted:
    """Base of connectors without weights; a subclass adds ``operator(pre, post)``, and `check` if needed."""

    plastic: ClassVar[bool] = False

    def weight_shape(self, pre: Shape, post: Shape) -> Shape:
        """No weights: ()."""
        return ()

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Any two shapes are valid."""

    def draw(self, rng: np.random.Generator, pre: Shape, post: Shape) -> np.ndarray:
        """An empty array: there is nothing to draw."""
        return np.empty(0)


def has_weights(connector: Any) -> bool:
    """Whether a connector has weights, plastic or not: all except those that are `Unweighted`."""
    return not isinstance(connector, Unweighted)


def same_map(one: Any, other: Any) -> bool:
    """Whether two connectors act alike when given the same weights, however these are drawn.

    Any two matrix connectors do: which synapses exist follows from their weights.
    """
    if isinstance(one, Matrix) and isinstance(other, Matrix):
        return True
    return type(one) is type(other) and bool(_map_of(one) == _map_of(other))


def _map_of(connector: Any) -> dict[str, Any]:
    own = getattr(connector, "__dict__", {})
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in own.items()
        if name != "init"
    }


def leaves_out(connector: Any) -> bool:
    """Whether some of a connector's synapses may be missing: by a mask, by distance or by chance."""
    masked = getattr(connector, "mask", None) is not None
    return masked or (isinstance(connector, Matrix) and not isinstance(connector, Dense))


@register("connector", "identity")
@dataclass(frozen=True)
class Identity(Unweighted):
    """Each pre unit to the post unit at the same place, weight 1 (a skip connection); not plastic."""

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Raise `DeclarationError` unless both populations have the same shape."""
        before, _, after = name.partition("->")
        if pre != post:
            raise DeclarationError(
                f"projection {name}: Identity() needs populations of the same shape, but {before} has shape "
                f"{pre} and {after} {post}; make them equal, or use Dense()"
            )
