"""Transfer functions: from a population's drive to its rate, by an activation that may have parameters.

An activation f(a) needs no parameters. One that declares ``parameters`` (initial values by name) has one
value of each per unit, or per channel if ``per`` is "channel", and receives them as keyword arguments:

    rate(a, *, mean, gain)       r, elementwise
    gain(a, *, mean, gain)       ∂r/∂a, elementwise
    drive(r, *, mean, gain)      f⁻¹, if f is invertible
    adapted(a, *, mean, gain)    their next values, by name, if they adapt slowly

They belong to the state of a network. `adapted` is called only in training, after each batch, so that a batch
is processed with the values from before it; whatever else presents stimuli (``updates``, ``respond``,
``evaluate``, diagnostics, protocols on both backends) does not change them.
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
    """An activation with fixed values of its parameters: a function of the drive alone."""

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
    """An activation as a function of the drive alone; the activation itself if it has no parameters."""
    return Bound(activation, values) if values else activation


def parameters_of(population: Population) -> Mapping[str, float]:
    """Initial values of the parameters of a population's activation, by name."""
    return population.declared.parameters


def adapts(population: Population) -> bool:
    """Whether the parameters of its activation change while the network learns."""
    return bool(parameters_of(population)) and population.declared.adapted is not None


def _channels(population: Population) -> int:
    """Number of values of one parameter: of units, or of channels if declared per channel."""
    return population.shape[0] if population.declared.per == "channel" else population.size


def initial_values(population: Population) -> dict[str, np.ndarray]:
    """Initial values of all parameters, (unit,) or (channel,), by name."""
    count = _channels(population)
    return {name: np.full(count, float(v)) for name, v in parameters_of(population).items()}


def by_unit(population: Population, values: Array) -> Array:
    """Values per unit, (…, unit), from values per unit or channel, (…, value)."""
    places = population.size // _channels(population)
    if places == 1:
        return values
    shape = (*values.shape, places)
    return array_namespace(values).broadcast_to(values[..., None], shape).reshape(*shape[:-2], -1)


def rows(population: Population, a: Array) -> Array:
    """Drives (…, presentation, unit) as `adapted` gets them: one row per presentation (and position)."""
    count = _channels(population)
    if count == population.size:
        return a
    lead = a.shape[:-2]
    by_channel = a.reshape(*a.shape[:-1], count, -1).swapaxes(-1, -2)
    return by_channel.reshape(*lead, -1, count)


def next_values(population: Population, a: Array, values: Values) -> dict[str, Array]:
    """Values of `adapted` for drives (…, presentation, unit), from current values (…, value).

    Raises
    ------
    DeclarationError
        If `adapted` returns names or shapes other than those of the parameters.
    """
    adapted: Any = population.declared.adapted
    found: dict[str, Array] = adapted(rows(population, a), **values)
    for name in {**found, **values}:
        shapes = [tuple(given[name].shape) if name in given else None for given in (found, values)]
        if shapes[0] != shapes[1]:
            raise DeclarationError(
                f"population {population.name}: adapted of {type(population.activation).__name__} returns "
                f"{name} of shape {shapes[0]}, but the parameter has shape {shapes[1]}; return every "
                "parameter by name, averaged over presentations (axis -2)"
            )
    return found


def check_parameters(population: Population) -> None:
    """Refuse an activation whose parameters cannot be stored, or whose methods do not accept them.

    Raises
    ------
    DeclarationError
        If it is one; the message says what would be right.
    """
    said, declared = population.declared, parameters_of(population)
    label = f"population {population.name}: {type(population.activation).__name__}"
    for name, value in declared.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise DeclarationError(f"{label}: a parameter's name must be a valid Python name. Got {name!r}")
        require_finite(label, **{name: value})
    activation: Any = population.activation
    methods = {"rate": activation.rate, "gain": activation.gain, "drive": said.drive, "adapted": said.adapted}
    for name, method in methods.items() if declared else ():
        if method is not None and not _takes(method, declared):
            raise DeclarationError(
                f"{label}: its {name} does not accept the parameters {', '.join(declared)} by name; "
                f"write def {name}(self, {'r' if name == 'drive' else 'a'}, *, {', '.join(declared)})"
            )


def _takes(method: Any, declared: Mapping[str, float]) -> bool:
    try:
        inspect.signature(method).bind(None, **declared)
    except TypeError:
        return False
    return True
