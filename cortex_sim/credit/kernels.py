"""Credit diffusion: how K credit channels spread over the units of a population.

c_i = Σ_k D_ik g_k. Rows of D have length 1, so that the size of credit does not depend on the kernel. A
kernel defines D for any number of units, so one trained credit network serves populations of any width.
"""

from __future__ import annotations

from dataclasses import dataclass
from logging import getLogger
from typing import Protocol

import numpy as np

from cortex_sim.checks import require_count, require_positive
from cortex_sim.connectors import Shape, size
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register

_log = getLogger(__name__)
_NOTHING = 1e-150  # its square is negligible in a row's length
_TIE = 1e-9  # two channels whose distances differ by less are both nearest


class Kernel(Protocol):
    """How much of each channel a unit receives."""

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights before normalisation, (unit, channel), for a population of this shape."""


def diffusion(
    kernel: Kernel, shape: Shape, channels: int, rng: np.random.Generator, signs: bool = False
) -> np.ndarray:
    """D of shape (unit, channel), rows of length 1.

    Parameters
    ----------
    kernel : Kernel
        How channels spread.
    shape : tuple of int
        Shape of the population, (unit,) or (channel, row, column).
    channels : int
        Number K of channels.
    rng : numpy.random.Generator
        For random kernels, and for the signs.
    signs : bool, default False
        Whether each unit has its own receptor sign for credit, ±1 at random.

    Raises
    ------
    DeclarationError
        If the kernel does not fit the population, or leaves a unit without credit.
    """
    require_count("credit diffusion", channels=channels)
    weights = kernel.weights(shape, channels, rng)
    length = np.linalg.norm(weights, axis=1, keepdims=True)
    silent = int(np.count_nonzero(~(length > 0)))
    if silent:
        raise DeclarationError(
            f"credit diffusion: with {channels} channels {kernel!r} brings no credit to {silent} of "
            f"{len(weights)} units; use a wider kernel, or Block() for the nearest channel only"
        )
    d = weights / length
    return d * rng.choice([-1.0, 1.0], size=(len(d), 1)) if signs else d


def _places(count: int) -> np.ndarray:
    """Positions of ``count`` units on a line of length 1."""
    return (np.arange(count) + 0.5) / count


def _bell(distance: np.ndarray, width: float) -> np.ndarray:
    """exp(−½ d²/width²) of (unit, channel); a unit too far from all receives only its nearest channel."""
    distance = np.abs(distance)
    with np.errstate(over="ignore", under="ignore"):  # at distances of many widths this underflows to 0
        bell = np.exp(-0.5 * (distance / width) ** 2)
        lost = bell.max(axis=1) < _NOTHING
        if lost.any():
            _log.warning(
                "credit kernel: width %g is so narrow that %d of %d units receive only their nearest channel",
                *(width, np.count_nonzero(lost), len(lost)),
            )
            further = distance[lost] - distance[lost].min(axis=1, keepdims=True)
            bell[lost] = further <= _TIE
    return bell


@register("kernel", "line")
@dataclass(frozen=True)
class Line:
    """Gaussian on a line: units and channels evenly spaced, D_ik = exp(−½ (x_i − x_k)²/width²).

    Parameters
    ----------
    width : float, default 0.5
        Standard deviation, in distances between neighbouring channels.
    """

    width: float = 0.5

    def __post_init__(self) -> None:
        require_positive(self, width=self.width)

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel)."""
        distance = _places(size(shape))[:, None] - _places(channels)
        return _bell(distance * channels, self.width)


