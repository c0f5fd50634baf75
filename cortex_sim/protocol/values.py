"""Arguments of a phase or protocol, checked and normalised at construction."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from cortex_sim.arrays import finite
from cortex_sim.checks import short
from cortex_sim.errors import CortexSimError, DeclarationError
from cortex_sim.quantities import dimension, in_ms


class Comparable:
    """Equality of dataclasses that hold arrays: same class, and every field the same, arrays by value."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]


def same(one: Any, other: Any) -> bool:
    """Whether two settings are the same, arrays by dtype and value."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return (
            isinstance(one, np.ndarray)
            and isinstance(other, np.ndarray)
            and one.dtype == other.dtype
            and np.array_equal(one, other)
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def number(owner: str, what: str, value: Any) -> float:
    """A finite number, as float."""
    value = _without_unit(owner, what, value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise DeclarationError(f"{owner}: {what} must be a number. Got {short(value)}")
    if not math.isfinite(value):
        raise DeclarationError(f"{owner}: {what} must be a finite number. Got {short(value)}")
    return float(value)


def at_least_zero(owner: str, what: str, value: Any) -> float:
    """A finite number of at least 0, as float."""
    found = number(owner, what, value)
    if found < 0:
        raise DeclarationError(f"{owner}: {what} must be 0 or more. Got {value!r}")
    return found


def above_zero(owner: str, what: str, value: Any) -> float:
    """A finite number above 0, as float."""
    found = number(owner, what, value)
    if found <= 0:
        raise DeclarationError(f"{owner}: {what} must be a positive number. Got {value!r}")
    return found


def at_least_zero_ms(owner: str, what: str, value: Any) -> float:
    """A time of at least 0 as float, in ms; brian2's times are converted."""
    return at_least_zero(owner, what, in_ms(owner, what, value))


def above_zero_ms(owner: str, what: str, value: Any) -> float:
    """A time above 0 as float, in ms; brian2's times are converted."""
    return above_zero(owner, what, in_ms(owner, what, value))


def _without_unit(owner: str, what: str, value: Any) -> Any:
    unit = dimension(value)
    if unit is None:
        return value
    raise DeclarationError(
        f"{owner}: {what} has the unit {unit}, but rates and everything that acts on them are dimensionless; "
        f"give plain numbers. Got {short(value)}"
    )


def numeric(owner: str, what: str, value: Any) -> np.ndarray:
    """A read-only view of an array of finite numbers; nothing is copied."""
    _without_unit(owner, what, value)
    try:
        given = np.asarray(value)
    except (TypeError, ValueError) as exception:
        raise DeclarationError(
            f"{owner}: {what} must be an array of numbers ({exception}). Got {short(value)}"
        ) from None
    if np.ma.is_masked(value):
        raise DeclarationError(
            f"{owner}: {what} has masked values, which would be used unmasked; leave those presentations "
            "out, or fill them: values.filled(0.0)"
        )
    if given.dtype.kind == "b":
        given = given.astype(np.float64)
    if given.dtype.kind not in "fiu":
        raise DeclarationError(f"{owner}: {what} must be numbers. Got {short(value)}")
    if not given.ndim or not given.size:
        raise DeclarationError(f"{owner}: {what} is an array of shape {given.shape}; give at least one value")
    if not np.isfinite(given).all():
        raise DeclarationError(f"{owner}: {what} holds NaN or infinity; {finite(given)}")
    view = given.view()
    view.setflags(write=False)
    return view


def name_of(
    owner: str, what: str, given: Any, exception_type: type[CortexSimError] = DeclarationError
) -> str:
    """Name of a population, unit or projection, given as text or as the object that has it."""
    name = given if isinstance(given, str) else getattr(given, "name", None)
    if not isinstance(name, str) or not name:
        raise exception_type(f'{owner}: {what} takes names such as "V1" or "V1->IT". Got {short(given)}')
    return name


def names(
    owner: str, what: str, given: Any, exception_type: type[CortexSimError] = DeclarationError
) -> tuple[str, ...]:
    """One name or several, as a tuple without repeats, in order."""
    if isinstance(given, str) or hasattr(given, "name"):
        given = (given,)
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise exception_type(f'{owner}: {what} must be a list of names, such as ["V1"]. Got {short(given)}')
    return tuple(dict.fromkeys(name_of(owner, what, item, exception_type) for item in given))


def by_name(owner: str, what: str, given: Any) -> dict[str, Any]:
    """A mapping whose keys are names."""
    if not isinstance(given, Mapping):
        raise DeclarationError(
            f'{owner}: {what} must be a mapping, such as {{"V1": ...}}. Got {short(given)}'
        )
    return {name_of(owner, what, key): value for key, value in given.items()}
