"""Settings that override other settings."""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping
from typing import Any


def merged(
    base: Mapping[str, Any], over: Mapping[str, Any], choices: Container[str] | None = None
) -> dict[str, Any]:
    """``over`` on top of ``base``; nested settings merge unless they name another optimiser, rule, ….

    Parameters
    ----------
    base, over : mapping
        Neither is changed.
    choices : container of str, optional
        Settings that are replaced as a whole where their ``name`` differs; all by default.
    """
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            chosen = choices is None or key in choices
            another = chosen and value.get("name", old.get("name")) != old.get("name")
            result[key] = copy.deepcopy(dict(value)) if another else merged(old, value, choices)
        else:
            result[key] = copy.deepcopy(value)
    return result
