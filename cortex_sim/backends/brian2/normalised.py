"""Normalisers in time: by running statistics, or by those of a group's drives at the present moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.activations import LeakyRelu, Linear, Tanh
from cortex_sim.errors import BuildError
from cortex_sim.loops import loops_of
from cortex_sim.network import Network
from cortex_sim.normalisers import GroupNorm, LayerNorm
from cortex_sim.population import Population

Function = Callable[[np.ndarray], np.ndarray]

#: Variables of a neuron that hold what a normaliser keeps.
VARIABLE = "normaliser_{}"


@dataclass(frozen=True)
class Affine:
    """Normalisation by running statistics: slope · (a − mean), unit by unit.

    Parameters
    ----------
    slope, mean : array of shape (unit,)
        gain/√(variance + eps), and the running mean.
    """

    slope: np.ndarray
    mean: np.ndarray

    def normal(self, a: np.ndarray) -> np.ndarray:
        """Normalised drive without its offset."""
        normal: np.ndarray = self.slope * (a - self.mean)
        return normal

    def back(self, a: np.ndarray, signal: np.ndarray) -> np.ndarray:
        """Jᵀ of a signal."""
        through: np.ndarray = self.slope * signal
        return through


@dataclass(frozen=True)
class Grouped:
    """Normalisation within groups by their present drives: gain · (a − mean)/√(variance + eps).

    Parameters
    ----------
    groups : int
        Number of groups of neighbouring units, along the first axis of the population.
    eps : float
    gain : array of shape (unit,)
    """

    groups: int
    eps: float
    gain: np.ndarray

    def moments(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the group of every unit, (presentation, unit)."""
        mean, variance = self._of_groups(a)
        each = a.shape[1] // self.groups
        return np.repeat(mean[:, :, 0], each, axis=1), np.repeat(variance[:, :, 0], each, axis=1)

    def normal(self, a: np.ndarray) -> np.ndarray:
        """Normalised drive without its offset."""
        normal: np.ndarray = self.gain * self._standardised(a)[0].reshape(a.shape)
        return normal

    def back(self, a: np.ndarray, signal: np.ndarray) -> np.ndarray:
        """Jᵀ of a signal: (w − ⟨w⟩ − x̂⟨w x̂⟩)/√(variance + eps), w = gain · signal, ⟨·⟩ over a group."""
        x, size = self._standardised(a)
        w = (self.gain * signal).reshape(x.shape)
        of_size = x * (w * x).mean(2, keepdims=True)
        through: np.ndarray = ((w - w.mean(2, keepdims=True) - of_size) / size).reshape(a.shape)
        return through

    def _of_groups(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        by_group = a.reshape(len(a), self.groups, -1)
        return by_group.mean(2, keepdims=True), by_group.var(2, keepdims=True)

    def _standardised(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, variance = self._of_groups(a)
        size = np.sqrt(variance + self.eps)
        return (a.reshape(len(a), self.groups, -1) - mean) / size, size


@dataclass(frozen=True)
class Normalised:
    """Rate of a population with a normaliser, and credit through it, from its drive (presentation, unit).

    Parameters
    ----------
    rate_behind : callable
        f, of the normalised drive n.
    gain_behind : callable or None
        f′; None where it is 1.
    by : Affine or Grouped
        Maps drives to n without its offset, and signals back.
    bias : callable
        The present bias of every unit, which learning changes.
    """

    rate_behind: Function
    gain_behind: Function | None
    by: Affine | Grouped
    bias: Callable[[], np.ndarray | float]

    def rate(self, a: np.ndarray) -> np.ndarray:
        """Rate f(n)."""
        return self.rate_behind(self.by.normal(a) + self.bias())

    def behind(self, a: np.ndarray) -> np.ndarray:
        """f′(n), by which credit is multiplied before it passes through the normaliser."""
        if self.gain_behind is None:
            return np.ones_like(a)
        return self.gain_behind(self.by.normal(a) + self.bias())

    def gain(self, a: np.ndarray) -> np.ndarray:
        """∂r/∂a of a unit by itself."""
        return self.by.back(a, self.behind(a))


def way_of(population: Population, kept: Mapping[str, np.ndarray]) -> Affine | Grouped:
    """The normaliser of a population, from its gain and statistics, (unit,) each."""
    one: Any = population.normaliser
    if one.running:
        return Affine(kept["gain"] / np.sqrt(kept["variance"] + one.eps), kept["mean"])
    return Grouped(_groups(one), one.eps, kept["gain"])


def _groups(normaliser: Any) -> int:
    return int(normaliser.groups) if type(normaliser) is GroupNorm else 1


def _is_grouped(normaliser: Any) -> bool:
    return type(normaliser) in (GroupNorm, LayerNorm)  # not subclasses, whose moments may differ


def at_this_moment(population: Population) -> bool:
    """Whether its statistics are those of the present drives."""
    return population.normaliser is not None and not population.normaliser.running


def numpy_functions(activation: Any) -> tuple[Function, Function | None]:
    """Rate and gain (None where it is 1) of an activation, as plain numpy operations where possible.

    The activation's methods first look up the array's namespace, which costs as much as a small array.
    """
    if type(activation) is Linear:  # not subclasses, whose rate may differ
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


def texts(population: Population) -> tuple[str, str]:
    """Texts of n and ∂n/∂a for brian2."""
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
        if at_this_moment(population) and not _is_grouped(population.normaliser):
            raise BuildError(
                f"population {name}: {word} needs statistics that rate dynamics do not compute; give it "
                'running statistics (running = True), use GroupNorm or LayerNorm, or backend "torch"'
            )
        for loop in loops_of(net, gains=True):
            if name in loop.populations:
                raise BuildError(
                    f"population {name}: {word} acts in the loop of {', '.join(loop.populations)}, and the "
                    "stability of loops is judged without normalisers; leave it out, or unroll the network "
                    "on torch"
                )


def check_in_synapses(net: Network) -> None:
    """Raise `BuildError` where a normaliser cannot be made of single synapses."""
    for name, population in net.populations.items():
        if at_this_moment(population):
            raise BuildError(
                f"population {name}: {type(population.normaliser).__name__} needs the drives of all units of "
                "a group at every moment, which the synapses engine does not collect; use BatchNorm(), or "
                'engine="batched"'
            )
