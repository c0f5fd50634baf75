"""What a credit network is told of a presentation, and the broadcast it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from cortex_sim.arrays import Array, array_namespace, checked
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register

Parameters = Mapping[str, Array]


@dataclass(frozen=True)
class Told:
    """What stands at the top in a presentation, arrays of shape (…, presentation, unit of the top).

    ``rates`` r_L, ``goal`` the target (one-hot for labels), ``error`` the objective's credit −∂E/∂r_L.
    """

    rates: Array
    goal: Array
    error: Array


class Context(Protocol):
    """The part of what stands at the top that a credit network may read."""

    parameters: ClassVar[Mapping[str, tuple[int, ...]]]

    def draw(self) -> dict[str, np.ndarray]:
        """Its parameters before training."""

    def trained(self, parameters: Mapping[str, np.ndarray]) -> Context:
        """Itself with what training made of its parameters: `draw` then returns those."""

    def seen(self, told: Told) -> tuple[Array, Array]:
        """The two signals that the network's first layer reads, each (…, presentation, unit)."""

    def base(self, parameters: Parameters, told: Told) -> Array:
        """Signal that is broadcast before anything is learned, (…, presentation, unit of the top)."""


@register("context", "error")
@dataclass(frozen=True)
class ErrorContext:
    """The objective's error and the target: replaces the way back, not the objective.

    For cross-entropy the error, target − softmax, is the gradient at the output. Zero error, zero credit.
    """

    parameters: ClassVar[Mapping[str, tuple[int, ...]]] = {}

    def draw(self) -> dict[str, np.ndarray]:
        """Nothing to draw."""
        return {}

    def trained(self, parameters: Mapping[str, np.ndarray]) -> ErrorContext:
        """Itself: it has nothing to train."""
        return self

    def seen(self, told: Told) -> tuple[Array, Array]:
        """Error and target."""
        return told.error, told.goal

    def base(self, parameters: Parameters, told: Told) -> Array:
        """The error itself."""
        return told.error


@register("context", "raw")
@dataclass(frozen=True)
class RawContext:
    """Output rates and target alone: no objective is evaluated, no gradient of one is read.

    The broadcast is a contrast, tanh(α y_k − β r_k + γ r̄ + δ) with r̄ the mean rate of the top; α to δ are
    trained with everything else.

    Parameters
    ----------
    contrast : tuple of four float
        α, β, γ, δ before training.
    """

    contrast: tuple[float, float, float, float] = (1.5, 0.5, 0.5, 0.0)
    parameters: ClassVar[Mapping[str, tuple[int, ...]]] = {"contrast": (4, 1, 1)}

    def __post_init__(self) -> None:
        four = checked("RawContext contrast", self.contrast)
        if four.shape != (4,):
            raise DeclarationError(f"RawContext: contrast must be four numbers. Got {self.contrast!r}")
        object.__setattr__(self, "contrast", tuple(four.tolist()))

    def draw(self) -> dict[str, np.ndarray]:
        """α, β, γ, δ as shape (4, 1, 1)."""
        return {"contrast": np.array(self.contrast).reshape(4, 1, 1)}

    def trained(self, parameters: Mapping[str, np.ndarray]) -> RawContext:
        """The same context, starting from the contrast that training found."""
        return RawContext(tuple(np.ravel(parameters["contrast"])))

    def seen(self, told: Told) -> tuple[Array, Array]:
        """Rates, squashed, and target."""
        return array_namespace(told.rates).tanh(0.25 * told.rates), told.goal

    def base(self, parameters: Parameters, told: Told) -> Array:
        """The contrast of target and rates."""
        xp = array_namespace(told.rates)
        c = parameters["contrast"]
        alpha, beta, gamma, delta = (c[..., i, :, :] for i in range(4))
        mean = xp.mean(told.rates, axis=-1, keepdims=True)
        return xp.tanh(alpha * told.goal - beta * told.rates + gamma * mean + delta)
