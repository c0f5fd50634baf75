"""Initial weights: drawn with numpy in float64, each projection from its own random stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np

from cortex_sim.arrays import checked
from cortex_sim.checks import require_finite, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register


class Initialiser(Protocol):
    """Draws the weight matrix of a projection, of shape (post, inputs of one post unit)."""

    def draw(self, rng: np.random.Generator, post: int, fan_in: int) -> np.ndarray:
        """Weights of shape (post, fan_in), float64."""


def stream(seed: int, projection: str) -> np.random.Generator:
    """Random generator of one projection: it draws the same weights whatever else the network contains."""
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(projection.encode())]))


@register("initialiser", "orthogonal")
@dataclass(frozen=True)
class Orthogonal:
    """WWᵀ = gain²·I, or WᵀW = gain²·I where post units outnumber inputs; Haar distributed.

    Parameters
    ----------
    gain : float, default 1.0
        Every singular value; positive.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, gain=self.gain)

    def draw(self, rng: np.random.Generator, post: int, fan_in: int) -> np.ndarray:
        """Weights of shape (post, fan_in)."""
        tall = rng.normal(size=(max(post, fan_in), min(post, fan_in)))
        q, triangle = np.linalg.qr(tall)
        q = q * np.sign(np.diag(triangle))  # without the signs QR is not Haar distributed
        return self.gain * (q if post >= fan_in else q.T)


@register("initialiser", "xavier")
@dataclass(frozen=True)
class Xavier:
    """Normal with variance gain²·2/(fan_in + post).

    Parameters
    ----------
    gain : float, default 1.0
        Factor on the standard deviation; positive.

    References
    ----------
    Glorot & Bengio (2010), AISTATS 9.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, gain=self.gain)

    def draw(self, rng: np.random.Generator, post: int, fan_in: int) -> np.ndarray:
        """Weights of shape (post, fan_in)."""
        return self.gain * np.sqrt(2 / (fan_in + post)) * rng.normal(size=(post, fan_in))


@register("initialiser", "he")
@dataclass(frozen=True)
class He:
    """Normal with variance gain²·2/fan_in.

    Parameters
    ----------
    gain : float, default 1.0
        Factor on the standard deviation; positive.

    References
    ----------
    He et al. (2015), arXiv 1502.01852.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, gain=self.gain)

    def draw(self, rng: np.random.Generator, post: int, fan_in: int) -> np.ndarray:
        """Weights of shape (post, fan_in)."""
        return self.gain * np.sqrt(2 / fan_in) * rng.normal(size=(post, fan_in))


@register("initialiser", "uniform")
@dataclass(frozen=True)
class Uniform:
    """Uniform between two weights, whatever the number of inputs.

    Parameters
    ----------
    low, high : float, default 0.0 and 1.0
        Smallest and largest weight.
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        require_finite(self, low=self.low, high=self.high)
        if self.low >= self.high:
            raise DeclarationError(f"Uniform: low must be below high. Got {self.low} and {self.high}")

    def draw(self, rng: np.random.Generator, post: int, fan_in: int) -> np.ndarray:
        """Weights of shape (post, fan_in)."""
        return rng.uniform(self.low, self.high, size=(post, fan_in))


@register("initialiser", "zeros")
@dataclass(frozen=True)
class Zeros:
    """All weights zero: the default of lateral projections."""

    def draw(self, rng: np.random.Generator, post: int, fan_in: int) -> np.ndarray:
        """Zeros of shape (post, fan_in); the generator is not used."""
        return np.zeros((post, fan_in))


@register("initialiser", "array")
@dataclass(frozen=True, eq=False)
class GivenWeights:
    """Weights given as an array, of the projection's shape."""

    weights: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", checked("initial weights", self.weights))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GivenWeights) and np.array_equal(self.weights, other.weights)

    def __hash__(self) -> int:
        return hash(self.weights.tobytes())

    def draw(self, rng: np.random.Generator, post: int, fan_in: int) -> np.ndarray:
        """The given weights, as (post, fan_in); the generator is not used."""
        return self.weights.reshape(post, fan_in)
