"""Fingerprint of plain data and arrays: equal for equal content, whatever the process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from cortex_sim.recording.fingerprint_of_code import of_callable


def fingerprint(value: Any) -> str:
    """Hexadecimal digest of nested dataclasses, mappings, sequences, sets, arrays and plain values."""
    return _digest(value, {}).hex()


def _digest(value: Any, known: dict[int, bytes]) -> bytes:
    # A plan contains the same phases thousands of times: each object is read once. All of them exist as
    # long as the value does, so that no address is reused.
    if id(value) not in known:
        text = hashlib.sha256()
        for piece in _pieces(value, known):
            text.update(len(piece).to_bytes(8, "big") + piece)
        known[id(value)] = text.digest()
    return known[id(value)]


def _pieces(value: Any, known: dict[int, bytes]) -> list[bytes]:
    kind = type(value).__name__.encode()
    if isinstance(value, np.ndarray):
        return [b"array", f"{value.dtype.str} {value.shape}".encode(), np.ascontiguousarray(value).tobytes()]
    if callable(value) and not isinstance(value, type):  # the function of a closed loop
        return [b"code", fingerprint(of_callable(value)).encode()]
    if is_dataclass(value):
        return [kind, *(_digest(getattr(value, field.name), known) for field in fields(value))]
    if isinstance(value, Mapping):
        return [b"map", *(piece for k in sorted(value) for piece in (k.encode(), _digest(value[k], known)))]
    if isinstance(value, (set, frozenset)):
        return [b"set", *(str(item).encode() for item in sorted(value))]
    if isinstance(value, (list, tuple)):
        return [b"list", *(_digest(item, known) for item in value)]
    return [kind, repr(value).encode()]
