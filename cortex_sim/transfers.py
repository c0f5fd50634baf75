"""Transfer: from a population's drive to its rate, by an activation that may have parameters of its own.

An activation f(a) needs none. One that declares ``parameters``, by name with the value each begins with, has
a value of each for every unit, or where ``per`` is "channel" for every channel, and takes them by keyword:

    rate(a, *, mean, gain)       r, elementwise
    gain(a, *, mean, gain)       ∂r/∂a, elementwise
    drive(r, *, mean, gain)      f⁻¹, where it is invertible
    adapted(a, *, mean, gain)    their next values, by name, where they are slow state

They belong to the state of a network. `adapted` is asked in training mode only, after each batch that is
learned from, so that a batch meets the values that were there before it; whatever else shows stimuli
(``updates``, ``respond``, ``evaluate``, diagnostics, protocols on both backends) leaves them as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_finite
from cortex_sim.errors import DeclarationError

if TYPE_CHECKING:
    from cortex_sim.population import Population

Values = Mapping[str, Array]


@dataclass(frozen=True)
class Bound:
    """An activation together with the values of its parameters: a function of the drive alone."""

    activation: Any
    values: Values

    def rate(self, a: Array) -> Array:
        """Rate f(a)."""
        return self.activation.rate(a, **self.values)

    def gain(self, a: Array) -> Array:
        """Gain f′(a)."""
        return self.activation.gain(a, **self.values)

    def drive(self, r: Array) -> Array:
        """Drive f⁻¹(r)."""
        return self.activation.drive(r, **self.values)


def bound(activation: Any, values: Values) -> Any:
    """An activation as a function of the drive alone: itself where it has no parameters."""
    return Bound(activation, values) if values else activation


def parameters_of(population: Population) -> Mapping[str, float]:
    """Parameters of a population's activation, by name, with the values they begin with."""
    return population.declared.parameters


def adapts(population: Population) -> bool:
    """Whether they move while a network learns."""
    return bool(parameters_of(population)) and population.declared.adapted is not None


def _channels(population: Population) -> int:
    """Values of one parameter: units, or channels where it is declared so."""
    return population.shape[0] if population.declared.per == "channel" else population.size


def initial_values(population: Population) -> dict[str, np.ndarray]:
    """Values that a network begins with, (unit,) or (channel,), by name."""
    count = _channels(population)
    return {name: np.full(count, float(v)) for name, v in parameters_of(population).items()}


def by_unit(population: Population, values: Array) -> Array:
    """Values of every unit, (…, unit), from those of its units or channels, (…, value)."""
    places = population.size // _channels(population)
    if places == 1:
        return values
    shape = (*values.shape, places)
    return array_namespace(values).broadcast_to(values[..., None], shape).reshape(*shape[:-2], -1)


def rows(population: Population, a: Array) -> Array:
    """Drives (…, presentation, unit) as `adapted` gets them: a row per presentation, or per place of one."""
    count = _channels(population)
    if count == population.size:
        return a
    lead = a.shape[:-2]
    by_channel = a.reshape(*a.shape[:-1], count, -1).swapaxes(-1, -2)
    return by_channel.reshape(*lead, -1, count)


def next_values(population: Population, a: Array, values: Values) -> dict[str, Array]:
    """What `adapted` says of drives (…, presentation, unit), from values (…, value).

    Raises
    ------
    DeclarationError
        If it gives other names or shapes than the parameters'.
    """
    adapted: Any = population.declared.adapted
    found: dict[str, Array] = adapted(rows(population, a), **values)
    for name in {**found, **values}:
        shapes = [tuple(given[name].shape) if name in given else None for given in (found, values)]
        if shapes[0] != shapes[1]:
            raise DeclarationError(
                f"population {population.name}: adapted of {type(population.activation).__name__} gives "
                f"{name} of shape {shapes[0]}, but the parameter has {shapes[1]}; return every parameter by "
                "its name, with means over the presentations, axis -2"
            )
    return found


def check_parameters(population: Population) -> None:
    """Refuse an activation whose parameters cannot be kept, or that does not take them.

    Raises
    ------
    DeclarationError
        With what would be right.
    """
    said, declared = population.declared, parameters_of(population)
    label = f"population {population.name}: {type(population.activation).__name__}"
    for name, value in declared.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise DeclarationError(f"{label}: a parameter needs a Python name. Got {name!r}")
        require_finite(label, **{name: value})
    activation: Any = population.activation
    methods = {"rate": activation.rate, "gain": activation.gain, "drive": said.drive, "adapted": said.adapted}
    for name, method in methods.items() if declared else ():
        if method is not None and not _takes(method, declared):
            raise DeclarationError(
                f"{label}: its {name} does not take the parameters {', '.join(declared)} by name; "
                f"write def {name}(self, {'r' if name == 'drive' else 'a'}, *, {', '.join(declared)})"
            )


def _takes(method: Any, declared: Mapping[str, float]) -> bool:
    try:
        inspect.signature(method).bind(None, **declared)
    except TypeError:
        return False
    return True
