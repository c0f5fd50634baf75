"""Activations: rate r = f(a) from drive a, gain f′(a), and drive f⁻¹(r) where f can be inverted.

Each is written with operators that numpy and torch share, and again as text in `a` for brian2
(``rate_text``, ``gain_text``); a user's own activation needs the text only to run in time. An activation
may have parameters, one value per unit or per channel: see `cortex_sim.transfers`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.capabilities import activation_of
from cortex_sim.checks import require_positive
from cortex_sim.registry import register
from cortex_sim.transfers import bound


@runtime_checkable
class Activation(Protocol):
    """The rate function of a population.

    ``invertible`` says whether `drive` exists. Where rates have a lower bound, ``lowest`` gives it
    (−1 for tanh, 0 for relu); if it is left out and a population is ``nonnegative``, the bound is found by
    sampling.
    """

    invertible: ClassVar[bool]

    def rate(self, a: Array) -> Array:
        """Rate f(a), elementwise."""

    def gain(self, a: Array) -> Array:
        """Gain f′(a), elementwise."""


@runtime_checkable
class Invertible(Activation, Protocol):
    """A rate function with an inverse, as target propagation and GAIT-prop's finite form need."""

    def drive(self, r: Array) -> Array:
        """Drive f⁻¹(r), elementwise; a rate outside f's range is replaced by the nearest inside it."""


def lower_bound(activation: Activation) -> float:
    """Lowest rate of an activation: the one it declares, or the lowest found over a wide range of drives."""
    said = activation_of(activation).lowest
    if said is not None:
        return float(said)
    drives = np.concatenate([[0.0], *(sign * np.geomspace(1e-6, 1e3, 400) for sign in (-1, 1))])
    try:
        start = {name: np.full(1, float(v)) for name, v in activation_of(activation).parameters.items()}
        return float(np.min(bound(activation, start).rate(drives)))
    except (TypeError, AttributeError, ValueError):  # it accepts tensors only
        return -math.inf


@register("activation", "linear")
@dataclass(frozen=True)
class Linear:
    """f(a) = a."""

    invertible: ClassVar[bool] = True
    rate_text: ClassVar[str] = "a"
    gain_text: ClassVar[str] = "1.0"

    def rate(self, a: Array) -> Array:
        """Rate f(a)."""
        return a

    def gain(self, a: Array) -> Array:
        """Gain f′(a) = 1."""
        return array_namespace(a).ones_like(a)

    def drive(self, r: Array) -> Array:
        """Drive f⁻¹(r) = r."""
        return r


@register("activation", "leaky_relu")
@dataclass(frozen=True)
class LeakyRelu:
    """f(a) = a where a > 0, else slope·a.

    Parameters
    ----------
    slope : float, default 0.1
        Gain below threshold; positive. GAIT-prop's papers use 0.1 (arXiv 2006.06438).
    """

    slope: float = 0.1
    invertible: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive(self, slope=self.slope)

    @property
    def rate_text(self) -> str:
        """f(a) for brian2."""
        return f"(int(a > 0) + {self.slope!r} * int(a <= 0)) * a"

    @property
    def gain_text(self) -> str:
        """f′(a) for brian2."""
        return f"(int(a > 0) + {self.slope!r} * int(a <= 0))"

    def rate(self, a: Array) -> Array:
        """Rate f(a)."""
        return array_namespace(a).where(a > 0, a, self.slope * a)

    def gain(self, a: Array) -> Array:
        """Gain f′(a); at the kink, the lower slope, as in torch."""
        xp = array_namespace(a)
        return xp.where(a > 0, xp.ones_like(a), self.slope * xp.ones_like(a))

    def drive(self, r: Array) -> Array:
        """Drive f⁻¹(r)."""
        return array_namespace(r).where(r > 0, r, r / self.slope)


