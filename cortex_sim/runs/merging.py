"""Settings on top of settings."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``base``; nested settings merge unless they name another optimiser, rule, …."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and _same_choice(old, value):
            result[key] = merged(old, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _same_choice(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Settings of one class do not go to another."""
    return new.get("name", old.get("name")) == old.get("name")
