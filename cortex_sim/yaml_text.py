"""Reading and writing YAML: plain data, YAML 1.2's core schema, no duplicate keys.

One reader and one writer for networks, protocols, settings and run directories. Scalars are those of
YAML 1.2 (core schema): ``on``, ``5:00``, ``1_000`` and dates are text, ``010`` is ten, ``1e-3`` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cortex_sim.checks import require_path
from cortex_sim.errors import CortexSimError, DeclarationError, RunError
from cortex_sim.runs.files import write_text

_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"
#: Largest number of values that aliases may expand to: a few lines of text must not become gigabytes.
_LARGEST = 1_000_000
_MOST_DIGITS = 1_000

#: YAML 1.2, section 10.3.2: types of plain scalars; the first match counts, anything else is text.
_CORE: tuple[tuple[str, str, str, Callable[[str], Any]], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN", lambda text: None),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", lambda text: _whole(text)),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
        lambda text: _real(text),
    ),
)


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is too long")
    based = text.startswith(("0o", "0x"))
    return int(text, 0) if based else int(text)  # 010 is ten


def _real(text: str) -> float:
    named = text.lower().lstrip("+-").startswith((".inf", ".nan"))
    value = float(text.replace(".", "", 1) if named else text)
    if not named and value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large for a number")
    return value


class _Nodes(yaml.SafeLoader):
    """Text as a tree of nodes, each scalar tagged as in YAML 1.2; no objects are made yet."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - not those of YAML 1.1


