"""Responses kept in files for the next call, and never used for other weights or stimuli."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_sim.checks import require_path
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.responding.candidates import Candidate
from cortex_sim.responding.request import Request

if TYPE_CHECKING:
    import xarray as xr

FOLDER = "responses"
_KEY = "fingerprint"  # attribute of a kept recording


def folder_of(shown: Candidate, cache: str | Path | bool) -> Path:
    """Folder in which a candidate's responses are kept.

    Raises
    ------
    RunError
        If none is given and the candidate has no run directory.
    """
    if cache is not True:
        return require_path("cache", cache, RunError)
    if shown.run is None:
        raise RunError(f"{shown.name}: has no run directory to keep its responses in; give cache=FOLDER")
    return shown.run / FOLDER


def key_of(shown: Candidate, stimuli: StimulusSet, request: Request) -> str:
    """Digest of everything that the recorded numbers and their coordinates depend on."""
    from cortex_sim import __version__
    from cortex_sim.recording.fingerprint import fingerprint

    return fingerprint([__version__, shown.fingerprint(), stimuli.fingerprint(), request])


def kept(
    folder: Path,
    shown: Candidate,
    stimuli: StimulusSet,
    request: Request,
    present: Callable[[StimulusSet, Path], xr.Dataset],
) -> xr.Dataset:
    """The kept recording with the same key; else ``present(stimuli, file)`` makes it.

    Processes that need the same recording at the same time wait for the first.

    Raises
    ------
    RunError
        If the folder cannot be written.
    """
    from filelock import FileLock

    key = key_of(shown, stimuli, request)
    file = folder / f"{_spelled(shown.name)}-{key[:24]}.nc"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire()
    except OSError as exception:
        raise RunError(
            f"{folder}: cannot be written ({exception.strerror or exception}); give another folder to keep "
            "responses in"
        ) from None
    try:
        found = _opened(file, key)
        if found is not None:
            return found
        return present(stimuli.noting(**{_KEY: key}), file)
    finally:
        lock.release()


def _opened(file: Path, key: str) -> xr.Dataset | None:
    """The recording in the file; if it is damaged or has another key, None, and the file is removed."""
    from cortex_sim.recording import open_lazily

    if not file.exists():
        return None
    try:
        found = open_lazily(file)
    except CortexSimError:
        file.unlink()
        return None
    if found.attrs.get(_KEY) == key:
        return found
    found.close()
    file.unlink()
    return None


def _spelled(name: str) -> str:
    """A candidate's name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:60]
