"""YAML as declarations and protocols use it: plain data only, no key twice, 1e-3 a number."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from cortex_sim.errors import DeclarationError


class _Loader(yaml.SafeLoader):
    """Safe loading that refuses a key given twice, and reads 1e-3 as YAML 1.2 does."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            line = node.start_mark.line + 1
            raise DeclarationError(f"{key} is given twice below line {line}; keep one")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read(what: str, source: str | Path) -> Any:
    """Plain data from YAML text, or from a file where ``source`` is a path; ``what`` it is, for errors.

    Raises
    ------
    DeclarationError
        If it cannot be read, is no YAML, or gives a key twice.
    """
    is_text = isinstance(source, str) and "\n" in source
    where = "text" if is_text else source
    try:
        text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
        return yaml.load(text, _Loader)
    except DeclarationError as error:
        raise DeclarationError(f"{what} YAML: {error}") from None
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DeclarationError(f"{what} YAML {where}: cannot be read ({why})") from None
    except yaml.YAMLError as error:
        raise DeclarationError(f"{what} YAML {where}: {' '.join(str(error).split())}") from None


def write(data: Any, path: str | Path | None = None) -> str:
    """YAML text of plain data; also written to ``path``, whole or not at all."""
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    if path is not None:
        part = Path(f"{path}.part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    return text
