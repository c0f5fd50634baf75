"""A recording in the making, on disk: chunks of trials, and the state after the last of them.

``OUT.parts/`` holds ``settings.json`` and one folder per arm, with ``000000.rows.safetensors``, … for what
was recorded, and one ``….state.safetensors`` from which the session continues. Every file is written under
a temporary name and renamed, a chunk only after its state, so that the recording can be resumed however the
program ended. Each file has a checksum, which is verified before anything is resumed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from cortex_sim.errors import RunError
from cortex_sim.recording.layout import Rows
from cortex_sim.runs import directory
from cortex_sim.runs.files import read_tensors, write_tensors, write_text

_SETTINGS = "settings.json"
_ROOM = "make room, then continue with resume (--resume)"
_ROWS, _STATE = ".rows.safetensors", ".state.safetensors"


def folder_of(out: Path) -> Path:
    """Folder ``OUT.parts`` in which the recording ``OUT`` is gathered."""
    return Path(f"{out}.parts")


def require_place(out: Path, settings: Mapping[str, Any], resume: bool) -> None:
    """Raise `RunError` unless ``out`` can be started, or with ``resume`` continued with these settings."""
    folder = folder_of(out)
    settings_file = folder / _SETTINGS
    if out.exists():
        raise RunError(f"{out}: already exists; give a new file, or resume (--resume) to open it again")
    if resume and not folder.is_dir():
        raise RunError(f"{out}: nothing to resume, no folder {folder}; start it without resume")
    if settings_file.is_file() and not resume:
        raise RunError(
            f"{out}: has been started in {folder}; continue with resume (--resume), or remove that folder"
        )
    if not out.parent.is_dir():
        raise RunError(f"{out}: no folder {out.parent}; create it first")
    if settings_file.is_file():
        require_same(settings_file, _read(settings_file), settings)


@contextmanager
def opened(out: Path, settings: Mapping[str, Any]) -> Iterator[Path]:
    """The folder in which ``out`` is gathered, locked so that no second process writes into it."""
    folder = folder_of(out)
    with directory.held(folder, "another process is recording it", out):
        write_text(folder / _SETTINGS, json.dumps(settings, indent=1), _ROOM)
        yield folder


def require_same(place: object, kept: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise `RunError` at the first setting that is not what it was when ``place`` was written."""
    for name in dict.fromkeys([*kept, *asked]):
        if kept.get(name) != asked.get(name):
            raise RunError(
                f"{place}: was made with {name} {_short(kept.get(name))}, and {_short(asked.get(name))} "
                "is requested; resume with the same, or record into another file"
            )


class Parts:
    """Chunks of one arm, in order.

    Parameters
    ----------
    folder : Path
        The arm's folder; created if it does not exist. Files that an interruption left half-written are
        removed.

    Raises
    ------
    RunError
        If it cannot be made, or a chunk is damaged or missing.

    Attributes
    ----------
    done : int
        Number of the plan's `Shown` that the chunks hold.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(exist_ok=True)
        except OSError as exception:
            raise RunError(f"{folder}: cannot be made ({exception.strerror}); {_ROOM}") from None
        self.files: list[Path] = []
        self.done = 0
        for number, path in enumerate(sorted(folder.glob(f"*{_ROWS}"))):
            if path != self._rows(number):  # later rows would get the labels of the missing ones
                raise RunError(f"{self._rows(number)}: is missing; {_again(folder.parent)}")
            labels, _ = _read_whole(path)  # read completely: a chunk is used only if every bit is right
            self.done = int(labels["done"])
            self.files.append(path)
        keep = {*self.files, self._state(len(self.files) - 1)}
        for path in folder.iterdir():
            if path not in keep:
                path.unlink()

    def add(self, rows: Rows, state: Mapping[str, np.ndarray], done: int) -> None:
        """Keep one chunk, and the state after it, which replaces the previous one."""
        number = len(self.files)
        write_tensors(self._state(number), state, {}, _ROOM)
        path = self._rows(number)
        write_tensors(path, rows, {"done": done}, _ROOM)
        self.files.append(path)
        self.done = done
        self._state(number - 1).unlink(missing_ok=True)

    def state(self) -> dict[str, np.ndarray]:
        """Session state after the last chunk."""
        path = self._state(len(self.files) - 1)
        if not path.is_file():
            raise RunError(f"{path}: is missing; {_again(self.folder.parent)}")
        return _read_whole(path)[1]

    def read(self, names: list[str]) -> Iterator[Rows]:
        """Those variables, chunk by chunk, without those that a chunk lacks."""
        for path in self.files:
            with _opened(path) as file:
                there = set(file.keys())
                yield {name: file.get_tensor(name) for name in names if name in there}

    def lengths(self, name: str) -> int:
        """Rows of a variable in all chunks."""
        count = 0
        for path in self.files:
            with _opened(path) as file:
                if name in file.keys():  # noqa: SIM118 - no mapping
                    count += file.get_slice(name).get_shape()[0]
        return count

    def _rows(self, number: int) -> Path:
        return self.folder / f"{number:06d}{_ROWS}"

    def _state(self, number: int) -> Path:
        return self.folder / f"{number:06d}{_STATE}"


def bytes_in(out: Path) -> int:
    """Size of everything in the folder in which ``out`` is gathered; 0 where there is none."""
    return sum(path.stat().st_size for path in folder_of(out).rglob("*") if path.is_file())


def remove(out: Path) -> None:
    """Remove the folder in which ``out`` was gathered."""
    shutil.rmtree(folder_of(out), ignore_errors=True)


def _read_whole(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return read_tensors(path, "recording in the making", _again(path.parents[1]))


def _again(folder: Path) -> str:
    return f"remove {folder} and start again"


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except (SafetensorError, OSError, KeyError, TypeError) as exception:
        raise RunError(f"{path}: damaged ({exception}); {_again(path.parents[1])}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return read if isinstance(read, dict) else {}
    except (OSError, ValueError):
        raise RunError(f"{path}: damaged; {_again(path.parent)}") from None


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())
    return "none" if value is None else str(value)[:16]
