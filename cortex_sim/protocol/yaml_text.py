"""YAML as protocols use it: plain data only, no key twice, 1e-3 a number, times with their unit."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from cortex_sim.checks import look_up
from cortex_sim.errors import DeclarationError

_TIME = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(us|µs|ms|s|min)\s*")
_IN_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "min": 6e4}


class _Loader(yaml.SafeLoader):
    """Safe loading that refuses a key given twice, and reads 1e-3 as YAML 1.2 does."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            line = node.start_mark.line + 1
            raise DeclarationError(f"protocol YAML: {key} is given twice below line {line}; keep one")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read(source: str | Path) -> Any:
    """Plain data from YAML text, or from a file where ``source`` is a path."""
    is_text = isinstance(source, str) and "\n" in source
    where = "text" if is_text else source
    try:
        text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
        return yaml.load(text, _Loader)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DeclarationError(f"protocol YAML {where}: cannot be read ({why})") from None
    except yaml.YAMLError as error:
        raise DeclarationError(f"protocol YAML {where}: {' '.join(str(error).split())}") from None


def write(data: Any, path: str | Path | None) -> str:
    """YAML text of plain data; also written to ``path``, whole or not at all."""
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    if path is not None:
        part = Path(f"{path}.part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    return text


def settings(owner: str, entry: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """An entry's settings, times in ms under the name that ends in ``_ms``.

    ``duration: 0.2 s``, ``duration_ms: 200 ms`` and ``duration_ms: 200`` say the same; unknown keys
    are errors that list the known ones.
    """
    if not isinstance(entry, dict):
        raise DeclarationError(f"{owner}: expected settings, key: value. Got {entry!r}")
    found: dict[str, Any] = {}
    for key, value in entry.items():
        name = f"{key}_ms" if f"{key}_ms" in known else key
        look_up(f"key of {owner}", name, dict.fromkeys(known))
        if name in found:
            raise DeclarationError(f"{owner}: {key} and {name} say the same; keep one")
        is_time = name.endswith("_ms")
        found[name] = _in_ms(f"{owner}: {key}", value, needs_unit=name != key) if is_time else value
    return found


def _in_ms(what: str, value: Any, needs_unit: bool) -> Any:
    if isinstance(value, dict):
        return {key: _in_ms(f"{what} of {key}", item, needs_unit) for key, item in value.items()}
    if isinstance(value, str):
        read_as = _TIME.fullmatch(value)
        if read_as is None:
            raise DeclarationError(f'{what} must be a time such as "200 ms" or "0.2 s". Got {value!r}')
        return float(read_as[1]) * _IN_MS[read_as[2]]
    if needs_unit and value is not None:
        raise DeclarationError(f"{what} needs a unit, such as {value} ms. Got {value!r}")
    return value