@register("kernel", "ring")
@dataclass(frozen=True)
class Ring:
    """`Line` closed to a ring, so that no channel is at an edge.

    Parameters
    ----------
    width : float, default 0.5
        Standard deviation, in distances between neighbouring channels.
    """

    width: float = 0.5

    def __post_init__(self) -> None:
        require_positive(self, width=self.width)

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel)."""
        distance = np.abs(_places(size(shape))[:, None] - _places(channels))
        return _bell(np.minimum(distance, 1 - distance) * channels, self.width)


def _grid(count: int) -> np.ndarray:
    """``count`` positions in rows on a unit square, (position, 2); the last row may be incomplete."""
    columns = int(np.ceil(np.sqrt(count)))
    rows = int(np.ceil(count / columns))
    row, column = np.divmod(np.arange(count), columns)
    return np.stack([(row + 0.5) / rows, (column + 0.5) / columns], axis=1)


@register("kernel", "sheet")
@dataclass(frozen=True)
class Sheet:
    """Gaussian on a sheet: units and channels lie in rows on a unit square.

    Parameters
    ----------
    width : float, default 0.5
        Standard deviation, in distances between neighbouring channels, 1/√K.
    """

    width: float = 0.5

    def __post_init__(self) -> None:
        require_positive(self, width=self.width)

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel)."""
        offsets = _grid(size(shape))[:, None] - _grid(channels)
        return _bell(np.linalg.norm(offsets, axis=2) * np.sqrt(channels), self.width)


@register("kernel", "block")
@dataclass(frozen=True)
class Block:
    """Neighbours receive the same channel: unit i of n receives channel ⌊iK/n⌋."""

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel)."""
        return np.eye(channels)[np.arange(size(shape)) * channels // size(shape)]


@register("kernel", "modulo")
@dataclass(frozen=True)
class Modulo:
    """Unit i receives channel i mod K, as in error diffusion (arXiv 2606.31700)."""

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel)."""
        return np.eye(channels)[np.arange(size(shape)) % channels]


@register("kernel", "dense")
@dataclass(frozen=True)
class Scattered:
    """Every unit receives every channel with its own normal weight: no neighbourhoods."""

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel)."""
        return rng.normal(size=(size(shape), channels))


@register("kernel", "coarse_map")
@dataclass(frozen=True)
class CoarseMap:
    """Convolutional populations: the K channels are maps of grid × grid places, spread over rows and columns.

    If there are fewer maps than channels in the population, a ring of `width` spreads them; in space, places
    are interpolated linearly. K must be a multiple of grid².

    Parameters
    ----------
    grid : int, default 1
        Places along a side; with 1 all positions receive the same.
    width : float, default 0.5
        As for `Ring`, over the population's channels.
    """

    grid: int = 1
    width: float = 0.5

    def __post_init__(self) -> None:
        require_count(self, grid=self.grid)
        require_positive(self, width=self.width)

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel)."""
        places = self.grid**2
        if channels % places:
            raise DeclarationError(
                f"CoarseMap(grid={self.grid}): {channels} channels are not a whole number of maps of "
                f"{places} places; use a multiple of {places}"
            )
        if len(shape) == 1:
            return Ring(self.width).weights(shape, channels, rng)
        maps = Ring(self.width).weights(shape[:1], channels // places, rng)
        space = np.kron(_between(shape[1], self.grid), _between(shape[2], self.grid))
        return np.kron(maps, space)


def _between(count: int, grid: int) -> np.ndarray:
    """Linear interpolation from ``grid`` places to ``count`` positions, (position, place)."""
    at = np.clip(_places(count) * grid - 0.5, 0, grid - 1)
    return np.maximum(0.0, 1 - np.abs(at[:, None] - np.arange(grid)))


@register("kernel", "identity")
@dataclass(frozen=True)
class NoDiffusion:
    """D = I: one channel per unit, so K must be the number of units, and fits only one width."""

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel)."""
        if channels != size(shape):
            raise DeclarationError(
                f"NoDiffusion: {channels} channels for {size(shape)} units; give as many channels as units, "
                "or a kernel such as Ring() that spreads them"
            )
        return np.eye(channels)


@register("kernel", "learned")
@dataclass(frozen=True)
class Learned:
    """D is trained with the credit network, for ``units`` units; it starts as a `Ring`.

    For a population of another size it is interpolated linearly along the units.

    Parameters
    ----------
    units : int
        Number of rows of the trained D.
    width : float, default 0.5
        Width of the ring that it starts from.
    """

    units: int
    width: float = 0.5

    def __post_init__(self) -> None:
        require_count(self, units=self.units)
        require_positive(self, width=self.width)

    def weights(self, shape: Shape, channels: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (unit, channel) before training."""
        return Ring(self.width).weights(shape, channels, rng)

    def interpolated(self, shape: Shape) -> np.ndarray:
        """Interpolation of the trained D to a population of this shape, (unit, unit of the trained D)."""
        return _between(size(shape), self.units)
