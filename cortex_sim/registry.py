"""Names of everything that can be declared, by which YAML and the command line find classes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from logging import getLogger
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from cortex_sim.arrays import array_from_data, array_to_data, is_array_data
from cortex_sim.calling import known_settings
from cortex_sim.checks import listed, look_up, require_known, short
from cortex_sim.errors import DeclarationError

C = TypeVar("C", bound=type)

_log = getLogger(__name__)

#: Metadata of a setting that was added to its class later: left out of plain data while it has its default,
#: so that the fingerprints of stored results do not change.
LATER: dict[str, Any] = {"later": True}

_TABLES: dict[str, dict[str, type]] = {}

#: The kinds that can be registered; names under other kinds would never be looked up.
KINDS = (
    "activation",
    "augmentation",
    "channel_set",
    "connector",
    "constraint",
    "context",
    "credit_network",
    "feedback",
    "function_rule",
    "initialiser",
    "inner_rule",
    "kernel",
    "normaliser",
    "objective",
    "outer_problem",
    "reads",
    "regulariser",
    "rule",
    "searcher",
    "step",
)

#: Attributes that an object needs to serve as one of a kind: all those of one of these groups.
_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "activation": (("rate", "gain"),),
    "augmentation": (("draws", "sized", "within", "shape"),),
    "context": (("parameters", "reads_error", "signals", "draw", "trained", "seen", "base"),),
    "connector": (("plastic", "weight_shape", "check", "draw"),),
    "constraint": (("limits",),),
    "credit_network": (("outputs", "context", "sets", "addressed", "gated", "shapes", "draw", "credits"),),
    "feedback": (("tied",),),
    "initialiser": (("draw",),),
    "kernel": (("weights",),),
    "normaliser": (("eps", "gain", "running", "check", "moments"),),
    "objective": (("value", "credit"),),
    "reads": (("check", "initial", "read", "renewed", "update_ms"),),
    "regulariser": (("change",),),
    "rule": (("change",), ("arrival", "accepts")),
}


def register(kind: str, name: str) -> Callable[[C], C]:
    """Register a class under ``name`` for a kind.

    Parameters
    ----------
    kind : str
        "rule", "activation", "connector", …
    name : str
        What YAML and the command line call it.

    Raises
    ------
    DeclarationError
        If another class already has the name, or the class is not a dataclass: settings must be data.

    Notes
    -----
    The same class, from a notebook cell that is run again or a reloaded module, replaces the earlier one.
    """
    require_known("kind to register", kind, dict.fromkeys(KINDS))
    if not isinstance(name, str) or not name.strip() or name != name.strip():
        raise DeclarationError(f"{kind}: a registered name is text without spaces around it. Got {name!r}")

    def enter(cls: C) -> C:
        if not is_dataclass(cls):
            raise DeclarationError(
                f"{kind} {name!r}: {cls.__qualname__} must be a dataclass, so that YAML can store its "
                f"settings; write @dataclass(frozen=True) below @register({kind!r}, {name!r})"
            )
        table = _TABLES.setdefault(kind, {})
        known = table.get(name)
        if known is not None and not is_same(known, cls):
            raise DeclarationError(
                f"{kind} {name!r} is taken by {known.__module__}.{known.__qualname__}; choose another name"
            )
        if known is not None and known is not cls:
            _log.info("%s %r: %s was declared again and replaces it", kind, name, cls.__qualname__)
        table[name] = known_settings(cls)
        return cls

    return enter


def is_same(one: type, other: type) -> bool:
    """Whether two classes are the same, declared twice: equal names in one module or file."""
    if one is other:
        return True
    if one.__qualname__ != other.__qualname__:
        return False
    homes = {"__main__" if m == "__mp_main__" else m for m in (one.__module__, other.__module__)}
    if len(homes) == 1:
        return True
    files = [getattr(sys.modules.get(module, ModuleType("")), "__file__", None) for module in homes]
    return files[0] is not None and files[0] == files[1]


def names(kind: str) -> list[str]:
    """Names known for a kind, sorted."""
    return sorted(name for name in _TABLES.get(kind, {}) if ":" not in name)


def registered_elsewhere() -> list[tuple[str, str, type]]:
    """Kind, name and class of everything registered by name outside this package."""
    return [
        (kind, name, cls)
        for kind, table in _TABLES.items()
        for name, cls in table.items()
        if ":" not in name and cls.__module__.split(".")[0] != "cortex_sim"
    ]


def known_as(kind: str, value: object) -> str | None:
    """Name under which the class of ``value`` is known; None if it is not."""
    table = _TABLES.get(kind, {})
    for name, cls in table.items():
        if type(value) is cls:
            return name
    return next((name for name, cls in table.items() if is_same(cls, type(value))), None)


def find(kind: str, name: str) -> type:
    """Class registered under ``name``; the error lists the known names."""
    return look_up(kind, name, _TABLES.get(kind, {}))


def registered_name(kind: str, value: object) -> str:
    """Name under which the class of ``value`` is registered."""
    name = known_as(kind, value)
    if name is not None:
        return name
    raise DeclarationError(
        f"{kind} {type(value).__name__} has no registered name; "
        f"put @cortex_sim.register({kind!r}, NAME) above its class"
    )


def make(kind: str, value: Any, owner: str = "") -> Any:
    """Turn a user's argument (name, ``{name: …, setting: …}`` or an object) into an object of ``kind``.

    Messages begin with ``owner``.
    """
    try:
        return _made(kind, value)
    except DeclarationError as exception:
        if not owner:
            raise
        raise DeclarationError(f"{owner}: {exception}") from None


def _made(kind: str, value: Any) -> Any:
    if isinstance(value, str):
        return from_data(kind, {"name": value})
    if isinstance(value, dict):
        return from_data(kind, value)
    if isinstance(value, type):
        raise DeclarationError(f"{kind}: give {value.__name__}(), an object, not the class itself")
    if known_as(kind, value) is None:
        _check_own(kind, value)
        _adopt(kind, type(value))
    for name, setting in _settings_of_a_kind(value):
        _made(name, setting)
    return value


def _settings_of_a_kind(value: Any) -> Iterator[tuple[str, Any]]:
    """Kind and object of each setting that is itself of a kind, and so must be known to be stored.

    A setting may have the name of a kind but another content, such as the inner rule in another's `rule`;
    such settings are skipped.
    """
    for field in fields(value) if is_dataclass(value) else ():
        kind = _kind_of(field.name)
        setting = getattr(value, field.name, None) if kind in KINDS else None
        for item in setting if isinstance(setting, tuple) else (setting,):
            own = is_dataclass(item) and not isinstance(item, type)
            if own and (known_as(kind, item) is not None or _can_serve(kind, item)):
                yield kind, item


def _kind_of(setting: str) -> str:
    """The kind that a setting's name stands for."""
    return {"init": "initialiser", "sets": "channel_set"}.get(setting, setting)


