"""Normalisers in time: with running statistics, one affine map from the drive to what the rate is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.activations import LeakyRelu, Linear, Tanh
from cortex_sim.errors import BuildError
from cortex_sim.loops import loops_of
from cortex_sim.network import Network
from cortex_sim.population import Population

Function = Callable[[np.ndarray], np.ndarray]

#: Variables of a neuron that hold what a normaliser keeps.
VARIABLE = "normaliser_{}"


@dataclass(frozen=True)
class Normalised:
    """Rate and gain of a population with a normaliser, as functions of its drive (presentation, unit).

    Parameters
    ----------
    rate_behind : callable
        f, of n = slope · (a − mean) + bias.
    gain_behind : callable or None
        f′; None where it is 1.
    slope, mean : array of shape (unit,)
        gain/√(variance + eps), and the running mean.
    bias : callable
        The present bias of every unit, which learning changes.
    """

    rate_behind: Function
    gain_behind: Function | None
    slope: np.ndarray
    mean: np.ndarray
    bias: Callable[[], np.ndarray | float]

    def normal(self, a: np.ndarray) -> np.ndarray:
        """Normalised drive n."""
        n: np.ndarray = self.slope * (a - self.mean) + self.bias()
        return n

    def rate(self, a: np.ndarray) -> np.ndarray:
        """Rate f(n)."""
        return self.rate_behind(self.normal(a))

    def behind(self, a: np.ndarray) -> np.ndarray:
        """f′(n), by which credit is multiplied before it passes through the normaliser."""
        return np.ones_like(a) if self.gain_behind is None else self.gain_behind(self.normal(a))

    def gain(self, a: np.ndarray) -> np.ndarray:
        """∂r/∂a."""
        found: np.ndarray = self.slope * self.behind(a)
        return found


def numpy_functions(activation: Any) -> tuple[Function, Function | None]:
    """Rate and gain (None where it is 1) of an activation, as plain numpy operations where possible.

    The activation's methods first look up the array's namespace, which costs as much as a small array.
    """
    if type(activation) is Linear:  # and not what inherits from it, whose rate may be another
        return _as_it_is, None
    if type(activation) is LeakyRelu:
        slope = activation.slope
        return lambda a: np.where(a > 0, a, slope * a), lambda a: np.where(a > 0, 1.0, slope)
    if type(activation) is Tanh:
        return np.tanh, _tanh_gain
    return activation.rate, activation.gain


def _as_it_is(a: np.ndarray) -> np.ndarray:
    return a


def _tanh_gain(a: np.ndarray) -> np.ndarray:
    r = np.tanh(a)
    return 1 - r * r


def slope_of(population: Population, kept: Mapping[str, np.ndarray]) -> np.ndarray:
    """gain/√(variance + eps), one per unit or channel."""
    assert population.normaliser is not None
    found: np.ndarray = kept["gain"] / np.sqrt(kept["variance"] + population.normaliser.eps)
    return found


def texts(population: Population) -> tuple[str, str]:
    """N and ∂n/∂a for brian2."""
    assert population.normaliser is not None
    gain, mean, variance = (VARIABLE.format(name) for name in ("gain", "mean", "variance"))
    slope = f"{gain} / sqrt({variance} + {float(population.normaliser.eps)!r})"
    bias = " + bias" if population.bias else ""
    return f"{slope} * (a - {mean}){bias}", slope


def check_normalisers(net: Network) -> None:
    """Raise `BuildError` where a normaliser has no rate dynamics here."""
    for name, population in net.populations.items():
        if population.normaliser is None:
            continue
        word = type(population.normaliser).__name__
        if not population.normaliser.running:
            raise BuildError(
                f"population {name}: {word} would need the drives of all units of a group at every moment, "
                "which nothing here collects; use BatchNorm(), whose statistics are fixed in time, or "
                'backend "torch"'
            )
        for loop in loops_of(net, gains=True):
            if name in loop.populations:
                raise BuildError(
                    f"population {name}: {word} in the loop of {', '.join(loop.populations)}, whose "
                    "stability is judged without normalisers; leave it out, or unroll the network on torch"
                )
