"""Keys of brian2's caches, found faster.

brian2 keeps what it derives from equations, and finds it again by a key: the attributes of every variable of
the group. In a network of few neurons, finding the keys takes longer than all else at the start of a run.
The keys here are equal to brian2's own, so what is found does not change.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import Dimension
from brian2.utils import caching

#: Types whose values are their own keys.
_ITSELF = {str, int, bool, float, type(None), Dimension, *map(type, map(np.dtype, "?bhilqBHILQfd"))}

_brian2s: Callable[[Any], Any] = caching._hashable
_plain: dict[type, bool] = {}  # whether a class keeps `CacheKey`'s definition of its state
_readers: dict[tuple[type, tuple[str, ...]], Callable[[dict[str, Any]], tuple[Any, ...]]] = {}


def use_faster_keys() -> None:
    """Make brian2 find its keys this way from now on."""
    caching._hashable = key_of


def key_of(obj: Any) -> Any:
    """Key of an object: that of its state or of its elements, or the object itself."""
    kind = type(obj)
    if kind in _ITSELF:
        return obj
    if kind is tuple or kind is list:
        return _keys(obj)
    if kind is dict:
        return frozenset(zip(_keys(obj), _keys(obj.values()), strict=True))
    if _is_plain(kind):
        return _keys(_state(kind, vars(obj)))
    return obj if kind is type and not issubclass(obj, caching.CacheKey) else _brian2s(obj)


def _keys(objects: Any) -> tuple[Any, ...]:
    return tuple([obj if type(obj) in _ITSELF else key_of(obj) for obj in objects])


def _is_plain(kind: type) -> bool:
    if kind not in _plain:
        _plain[kind] = getattr(kind, "_state_tuple", None) is caching.CacheKey._state_tuple
    return _plain[kind]


def _state(kind: type[caching.CacheKey], attributes: dict[str, Any]) -> tuple[Any, ...]:
    """The relevant attributes in the order of their names, as `CacheKey` lists them."""
    names = (kind, tuple(attributes))
    if names not in _readers:
        relevant = sorted(attributes.keys() - kind._cache_irrelevant_attributes)
        several = len(relevant) > 1  # for a single name, itemgetter returns no tuple
        _readers[names] = (
            itemgetter(*relevant) if several else lambda found: tuple(found[name] for name in relevant)
        )
    return _readers[names](attributes)