@register("activation", "relu")
@dataclass(frozen=True)
class Relu:
    """f(a) = max(a, 0); silent below threshold, so it has no inverse."""

    invertible: ClassVar[bool] = False
    lowest: ClassVar[float] = 0.0
    rate_text: ClassVar[str] = "int(a > 0) * a"
    gain_text: ClassVar[str] = "int(a > 0)"

    def rate(self, a: Array) -> Array:
        """Rate f(a)."""
        xp = array_namespace(a)
        return xp.where(a > 0, a, xp.zeros_like(a))

    def gain(self, a: Array) -> Array:
        """Gain f′(a); 0 at the kink, as in torch."""
        xp = array_namespace(a)
        return xp.where(a > 0, xp.ones_like(a), xp.zeros_like(a))


def _inside(r: Array, low: float | None, high: float | None) -> Array:
    """Rates clipped to the open range (low, high), with a margin of one millionth."""
    xp = array_namespace(r)
    margin = 1e-6  # fixed, so that float32 and float64 agree on rates outside the range
    return xp.clip(r, None if low is None else low + margin, None if high is None else high - margin)


@register("activation", "tanh")
@dataclass(frozen=True)
class Tanh:
    """f(a) = tanh(a); rates between −1 and 1."""

    invertible: ClassVar[bool] = True
    lowest: ClassVar[float] = -1.0
    rate_text: ClassVar[str] = "tanh(a)"
    gain_text: ClassVar[str] = "(1 - tanh(a)**2)"

    def rate(self, a: Array) -> Array:
        """Rate f(a)."""
        return array_namespace(a).tanh(a)

    def gain(self, a: Array) -> Array:
        """Gain f′(a) = 1 − tanh²(a)."""
        r = self.rate(a)
        return 1 - r * r

    def drive(self, r: Array) -> Array:
        """Drive f⁻¹(r) = artanh(r)."""
        return array_namespace(r).atanh(_inside(r, -1.0, 1.0))


@register("activation", "logistic")
@dataclass(frozen=True)
class Logistic:
    """f(a) = 1 / (1 + e⁻ᵃ); rates between 0 and 1."""

    invertible: ClassVar[bool] = True
    lowest: ClassVar[float] = 0.0
    rate_text: ClassVar[str] = "0.5 * (1 + tanh(0.5 * a))"
    gain_text: ClassVar[str] = "0.25 * (1 - tanh(0.5 * a)**2)"

    def rate(self, a: Array) -> Array:
        """Rate f(a), computed by tanh so that no exponential overflows."""
        return 0.5 * (1 + array_namespace(a).tanh(0.5 * a))

    def gain(self, a: Array) -> Array:
        """Gain f′(a) = f(a)(1 − f(a))."""
        r = self.rate(a)
        return r * (1 - r)

    def drive(self, r: Array) -> Array:
        """Drive f⁻¹(r) = log(r / (1 − r))."""
        xp = array_namespace(r)
        inside = _inside(r, 0.0, 1.0)
        return xp.log(inside) - xp.log1p(-inside)


@register("activation", "softplus")
@dataclass(frozen=True)
class Softplus:
    """f(a) = log(1 + eᵃ); positive rates."""

    invertible: ClassVar[bool] = True
    lowest: ClassVar[float] = 0.0
    rate_text: ClassVar[str] = "(int(a > 0) * a + log1p(exp(-abs(a))))"
    gain_text: ClassVar[str] = "0.5 * (1 + tanh(0.5 * a))"

    def rate(self, a: Array) -> Array:
        """Rate f(a), without overflow."""
        xp = array_namespace(a)
        return xp.where(a > 0, a, xp.zeros_like(a)) + xp.log1p(xp.exp(-abs(a)))

    def gain(self, a: Array) -> Array:
        """Gain f′(a), the logistic function."""
        return Logistic().rate(a)

    def drive(self, r: Array) -> Array:
        """Drive f⁻¹(r) = r + log(1 − e⁻ʳ)."""
        xp = array_namespace(r)
        inside = _inside(r, 0.0, None)
        return inside + xp.log(-xp.expm1(-inside))
