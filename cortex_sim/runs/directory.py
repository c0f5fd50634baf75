"""A run directory: its contents, and the lock that one process at a time holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cortex_sim.errors import RunError

CHECKPOINT, RUN, METRICS = "checkpoint.safetensors", "run.yaml", "metrics.json"
LOCK = ".lock"
_LOCKS = Path("/proc/locks")


class Busy(RunError):
    """Another process holds the directory."""


def stands_at(out: Path) -> bool:
    """Whether ``out`` already exists; an empty folder or half-written files do not count."""
    if not out.is_dir():
        return out.exists()
    return any(path.suffix != ".part" and path.name != LOCK for path in out.iterdir())


def require_new(out: Path) -> None:
    """Raise `RunError` if ``out`` already exists."""
    if stands_at(out):
        raise RunError(f"--out {out}: already exists; give a new directory, or --resume to continue")


def require_run(out: Path, command: str) -> Path:
    """The ``run.yaml`` in ``out``; if there is none, `RunError` gives the command that starts a run."""
    if not (out / RUN).is_file():
        raise RunError(f"{out}: holds no run (no {RUN}); start one with {command} --out {out}")
    return out / RUN


def finished(out: Path) -> dict[str, Any] | None:
    """Metrics of a finished run, or None if it has not finished."""
    path = out / METRICS
    if not path.is_file():
        return None
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        metrics = None
    if not isinstance(metrics, dict):
        raise RunError(f"{path}: damaged; remove it and resume to write it again")
    return metrics


@contextmanager
def held(
    folder: Path, busy: str = "another process is working on it", owner: Path | None = None
) -> Iterator[None]:
    """Make a directory and hold it, so that no second process writes into it; the lock ends with the process.

    Parameters
    ----------
    folder : Path
        Created with its parents if it does not exist.
    busy : str
        What another holder is doing, for the error message.
    owner : Path, optional
        What the error message names; by default the folder.

    Raises
    ------
    Busy
        If another process holds it.
    RunError
        If it cannot be made or locked.
    """
    owner = owner or folder
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise Busy(f"{owner}: {busy}; wait for it, or stop it") from None
    except OSError as exception:
        raise RunError(
            f"{folder}: cannot be written ({exception.strerror or exception}); make room, or give another "
            f"place"
        ) from None
    try:
        yield
    finally:
        lock.release()


def seen_held(folder: Path) -> bool:
    """Whether a process of this machine is seen to hold the directory; nothing is opened for writing.

    Only Linux shows locks; False elsewhere, and where the holder runs on another machine or in a container.
    """
    try:
        about, locks = (folder / LOCK).stat(), _LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return False
    at = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    return any(at in line.split() for line in locks)
