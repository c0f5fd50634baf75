"""The input of a credit network for one presentation, and the broadcast that it starts from."""

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
    """State of the top population, arrays of shape (…, presentation, unit of the top).

    ``rates`` are r_L, ``goal`` is the target (one-hot for labels), ``error`` the objective's credit
    −∂E/∂r_L. ``time``, only in inner runs, is the elapsed fraction of the inner run, from 0 to 1, of shape
    (run,).
    """

    rates: Array
    goal: Array
    error: Array
    time: Array | None = None


class Context(Protocol):
    """What a credit network reads from the top population, as named signals.

    ``parameters`` holds the shapes of the context's trained parameters, by name; ``reads_error`` says whether
    it reads the objective's credit.
    """

    parameters: ClassVar[Mapping[str, tuple[int, ...]]]
    reads_error: ClassVar[bool]

    def signals(self, outputs: int) -> dict[str, int]:
        """Number of units of each signal, by name, for a top population of ``outputs`` units."""

    def draw(self) -> dict[str, np.ndarray]:
        """The context's parameters before training."""

    def trained(self, parameters: Mapping[str, np.ndarray]) -> Context:
        """The same context with trained parameters, which `draw` then returns."""

    def seen(self, received: TopSignals) -> dict[str, Array]:
        """The signals, each (…, presentation, unit), which the network's first layer reads."""

    def base(self, parameters: Parameters, received: TopSignals) -> Array:
        """The signal that is broadcast before training, (…, presentation, unit of the top)."""


@register("context", "error")
@dataclass(frozen=True)
class ErrorContext:
    """The objective's error and the target: it replaces the backward pass, but not the objective.

    For cross-entropy the error, target − softmax, is the negative gradient at the output. If the error is
    zero, so is the credit.
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

    The broadcast is a contrast, tanh(α y_k − β r_k + γ r̄ + δ), with y the target, r the rates of the top and
    r̄ their mean; α to δ are trained with all other parameters.

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
        """Rates, through a saturating function, and target."""
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
            f". Got {seen}; make signals(outputs) and seen(received) agree in name, order and size"
        )
    if (base := np.shape(context.base(context.draw(), nothing))) != (1, outputs):
        raise DeclarationError(f"{word}: base must have one unit for each of {outputs} outputs. Got {base}")
