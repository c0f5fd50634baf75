"""Where a sweep keeps its results: each with the fingerprint of the configuration it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from cortex_sim.errors import RunError
from cortex_sim.runs.files import write_text

FINGERPRINT = "fingerprint"  # key of the fingerprint among the measurements

Result = dict[str, Any]


class Results(Protocol):
    """Results by the key of their job."""

    def get(self, key: str) -> Result | None:
        """The kept result of a job, or None."""

    def put(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep a result, replacing an earlier one; whole or not at all."""

    def drop(self, key: str) -> None:
        """Remove the kept result of a job."""


@dataclass(frozen=True)
class FileEach:
    """A file for each job.

    Parameters
    ----------
    folder : Path
    name : str, default "{key}.json"
        Path of a result in the folder, with ``{key}`` for the job's key.
    """

    folder: Path
    name: str = "{key}.json"

    def path(self, key: str) -> Path:
        """File of a job's result."""
        return self.folder / self.name.format(key=key)

    def get(self, key: str) -> Result | None:
        """The kept result of a job, or None."""
        return read(self.path(key))

    def put(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep a result, replacing an earlier one; whole or not at all."""
        self.path(key).parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path(key), json.dumps(result, indent=1) + "\n")

    def drop(self, key: str) -> None:
        """Remove the kept result of a job."""
        self.path(key).unlink(missing_ok=True)


@dataclass(frozen=True)
class OneFile:
    """One file for all jobs of a study, which several processes may write.

    Parameters
    ----------
    path : Path
    """

    path: Path

    def all(self) -> dict[str, Result]:
        """Every result, by key."""
        return read(self.path) or {}

    def get(self, key: str) -> Result | None:
        """The kept result of a job, or None."""
        return self.all().get(key)

    def put(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep a result, replacing an earlier one; whole or not at all."""
        self._change(key, result)

    def drop(self, key: str) -> None:
        """Remove the kept result of a job."""
        self._change(key, None)

    def _change(self, key: str, result: Mapping[str, Any] | None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock")):
            results = self.all()
            results.pop(key, None)
            if result is not None:
                results[key] = dict(result)
            write_text(self.path, json.dumps(results, indent=1, sort_keys=True) + "\n")


def read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None if there is no file.

    Raises
    ------
    RunError
        If the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{path}: damaged; remove it to repeat its jobs")
    return found
