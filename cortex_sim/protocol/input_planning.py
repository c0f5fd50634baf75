"""Drives and nudges of a phase, converted to float64 arrays of their populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cortex_sim import objectives
from cortex_sim.connectors import size
from cortex_sim.credit.population import CreditPopulation
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.population import Population
from cortex_sim.preprocessing import Preprocessing
from cortex_sim.protocol.inputs import Noise, Stimuli, Sum, TimeSeries
from cortex_sim.protocol.plan import Constant, Images, Input, Series, Summed, White, parts_of

Driven = Population | CreditPopulation


@dataclass
class Arrays:
    """Converts arrays to float64; an array that several phases share is converted once.

    Attributes
    ----------
    preprocessing : mapping of str to Preprocessing
        By population, applied to the images of data sets for a trained network.
    """

    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    known: dict[Any, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    goals: dict[Any, tuple[Any, Goals]] = field(default_factory=dict)
    drawn: dict[tuple[Stimuli, Any], np.ndarray] = field(default_factory=dict)

    def images(self, given: Any, population: str) -> np.ndarray:
        """An array, or the preprocessed images of a data set for this population, drawn once."""
        if not isinstance(given, Stimuli):
            return given
        shown = self.preprocessing.get(population)
        if (given, shown) not in self.drawn:
            self.drawn[given, shown] = given.images if shown is None else given.images_through(shown)
        return self.drawn[given, shown]

    def labels(self, given: Any) -> np.ndarray:
        """An array, or the labels of a data set."""
        return given.labels if isinstance(given, Stimuli) else given

    def float64(self, array: np.ndarray) -> np.ndarray:
        """The array in float64, contiguous and read-only."""
        key = self._key(array)
        if key not in self.known:
            values = np.ascontiguousarray(array, dtype=np.float64).view()
            values.setflags(write=False)
            self.known[key] = (array, values)  # the array is kept alive, so that its address is not reused
        return self.known[key][1]

    def root(self, covariance: np.ndarray) -> np.ndarray:
        """The symmetric square root of a covariance, made once."""
        key = ("root", *self._key(covariance))
        if key not in self.known:
            values, vectors = np.linalg.eigh(covariance.astype(np.float64))
            zero = values < len(values) * np.finfo(float).eps * values[-1]  # rounding of what is 0
            root = (vectors * np.sqrt(np.where(zero, 0.0, values))) @ vectors.T
            root.setflags(write=False)
            self.known[key] = (covariance, root)
        return self.known[key][1]

    @staticmethod
    def _key(array: np.ndarray) -> tuple[Any, ...]:
        return (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)


def lengths_of(given: Input) -> set[int]:
    """Numbers of presentations in those of a drive's arrays that have one entry for each."""
    return {
        len(part.values)
        for part in parts_of(given)
        if isinstance(part, Images) or (isinstance(part, Series) and part.each)
    }


def input_of(owner: str, population: Driven, given: Any, arrays: Arrays, what: str = "drive") -> Input:
    """Input of a population, from the drive of a phase, or from another setting that takes such values."""
    label = f"{owner}: {what} of {population.name}"
    if isinstance(given, Sum):
        parts = [input_of(owner, population, part, arrays, what) for part in given.parts]
        return Summed(tuple(one for part in parts for one in parts_of(part)))
    if isinstance(given, Noise):
        return _white(label, population, given, arrays)
    if isinstance(given, TimeSeries):
        return Series(_series(label, population, given.values, arrays), given.bin_ms)
    if isinstance(given, float):
        return Constant(np.full(population.size, given))
    array = arrays.images(given, population.name)
    values = arrays.float64(array)
    if array.shape in (population.shape, (population.size,)):
        return Constant(values.reshape(population.size))
    if array.shape[1:] in (population.shape, (population.size,)):
        return Images(values.reshape(-1, population.size))
    raise DeclarationError(
        f"{label} has shape {array.shape}; give {_shapes(population.shape, 'presentation')}"
    )


def _white(label: str, population: Driven, given: Noise, arrays: Arrays) -> White:
    if given.covariance is None:
        return White(given.mean, given.sd, given.hold_ms)
    if len(given.covariance) != population.size:
        raise DeclarationError(
            f"{label}: covariance has shape {given.covariance.shape}, and {population.name} has "
            f"{population.size} unit{'s' * (population.size != 1)}; give shape ({population.size}, "
            f"{population.size})"
        )
    return White(given.mean, 1.0, given.hold_ms, arrays.root(given.covariance))