class _Writer(yaml.SafeDumper):
    """Quotes all text that a reader of YAML 1.2 or 1.1 would read as another type."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - those of YAML 1.1, and ours below
        first: list(known) for first, known in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        """Write no aliases: an object that occurs twice is written twice."""
        return True


for _name, _pattern, _first, _ in _CORE:
    for _schema in (_Nodes, _Writer):
        empty = [""] if _name == "null" else []
        _schema.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), [*_first, *empty])
_MAKE = {_TAG + name: (re.compile(pattern), make) for name, pattern, _, make in _CORE}


def _text(writer: _Writer, text: str) -> yaml.ScalarNode:
    plain = text.isprintable()  # otherwise escaped: not all line breaks would be read back
    return writer.represent_scalar(_TAG + "str", text, style=None if plain else '"')


_KEPT: tuple[Any, ...] = (type(None), bool, int, float, list, tuple, dict, None)  # None: all others, refused
_Writer.yaml_representers = {kind: _Writer.yaml_representers[kind] for kind in _KEPT}
_NUMPY: Any = np.generic
_Writer.add_representer(str, _text)
_Writer.add_multi_representer(Path, lambda writer, path: _text(writer, str(path)))
_Writer.add_multi_representer(_NUMPY, lambda writer, value: writer.represent_data(value.item()))


class _Reading:
    """Plain data from a tree of nodes."""

    def __init__(self) -> None:
        self._within: list[yaml.Node] = []
        self._left = _LARGEST

    def data(self, node: yaml.Node | None) -> Any:
        """Value of a node; ValueError with its line if it is not allowed."""
        if node is None:
            return None
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"aliases expand to more than {_LARGEST} values; use fewer")
        if any(node is outer for outer in self._within):
            raise ValueError(f"{_at(node)} contains itself; write the settings out")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        self._within.append(node)
        try:
            return self._mapping(node) if isinstance(node, yaml.MappingNode) else self._list(node)
        finally:
            self._within.pop()

    def _list(self, node: yaml.Node) -> list[Any]:
        _only(node, "seq")
        return [self.data(item) for item in node.value]

    def _mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        _only(node, "map")
        found: dict[Any, Any] = {}
        merged: dict[Any, Any] | None = None
        for key_node, value_node in node.value:
            if key_node.value == _MERGE and key_node.style is None:
                if merged is not None:
                    raise ValueError(f"<< is given twice (again in {_at(key_node)}); give it one list")
                merged = self._merged(value_node)
                continue
            key = self.data(key_node)
            if not isinstance(key, Hashable):
                raise ValueError(f"{_at(key_node)}: a key must be text or a number. Got {key!r}")
            if key in found:
                raise ValueError(
                    f"{key} is given twice below line {node.start_mark.line + 1}; keep one "
                    f"(the second is in {_at(key_node)})"
                )
            found[key] = self.data(value_node)
        return {**(merged or {}), **found}

    def _merged(self, node: yaml.Node) -> dict[Any, Any]:
        """Value of ``<<``: one mapping, or several, of which the first that has a key counts."""
        given = self.data(node)
        parts = given if isinstance(given, list) else [given]
        if not all(isinstance(part, dict) for part in parts):
            raise ValueError(f"{_at(node)}: << takes settings (name: value) or a list of them. Got {given!r}")
        return {key: value for part in reversed(parts) for key, value in part.items()}


def _at(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _only(node: yaml.Node, tag: str) -> None:
    if node.tag != _TAG + tag:
        raise ValueError(
            f"{_at(node)}: the tag {node.tag} is not YAML that is accepted here; give plain data (numbers, "
            "text, lists, name: value)"
        )


def _scalar(node: yaml.ScalarNode) -> Any:
    if node.tag == _TAG + "str":
        return node.value
    pattern, make = _MAKE.get(node.tag, (None, None))
    if pattern is None or make is None:
        _only(node, "str")
    elif pattern.fullmatch(node.value):
        try:
            return make(node.value)
        except ValueError as exception:
            raise ValueError(f"{_at(node)}: {exception}") from None
    raise ValueError(f"{_at(node)}: {node.value!r} is not of type {node.tag.removeprefix(_TAG)}")


def parse(what: str, text: str, exception_type: type[CortexSimError] = DeclarationError) -> Any:
    """Plain data from YAML text; ``what`` names it in an error, which is of class ``exception_type``.

    Raises
    ------
    CortexSimError
        Of type ``exception_type``, if it is not YAML, repeats a key, or contains more than plain data.
    """
    loader = None
    try:
        loader = _Nodes(text)
        return _Reading().data(loader.get_single_node())
    except yaml.YAMLError as wrong:
        said = " ".join(str(wrong).split()).replace('in "<unicode string>", ', "")
        raise exception_type(f"{what}: not YAML ({said})") from None
    except RecursionError:
        raise exception_type(f"{what}: YAML is nested too deeply; use fewer levels") from None
    except ValueError as wrong:
        raise exception_type(f"{what}: {wrong}") from None
    finally:
        if loader is not None:
            loader.dispose()


def read(what: str, source: str | Path, exception_type: type[CortexSimError] = DeclarationError) -> Any:
    """Plain data from YAML text, or from a file if ``source`` is a path; ``what`` names it in errors.

    Text is distinguished from a path by its line break.

    Raises
    ------
    CortexSimError
        Of type ``exception_type``, if it cannot be read, is not YAML, repeats a key, or contains more than
        plain data.
    """
    if not isinstance(source, (str, Path)):
        raise exception_type(f"{what} YAML: give a path, or text with line breaks. Got {source!r}")
    if isinstance(source, str) and "\n" in source:
        return parse(f"{what} YAML text", source, exception_type)
    return read_file(f"{what} YAML {source}", source, exception_type)


def read_file(where: str, path: str | Path, exception_type: type[CortexSimError] = DeclarationError) -> Any:
    """Plain data from a YAML file, which messages call ``where``; see `read`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as wrong:
        raise exception_type(f"{where}: cannot be read ({wrong.strerror})") from None
    except UnicodeError:
        raise exception_type(f"{where}: cannot be read (it is not UTF-8 text)") from None
    except ValueError as wrong:  # an impossible file name
        raise exception_type(f"{where}: cannot be read ({wrong})") from None
    return parse(where, text, exception_type)


def write(data: Any, path: str | Path | None = None) -> str:
    """YAML text of plain data; also written to ``path``, whole or not at all.

    Raises
    ------
    DeclarationError
        If it contains something that is not plain data.
    """
    try:
        text = yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True)
    except yaml.representer.RepresenterError as wrong:
        raise DeclarationError(
            f"YAML: {wrong.args[-1]!r} is not plain data, so it cannot be written; give numbers, text, lists "
            "or dicts"
        ) from None
    except RecursionError:
        raise DeclarationError("YAML: the data contain themselves, so they cannot be written") from None
    if path is not None:
        write_text(require_path("YAML", path, RunError), text)
    return text
