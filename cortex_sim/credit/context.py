"""The input of a credit network in a presentation, and the broadcast that it starts from."""

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
class TopSignals:
    """The state of the top population in a presentation, arrays of shape (…, presentation, unit of the top).

    ``rates`` r_L, ``goal`` the target (one-hot for labels), ``error`` the objective's credit −∂E/∂r_L.
    ``time``, in inner runs alone, is the part of the inner run that has passed, from 0 to 1, of shape (run,).
    """

    rates: Array
    goal: Array
    error: Array
    time: Array | None = None


class Context(Protocol):
    """What a credit network reads of the top population, as signals with name and size.

    ``parameters`` are the shapes of its trained parameters, by name; ``reads_error`` says whether it reads
    the objective's credit.
    """

    parameters: ClassVar[Mapping[str, tuple[int, ...]]]
    reads_error: ClassVar[bool]

    def signals(self, outputs: int) -> dict[str, int]:
        """Units of each signal, by name, for a top population of this many units."""

    def draw(self) -> dict[str, np.ndarray]:
        """Its parameters before training."""

    def trained(self, parameters: Mapping[str, np.ndarray]) -> Context:
        """The same context with trained parameters, which `draw` then returns."""

    def seen(self, received: TopSignals) -> dict[str, Array]:
        """Those signals, each (…, presentation, unit): what the network's first layer reads."""

    def base(self, parameters: Parameters, received: TopSignals) -> Array:
        """Signal that is broadcast before anything is learned, (…, presentation, unit of the top)."""


@register("context", "error")
@dataclass(frozen=True)
class ErrorContext:
    """The objective's error and the target: replaces the backward pass, not the objective.

    For cross-entropy the error, target − softmax, is the gradient at the output. Zero error, zero credit.
    """

    parameters: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    reads_error: ClassVar[bool] = True

    def draw(self) -> dict[str, np.ndarray]:
        """Nothing to draw."""
        return {}

    def trained(self, parameters: Mapping[str, np.ndarray]) -> ErrorContext:
        """The context itself: it has no parameters."""
        return self

    def signals(self, outputs: int) -> dict[str, int]:
        """Error and target, as large as the top."""
        return {"error": outputs, "goal": outputs}

    def seen(self, received: TopSignals) -> dict[str, Array]:
        """Error and target."""
        return {"error": received.error, "goal": received.goal}

    def base(self, parameters: Parameters, received: TopSignals) -> Array:
        """The error itself."""
        return received.error


@register("context", "raw")
@dataclass(frozen=True)
class RawContext:
    """Output rates and target only: neither an objective nor its gradient is evaluated.

    The broadcast is a contrast, tanh(α y_k − β r_k + γ r̄ + δ) with r̄ the mean rate of the top; α to δ are
    trained with everything else.

    Parameters
    ----------
    contrast : tuple of four float
        α, β, γ, δ before training.
    """

    contrast: tuple[float, float, float, float] = (1.5, 0.5, 0.5, 0.0)
    parameters: ClassVar[Mapping[str, tuple[int, ...]]] = {"contrast": (4, 1, 1)}
    reads_error: ClassVar[bool] = False

    def __post_init__(self) -> None:
        four = checked("RawContext contrast", self.contrast)
        if four.shape != (4,):
            raise DeclarationError(f"RawContext: contrast must be four numbers. Got {self.contrast!r}")
        object.__setattr__(self, "contrast", tuple(four.tolist()))

    def draw(self) -> dict[str, np.ndarray]:
        """α, β, γ, δ as shape (4, 1, 1)."""
        return {"contrast": np.array(self.contrast).reshape(4, 1, 1)}

    def trained(self, parameters: Mapping[str, np.ndarray]) -> RawContext:
        """The same context, with the trained contrast."""
        return RawContext(tuple(np.ravel(parameters["contrast"])))

    def signals(self, outputs: int) -> dict[str, int]:
        """Rates and target, as large as the top."""
        return {"rates": outputs, "goal": outputs}

    def seen(self, received: TopSignals) -> dict[str, Array]:
        """Rates, squashed, and target."""
        return {"rates": array_namespace(received.rates).tanh(0.25 * received.rates), "goal": received.goal}

    def base(self, parameters: Parameters, received: TopSignals) -> Array:
        """The contrast of target and rates."""
        xp = array_namespace(received.rates)
        c = parameters["contrast"]
        alpha, beta, gamma, delta = (c[..., i, :, :] for i in range(4))
        mean = xp.mean(received.rates, axis=-1, keepdims=True)
        return xp.tanh(alpha * received.goal - beta * received.rates + gamma * mean + delta)


def check_context(context: Context, outputs: int) -> None:
    """Raise `DeclarationError` if a context's signals, tried on zeros, differ from its declaration."""
    word = type(context).__name__
    nothing = TopSignals(*(np.zeros((1, outputs)) for _ in range(3)))
    declared = {name: (1, units) for name, units in context.signals(outputs).items()}
    seen = {name: np.shape(signal) for name, signal in context.seen(nothing).items()}
    if declared != seen:
        raise DeclarationError(
            f"{word}: its signals for {outputs} outputs must have shapes {declared}, as (presentation, unit)"
            f". Got {seen}; let signals(outputs) and seen(received) agree in name, order and size"
        )
    if (base := np.shape(context.base(context.draw(), nothing))) != (1, outputs):
        raise DeclarationError(f"{word}: base must have a unit for each of {outputs} outputs. Got {base}")
