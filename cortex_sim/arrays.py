"""Arrays: the operators that numpy and torch share, and arrays as lossless plain data."""

from __future__ import annotations

import base64
import math
from typing import Any

import array_api_compat
import numpy as np

from cortex_sim.checks import short
from cortex_sim.errors import DeclarationError

#: What a backend passes to a rule: a numpy array or a torch tensor; rules use only shared operators.
Array = Any

__all__ = [
    "Array",
    "FixedArray",
    "array_from_data",
    "array_namespace",
    "array_to_data",
    "checked",
    "finite",
    "is_array_data",
]


_OF_NUMPY = array_api_compat.array_namespace(np.empty(0))


def array_namespace(*arrays: Array) -> Any:
    """Namespace of the library that arrays belong to, as in the array API standard."""
    if len(arrays) == 1 and type(arrays[0]) is np.ndarray:  # called in every time step
        return _OF_NUMPY
    return array_api_compat.array_namespace(*arrays)


class FixedArray:
    """A read-only array used as a setting: compared by its content, and hashable."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.array(values)
        self.values.setflags(write=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype) if dtype is not None or copy else self.values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FixedArray) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.values.shape, self.values.tobytes()))

    def __repr__(self) -> str:
        return f"array of shape {self.values.shape}"


def checked(owner: str, array: Any) -> np.ndarray:
    """Return a read-only float64 copy; NaN, infinity and non-numbers are errors naming ``owner``."""
    try:
        given = np.asarray(array)
        if given.dtype.kind not in "fiub":
            raise TypeError(f"these are {given.dtype}")
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as exception:
        raise DeclarationError(
            f"{owner}: weights must be an array of numbers ({exception}). Got {short(array)}"
        ) from None
    if not np.isfinite(values).all():
        raise DeclarationError(f"{owner}: weights contain NaN or infinity; {finite(values)}")
    values.setflags(write=False)
    return values


def finite(values: np.ndarray) -> str:
    """What to do about an array that is not finite, with the first such value and its index."""
    place = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0]) if values.ndim else ()
    at = f" at index {place[0] if len(place) == 1 else place}" if place else ""
    return f"give finite numbers. Got {values[place]}{at}"


def array_to_data(array: Any) -> dict[str, Any]:
    """Array as lossless plain data: dtype, shape and the bytes in base64."""
    values = np.array(array, order="C")
    encoded = base64.b64encode(values.tobytes()).decode("ascii")
    return {"dtype": values.dtype.str, "shape": list(values.shape), "base64": encoded}


def is_array_data(value: Any) -> bool:
    """Whether plain data is an array written by `array_to_data`."""
    return isinstance(value, dict) and set(value) == {"dtype", "shape", "base64"}


def array_from_data(data: dict[str, Any]) -> np.ndarray:
    """Array written by `array_to_data`; a number of bytes that does not fit its shape is an error."""
    try:
        dtype, shape = np.dtype(data["dtype"]), tuple(map(int, data["shape"]))
        raw = base64.b64decode(data["base64"], validate=True)
    except (TypeError, ValueError) as exception:
        raise DeclarationError(f"array in YAML: needs dtype, shape and base64 ({exception})") from None
    if dtype.kind not in "fiu" or min(shape, default=0) < 0:
        raise DeclarationError(
            f"array in YAML: dtype must be numeric and lengths 0 or more. Got {data['dtype']!r}, {shape}"
        )
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) != expected:
        raise DeclarationError(
            f"array in YAML: shape {shape} of {dtype} needs {expected} bytes. Got {len(raw)}"
        )
    return np.frombuffer(raw, dtype=dtype).reshape(shape)
