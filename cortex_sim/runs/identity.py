"""What makes two runs the same run: plain data whose fingerprint decides whether a kept result is reused.

Every setting counts with its value, defaults resolved, so that a changed default makes another run. Settings
that do not affect the result are left out (threads, device, paths), and so are settings that a class lists as
added later, while they have the value under which runs do what they did before: a new setting with such a
default leaves the fingerprints of all kept results unchanged. Data and user-defined code count by their
content, wherever they are stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any


def settings_of(
    settings: Mapping[str, Any], free: Collection[str], added: Mapping[str, Any]
) -> dict[str, Any]:
    """Settings that affect the result.

    Parameters
    ----------
    settings : mapping
        All of them, defaults resolved.
    free : collection of str
        Those that do not affect it.
    added : mapping
        Those added later, with the value under which a run does what it did without them. This value
        stays the same even if the default changes.
    """
    return {
        name: value
        for name, value in settings.items()
        if name not in free and not (name in added and added[name] == value)
    }


def content(path: Path, times: bool = True) -> dict[str, str]:
    """Name and content of a file; of a folder, names, sizes and, with ``times``, times of all files in it.

    A folder of pictures is too large to be read whole each time; with ``times`` a copy without them
    counts as another folder.
    """
    if path.is_dir():
        text = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            about = file.stat()
            changed = f"{about.st_mtime_ns}\0" if times else ""
            text.update(f"{file.relative_to(path)}\0{about.st_size}\0{changed}".encode())
        return {"folder": path.name, "sha256": text.hexdigest()}
    about = path.stat()
    return {"file": path.name, "sha256": _digest(path.absolute(), about.st_size, about.st_mtime_ns)}


def of_data(name: str, data_dir: str | Path | None = None, times: bool = True) -> str | dict[str, str]:
    """Content of a data set; the name of one that comes with an installation or is missing.

    Parameters
    ----------
    name : str
        Name or path for `cortex_sim.data.load`.
    data_dir : str or Path, optional
        Folder of named data sets; without it, the one that $CORTEX_SIM_DATA names.
    times : bool, default True
        See `content`.
    """
    from cortex_sim.data import named

    if name in named.NAMED:
        found = None if named.NAMED[name].file is None else named.find(name, data_dir)
    else:
        found = Path(name).expanduser()
    return name if found is None or not found.exists() else content(found, times)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, time: int) -> str:  # once for all jobs of a sweep, while it stays the same
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
