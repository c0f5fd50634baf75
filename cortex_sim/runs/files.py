"""Files written whole or not at all, and tensors with a checksum; every failure is an error of one line.

A file is written in the same folder under a unique name (``NAME.….part``, `partial`), flushed to disk and
renamed: if several processes write it at once, the last one's file remains, complete. If that fails (a full
disk, a folder without write permission), the part is removed, a previous file stays, and a `RunError` names
the file and says what to do. What a killed process left is removed when the same file is next written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cortex_sim.checks import require_path
from cortex_sim.errors import RunError
from cortex_sim.runs.partial import partial, remove_abandoned

_KEY = "cortex_sim"  # key of the metadata in our tensor files
_SUM = "cortex_sim_checksum"


@contextmanager
def whole(path: Path, way_out: str = "make room, then try again") -> Iterator[Path]:
    """Yield the path to write the content of ``path`` to; it is renamed once everything is on the disk.

    Raises
    ------
    RunError
        If it cannot be written; nothing is left behind, and a previous file at ``path`` stays.
    """
    _require_place(path)
    part = partial(path)
    try:
        remove_abandoned(path)
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except (OSError, SafetensorError) as exception:
        _discard(part)
        why = getattr(exception, "strerror", None) or exception
        raise RunError(f"{path}: cannot be written ({why}); {way_out}") from None
    except BaseException:
        _discard(part)
        raise


def _discard(part: Path) -> None:
    with suppress(OSError):  # the first error is the one to report
        part.unlink(missing_ok=True)


def _require_place(path: Path) -> None:
    """Raise unless ``path`` can name a file in an existing folder."""
    require_path("file", path, RunError)
    if not path.parent.is_dir():
        raise RunError(
            f"{path}: cannot be written (No such file or directory: {path.parent}); create the folder first"
        )
    if path.is_dir():
        raise RunError(f"{path}: cannot be written (it is a folder); give the name of a file")


def write_text(path: Path, text: str, way_out: str = "make room, then try again") -> None:
    """Write a text file, whole or not at all."""
    with whole(path, way_out) as part:
        part.write_text(text, encoding="utf-8")


def save_file(arrays: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> None:
    """Write arrays directly to the file; safetensors' own function uses a hidden one, which a kill leaves."""
    path.write_bytes(save(arrays, metadata))


def write_tensors(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    way_out: str = "make room, then try again",
) -> None:
    """Write arrays and plain data as safetensors, with a checksum over both.

    Parameters
    ----------
    path : Path
    tensors : mapping of str to array
    metadata : mapping
        Anything that JSON can hold.
    way_out : str
        What to do if it cannot be written, for the error message.
    """
    text = json.dumps(metadata)
    # asarray, since ascontiguousarray would give a number an axis.
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    with whole(path, way_out) as part:
        save_file(arrays, part, {_KEY: text, _SUM: checksum(arrays, text)})


def read_tensors(
    path: Path, what: str = "file", way_out: str = "use another copy"
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and arrays of a file that `write_tensors` wrote.

    Raises
    ------
    RunError
        If it is missing, damaged in any bit, or not such a file; the message names ``what`` it should be and
        what to do.
    """
    if not path.is_file():
        raise RunError(f"{what} {path}: no such file; give the path of an existing one")
    try:
        with safe_open(path, framework="np") as opened:
            labels = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, TypeError, ValueError) as exception:
        raise RunError(f"{what} {path}: damaged ({exception}); {way_out}") from None
    if _KEY not in labels or _SUM not in labels:
        raise RunError(f"{what} {path}: not written by this version of cortex-sim")
    if labels[_SUM] != checksum(tensors, labels[_KEY]):
        raise RunError(f"{what} {path}: damaged, its content does not match its checksum; {way_out}")
    metadata = json.loads(labels[_KEY])
    return metadata, tensors


def checksum(tensors: Mapping[str, np.ndarray], text: str) -> str:
    """Digest of names, kinds, shapes and bytes of all arrays, and of the accompanying text."""
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        array = tensors[name]
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