def make_all(kind: str, given: Any, owner: str = "") -> tuple[Any, ...]:
    """As `make`, for one argument, several, or None."""
    items = given if isinstance(given, (list, tuple)) else () if given is None else (given,)
    return tuple(make(kind, item, owner) for item in items)


def _adopt(kind: str, cls: type) -> None:
    """Register an unregistered class by its module and name, so that it can be stored."""
    if not is_dataclass(cls):
        raise DeclarationError(
            f"{kind} {cls.__qualname__} must be a dataclass, so that its settings can be stored with the "
            f"network; write @dataclass(frozen=True) above it, and @cortex_sim.register({kind!r}, NAME) "
            "above that to give it a name"
        )
    _TABLES.setdefault(kind, {})[f"{cls.__module__}:{cls.__qualname__}"] = cls


def _check_own(kind: str, value: Any) -> None:
    """Check that an object of a class not registered as this kind can serve as one."""
    if _can_serve(kind, value):
        return
    others = _kinds_of(value)
    groups = _NEEDS.get(kind, ())
    needs = " or ".join(", ".join(group) for group in groups)
    raise DeclarationError(
        f"{kind} must be one of {listed(names(kind))}"
        + (f", or an object with {needs}" if groups else "")
        + f". Got {short(value)}"
        + (f", which is a {others[0]}" if others else "")
    )


def _can_serve(kind: str, value: Any) -> bool:
    """Whether an object of an unknown class has the attributes that this kind needs."""
    groups = _NEEDS.get(kind, ())
    return not _kinds_of(value) and any(all(hasattr(value, need) for need in group) for group in groups)


def _kinds_of(value: Any) -> list[str]:
    """Kinds under which the class of ``value`` is known."""
    return [kind for kind in _TABLES if known_as(kind, value) is not None]


def to_data(kind: str, value: Any) -> dict[str, Any]:
    """Return the object as plain data: its registered name and its settings."""
    data: dict[str, Any] = {"name": registered_name(kind, value)}
    if is_dataclass(value):
        for field in fields(value):
            setting = getattr(value, field.name)
            if not (field.metadata.get("later") and setting == field.default):
                data[field.name] = _plain(setting)
    return data


def from_data(kind: str, data: dict[str, Any]) -> Any:
    """Object from plain data; unknown settings are errors that list the known ones."""
    settings = dict(data)
    name = settings.pop("name", None)
    if not isinstance(name, str):
        raise DeclarationError(f"{kind}: settings need a name, one of {listed(names(kind))}. Got {data!r}")
    if ":" in name and name not in _TABLES.get(kind, {}):
        module, _, word = name.partition(":")
        raise DeclarationError(
            f"{kind} {word} was declared in the module {module} and has no registered name: import that "
            f"module and use {word}() in a network once, or put @cortex_sim.register({kind!r}, NAME) above "
            "its class"
        )
    cls: Any = find(kind, name)
    known = {field.name: field for field in fields(cls)} if is_dataclass(cls) else {}
    for setting in settings:
        require_known(f"setting of {kind} {name}", setting, known)
    missing = [
        f.name
        for f in known.values()
        if f.default is MISSING and f.default_factory is MISSING and f.name not in settings
    ]
    if missing:
        given = ", ".join(f"{setting}=..." for setting in missing)
        raise DeclarationError(f"{kind} {name} has no default for {missing[0]}; give {cls.__name__}({given})")
    return cls(**{key: _rich(key, value) for key, value in settings.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "__array__"):
        return array_to_data(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    for kind in _TABLES:
        if is_dataclass(value) and known_as(kind, value) is not None:
            return to_data(kind, value)
    return value


def _rich(key: str, value: Any) -> Any:
    if is_array_data(value):
        return array_from_data(value)
    if isinstance(value, list):
        return tuple(_rich(key, item) for item in value)
    if isinstance(value, dict) and "name" in value:
        return from_data(_kind_of(key), value)
    return value
