"""Names for files in the making, one for each writer, and removal of those whose writer was killed."""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
from functools import cache
from hashlib import blake2b
from pathlib import Path

SUFFIX = ".part"
ABANDONED_S = 24 * 3600.0  # untouched for so long
_LONGEST = 200  # bytes of the name that are kept, so that with the rest it stays below 255
_WRITER = r"([0-9a-f]{8})-([0-9]+)-[0-9a-f]{8}"


def partial(path: Path) -> Path:
    """A new name beside ``path`` under which this process alone writes.

    ``NAME.MACHINE-PROCESS-RANDOM.part``: two processes, or two threads, that write the same file never
    share it, and its name says later whether its writer still runs.
    """
    return path.with_name(f"{_start(path)}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}")


def remove_abandoned(path: Path) -> None:
    """Remove what killed writers of ``path`` left: their process is gone, or nobody wrote for a day.

    The process can be looked up only on the machine on which it ran; elsewhere age decides. What cannot be
    removed stays: it is in nobody's way.
    """
    of = re.compile(rf"{re.escape(_start(path))}(\.{_WRITER})?{re.escape(SUFFIX)}")
    for name in os.listdir(path.parent):
        known = of.fullmatch(name)
        if known and _is_abandoned(path.with_name(name), known[2], known[3]):
            _remove(path.with_name(name))


def _is_abandoned(part: Path, machine: str | None, process: str | None) -> bool:
    if machine == _machine() and process is not None and not _runs(int(process)):
        return True
    try:
        return time.time() - part.stat().st_mtime > ABANDONED_S
    except OSError:  # finished or removed since
        return False


def _runs(process: int) -> bool:
    if os.name != "posix":  # elsewhere os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _remove(part: Path) -> None:
    try:
        part.unlink()
    except OSError:
        return


def _start(path: Path) -> str:
    return path.name.encode(errors="surrogateescape")[:_LONGEST].decode(errors="ignore")


@cache
def _machine() -> str:
    """Digest of where process numbers are unique: a machine, and in it a container."""
    try:
        container = os.readlink("/proc/self/ns/pid")
    except OSError:
        container = ""
    return blake2b(f"{platform.node()} {container}".encode(), digest_size=4).hexdigest()