def _series(label: str, population: Driven, array: np.ndarray, arrays: Arrays) -> np.ndarray:
    values = arrays.float64(array)
    if array.ndim == 1:
        return np.broadcast_to(values[:, None], (len(values), population.size))
    own = (population.shape, (population.size,))
    if array.shape[1:] in own:
        return values.reshape(-1, population.size)
    if array.shape[2:] in own:
        return values.reshape(*array.shape[:2], population.size)
    by_bin = _shapes(population.shape, "bin").partition(", or ")[2]
    raise DeclarationError(
        f"{label} is a TimeSeries of shape {array.shape}; give (bin,) for one input to all units, "
        f"{by_bin}, or (presentation, bin, {population.size}) for a movie per trial"
    )


def _shapes(shape: tuple[int, ...], lead: str) -> str:
    """The shapes that fit a population, for an error."""
    units = f"({size(shape)},)"
    with_lead = f"({lead}, {size(shape)})"
    if len(shape) == 1:
        return f"{units} for all, or {with_lead}"
    spelled = ", ".join(map(str, shape))
    return f"{units} or ({spelled}) for all, or {with_lead} or ({lead}, {spelled})"


@dataclass(frozen=True)
class Goals:
    """Values of a nudge: (presentation, unit) where ``each`` presentation has its own, else (1, unit)."""

    values: np.ndarray
    each: bool


def goals_of(owner: str, net: Network, population: Population, given: Any, arrays: Arrays) -> Goals:
    """Goals of a population, from the nudge of a phase."""
    key = (id(given), population.name)
    if key not in arrays.goals:
        arrays.goals[key] = (given, _goals_of(owner, net, population, given, arrays))
    return arrays.goals[key][1]


def _goals_of(owner: str, net: Network, population: Population, given: Any, arrays: Arrays) -> Goals:
    label = f"{owner}: nudge of {population.name}"
    if population.name in net.sources:
        raise DeclarationError(
            f"{label}: it has no bottom-up input, so its drive sets its rate and a nudge has "
            "no effect; nudge a population above, or change the drive"
        )
    labels = arrays.labels(given)
    if labels.ndim == 1 and labels.dtype.kind in "iu" and population.name == net.objective_at:
        return Goals(_one_hot(label, population, labels), each=True)
    if labels.dtype == np.uint8 and labels.max() > 1:
        raise DeclarationError(
            f"{label}: targets are 8-bit integers, which are grey levels of an image from 0 to 255 rather "
            f"than rates; give floats, such as targets / 255"
        )
    values = arrays.float64(labels)
    if labels.shape in (population.shape, (population.size,)):
        goals = Goals(values.reshape(1, population.size), each=False)
    elif labels.shape[1:] in (population.shape, (population.size,)):
        goals = Goals(values.reshape(-1, population.size), each=True)
    else:
        at = net.objective_at
        hint = f"; labels are whole numbers of shape (presentation,), for {at} only" if at else ""
        raise DeclarationError(
            f"{label} has shape {labels.shape} ({labels.dtype}); give "
            f"{_shapes(population.shape, 'presentation')}{hint}"
        )
    _check_probabilities(label, net, population, goals.values)
    return goals


_LABELS = "(whole numbers are labels, a target of shape (unit,) has floats)"


def _one_hot(label: str, population: Population, labels: np.ndarray) -> np.ndarray:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= population.size:
        raise DeclarationError(
            f"{label}: labels must be from 0 to {population.size - 1}. Got {low if low < 0 else high} "
            f"{'(labels start at 0: subtract 1)' if low == 1 and high == population.size else _LABELS}"
        )
    values = np.zeros((len(labels), population.size))
    values[np.arange(len(labels)), labels] = 1.0
    return values


def _check_probabilities(label: str, net: Network, population: Population, values: np.ndarray) -> None:
    if population.name != net.objective_at:
        return
    wrong = objectives.complaint(net.objective_function, values, " (or whole-number labels)")
    if wrong:
        raise DeclarationError(f"{label}: {wrong}")
