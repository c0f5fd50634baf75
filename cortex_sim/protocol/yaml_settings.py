"""Settings in a protocol's YAML: only known ones, and times with their unit."""

from __future__ import annotations

import re
from typing import Any

from cortex_sim.checks import require_known
from cortex_sim.errors import DeclarationError

_TIME = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(us|µs|ms|s|min)\s*")
_IN_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "min": 6e4}


def settings(owner: str, entry: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """An entry's settings, times in ms under the name that ends in ``_ms``.

    ``duration: 0.2 s``, ``duration_ms: 200 ms`` and ``duration_ms: 200`` mean the same; unknown keys
    are errors that list the known ones.
    """
    if not isinstance(entry, dict):
        raise DeclarationError(f"{owner}: expected settings, key: value. Got {entry!r}")
    found: dict[str, Any] = {}
    for key, value in entry.items():
        name = f"{key}_ms" if f"{key}_ms" in known else key
        require_known(f"key of {owner}", name, dict.fromkeys(known))
        if name in found:
            raise DeclarationError(f"{owner}: {key} and {name} mean the same; keep one")
        is_time = name.endswith("_ms")
        found[name] = _in_ms(f"{owner}: {key}", value, needs_unit=name != key) if is_time else value
    return found


def _in_ms(what: str, value: Any, needs_unit: bool) -> Any:
    if isinstance(value, dict) and "from_trial" in value and not isinstance(value["from_trial"], dict):
        return {**value, "value": _in_ms(what, value.get("value"), needs_unit)}
    if isinstance(value, dict) and "closed_loop" in value:
        return value
    if isinstance(value, dict) and ("dtype" in value or "by" in value):  # an array; or values by image
        return {k: _in_ms(what, one, needs_unit) if k == "per_trial" else one for k, one in value.items()}
    if isinstance(value, dict):
        return {key: _in_ms(f"{what} of {key}", item, needs_unit) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_ms(f"{what}[{k}]", item, needs_unit) for k, item in enumerate(value)]
    if isinstance(value, str):
        read_as = _TIME.fullmatch(value)
        if read_as is None:
            raise DeclarationError(f'{what} must be a time such as "200 ms" or "0.2 s". Got {value!r}')
        return float(read_as[1]) * _IN_MS[read_as[2]]
    if needs_unit and value is not None:
        raise DeclarationError(f"{what} needs a unit, such as {value} ms. Got {value!r}")
    return value
