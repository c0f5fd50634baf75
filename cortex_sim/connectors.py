"""Connectors: which pre unit reaches which post unit, and the weights a projection starts with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from cortex_sim.checks import require_count
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import GivenWeights, Initialiser, Orthogonal
from cortex_sim.registry import make, register

Shape = tuple[int, ...]


class Connector(Protocol):
    """How a projection connects two populations.

    ``plastic`` says whether its weights can change at all; otherwise the drawn weights stay.
    `Unweighted` connectors have none. Rules see weights as a matrix of shape (post,
    inputs of one post unit): for a convolution, (C_out, C_in·k·k).
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


def _as_initialiser(init: Any) -> Initialiser:
    if isinstance(init, (list, tuple)) or hasattr(init, "__array__"):
        return GivenWeights(init)
    return make("initialiser", init)


def _check_given(name: str, init: Initialiser, expected: Shape, pre: str, post: str) -> None:
    if isinstance(init, GivenWeights) and init.weights.shape != expected:
        raise DeclarationError(
            f"projection {name}: weights have shape {init.weights.shape}, but {pre} and {post}; "
            f'give shape {expected}, or init="orthogonal" to draw them'
        )


@register("connector", "dense")
@dataclass(frozen=True)
class Dense:
    """Every pre unit to every post unit; weights (post, pre).

    Parameters
    ----------
    init : str, array or Initialiser, default "orthogonal"
        "orthogonal", "xavier", "he", an object such as ``Orthogonal(gain=1.4)``, or the weights
        themselves as an array of shape (post, pre).
    """

    init: Any = Orthogonal()
    plastic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", _as_initialiser(self.init))

    def weight_shape(self, pre: Shape, post: Shape) -> Shape:
        """(post units, pre units)."""
        return (size(post), size(pre))

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Given weights must have shape (post, pre)."""
        before, _, after = name.partition("->")
        words = f"{before} has {size(pre)} units", f"{after} {size(post)}"
        _check_given(name, self.init, self.weight_shape(pre, post), *words)

    def draw(self, rng: np.random.Generator, pre: Shape, post: Shape) -> np.ndarray:
        """Weights of shape (post, pre)."""
        return self.init.draw(rng, size(post), size(pre))


@register("connector", "conv2d")
@dataclass(frozen=True)
class Conv2d:
    """Convolution between populations of shape (channel, row, column); weights (C_out, C_in, k, k).

    Parameters
    ----------
    kernel : int
        Side of the square receptive field, in units.
    stride : int, default 1
        Step between receptive fields, in units.
    padding : int, default 0
        Silent units added on each side.
    init : str, array or Initialiser, default "orthogonal"
        As for `Dense`, on the matrix of shape (C_out, C_in·k·k).
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    init: Any = Orthogonal()
    plastic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_count(self, kernel=self.kernel, stride=self.stride)
        require_count(self, minimum=0, padding=self.padding)
        object.__setattr__(self, "init", _as_initialiser(self.init))

    def post_side(self, side: int) -> int:
        """Rows (or columns) that a pre population with ``side`` of them leads to."""
        return (side + 2 * self.padding - self.kernel) // self.stride + 1

    def weight_shape(self, pre: Shape, post: Shape) -> Shape:
        """(C_out, C_in, kernel, kernel)."""
        return (post[0], pre[0], self.kernel, self.kernel)

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Shapes must be (channel, row, column), and post the size that stride and padding make."""
        before, _, after = name.partition("->")
        for population, shape in ((before, pre), (after, post)):
            if len(shape) != 3:
                raise DeclarationError(
                    f"projection {name}: a convolution needs populations of shape (channel, row, column), "
                    f"but {population} has shape {shape}; give it three numbers, or use Dense()"
                )
        rows, columns = self.post_side(pre[1]), self.post_side(pre[2])
        if min(rows, columns) < 1:
            raise DeclarationError(
                f"projection {name}: kernel {self.kernel} is larger than {before} with padding "
                f"{self.padding} ({pre[1]}x{pre[2]}); use a smaller kernel or more padding"
            )
        if post[1:] != (rows, columns):
            raise DeclarationError(
                f"projection {name}: kernel {self.kernel}, stride {self.stride} and padding {self.padding} "
                f"take {pre[1]}x{pre[2]} to {rows}x{columns}, but {after} has shape {post}; "
                f"give {after} shape {(post[0], rows, columns)}"
            )
        words = f"{before} has {pre[0]} channels", f"{after} {post[0]}"
        _check_given(name, self.init, self.weight_shape(pre, post), *words)

    def draw(self, rng: np.random.Generator, pre: Shape, post: Shape) -> np.ndarray:
        """Weights of shape (C_out, C_in, kernel, kernel)."""
        shape = self.weight_shape(pre, post)
        return self.init.draw(rng, shape[0], size(shape[1:])).reshape(shape)


class Unweighted:
    """Base of connectors without weights; a user-defined class adds ``operator(pre, post)``, and `check`."""

    plastic: ClassVar[bool] = False

    def weight_shape(self, pre: Shape, post: Shape) -> Shape:
        """No weights: ()."""
        return ()

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Any two shapes are valid."""

    def draw(self, rng: np.random.Generator, pre: Shape, post: Shape) -> np.ndarray:
        """Nothing to draw: an empty array."""
        return np.empty(0)


def has_weights(connector: Any) -> bool:
    """Whether a connector has weights, plastic or not: all except those that are `Unweighted`."""
    return not isinstance(connector, Unweighted)


@register("connector", "identity")
@dataclass(frozen=True)
class Identity(Unweighted):
    """Each pre unit to the post unit at the same place, weight 1 (a skip connection); not plastic."""

    def check(self, name: str, pre: Shape, post: Shape) -> None:
        """Both populations must have one shape."""
        before, _, after = name.partition("->")
        if pre != post:
            raise DeclarationError(
                f"projection {name}: Identity() needs populations of one shape, but {before} has shape "
                f"{pre} and {after} {post}; make them equal, or use Dense()"
            )
