"""What a function does, as plain data for a fingerprint: its instructions, constants, and what it reads."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_PLAIN = (int, float, complex, str, bytes, bool, type(None), np.ndarray, np.generic)


def of_callable(function: Any) -> Any:
    """Plain data that is equal for equal code, constants, defaults, enclosed and global values.

    Comments, names of files and line numbers do not count. Objects other than numbers, text, arrays,
    containers of these and functions count by their type alone.
    """
    return _of(function, set())


def _of(value: Any, seen: set[int]) -> Any:
    if isinstance(value, _PLAIN) or (is_dataclass(value) and not callable(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [_of(item, seen) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    if isinstance(value, Mapping):
        return {str(key): _of(item, seen) for key, item in value.items()}
    if isinstance(value, (ModuleType, type, BuiltinFunctionType)):
        return f"{getattr(value, '__module__', '')}.{value.__name__}"
    if id(value) in seen:  # a function that calls itself
        return getattr(value, "__name__", type(value).__name__)
    seen = {*seen, id(value)}
    if isinstance(value, functools.partial):
        return [_of(part, seen) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, MethodType):
        return [_of(value.__func__, seen), _of_object(value.__self__, seen)]
    if isinstance(value, FunctionType):
        return _of_function(value, seen)
    return _of_object(value, seen)


def _of_object(value: Any, seen: set[int]) -> Any:
    """What an object states in ``fingerprinted()``, else its class, and its ``__call__`` if it has one."""
    if hasattr(value, "fingerprinted"):
        return _of(value.fingerprinted(), seen)
    kind = type(value)
    call = getattr(kind, "__call__", None)  # noqa: B004 - its code is wanted
    own = [_of(call, seen), _of(vars(value), seen)] if isinstance(call, FunctionType) else []
    return [f"{kind.__module__}.{kind.__qualname__}", *own]


def _of_function(function: FunctionType, seen: set[int]) -> Any:
    code = function.__code__
    cells = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    found = {name: function.__globals__[name] for name in _names(code) if name in function.__globals__}
    defaults = [function.__defaults__ or (), function.__kwdefaults__ or {}]
    return [_of_code(code), *(_of(part, seen) for part in (defaults, cells, found))]


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _names(code: CodeType) -> list[str]:
    inner = [name for one in code.co_consts if isinstance(one, CodeType) for name in _names(one)]
    return sorted({*code.co_names, *inner})


def _of_code(code: CodeType) -> Any:
    """Version of Python, instructions, constants and names of a code object."""
    constants = [_of_code(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    names = [*code.co_names, *code.co_varnames, *code.co_freevars]
    return [f"{sys.version_info[:2]}", code.co_code.hex(), constants, names]
