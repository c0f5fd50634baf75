"""Configurations of outer loops: YAML files, shipped or the user's own, and their bases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortex_sim import library, yaml_text
from cortex_sim.checks import look_up, require_known
from cortex_sim.errors import RunError
from cortex_sim.runs.merging import merged
from cortex_sim.tdca.evolving.kinds import KEY, kind_of, made, settings_known


def from_file(path: Path) -> Any:
    """Settings from a configuration or a ``run.yaml``; an unknown name is an error that lists the known."""
    content = _mapping(yaml_text.read("evolve configuration", path, RunError), path)
    return made(_known(content, content, path))


def configured(name: str) -> Any:
    """Settings of a shipped configuration ("tdca_mnist", listed as "tdca/tdca_mnist"), or of a file.

    A file with ``base: NAME`` inherits everything it does not set from that one; mappings are merged.
    """
    return made(_configured(name))


def based(name: str, content: Mapping[str, Any]) -> Any:
    """Settings of a configuration, overridden by ``content``; mappings are merged."""
    base = _configured(name)
    return made(_over(base, _known(content, base, Path(name)), Path(name)))


def _configured(name: str) -> dict[str, Any]:
    path = _path(name)
    content = _mapping(yaml_text.read("evolve configuration", path, RunError), path)
    base = content.pop("base", None)
    if base is None:
        return _known(content, content, path, "base")
    below = _configured(str(base))
    return _over(below, _known(content, below, path, "base"), path)


def _over(base: dict[str, Any], content: dict[str, Any], path: Path) -> dict[str, Any]:
    """``content`` merged into its base, which must be of the same kind."""
    of = kind_of(base)
    if KEY in content and kind_of(content) is not of:
        raise RunError(
            f"configuration {path}: problem is {content[KEY]!r}, but its base is of another kind; "
            "leave problem out, or give a base of that kind"
        )
    return merged(base, content, of.choices)


def _path(name: str) -> Path:
    own = Path(name)
    if own.suffix or own.exists():
        return own
    folder = library.folder("protocols") / "tdca"
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return look_up("configuration of evolve", name.removeprefix("tdca/"), known, RunError)


def _mapping(content: Any, path: Path) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise RunError(f"configuration {path}: expected settings, name: value. Got {content!r}")
    return {k: v for k, v in content.items() if k != "environment"}


def _known(content: Mapping[str, Any], kind: Mapping[str, Any], path: Path, *more: str) -> dict[str, Any]:
    """``content``, once its names are known to be settings of the kind that ``kind`` names."""
    known = dict.fromkeys([*settings_known(kind_of(kind)), *more])
    for setting in content:
        require_known(f"setting of {path.name}", setting, known, RunError)
    return dict(content)
