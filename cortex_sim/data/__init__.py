"""Stimuli from files: ``load("digits")``, ``load("mine.npz")``, ``load("folder/")``.

Each reader is one module with ``FORM`` (what it accepts), ``recognises`` and a read function; a new
reader adds a row to `READERS`. Nothing is downloaded or unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cortex_sim.checks import require_known, require_path
from cortex_sim.data import idx, image_folder, jpeg_bytes, named, npz
from cortex_sim.data.augmented import Augmented
from cortex_sim.data.digits import digits
from cortex_sim.data.fitting import View
from cortex_sim.data.images import PARTS, ImageSet, image_set
from cortex_sim.data.limits import MAX_BYTES, Progress
from cortex_sim.data.named import NAMED, load_named
from cortex_sim.data.sources import Source
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.data.stimulus_files import stimuli
from cortex_sim.data.streamed import shards
from cortex_sim.data.streamed.image_set import StreamedSet
from cortex_sim.data.streamed.reading import is_streamed, streamed_set
from cortex_sim.errors import DataError

__all__ = [
    "NAMED",
    "PARTS",
    "READERS",
    "Augmented",
    "ImageSet",
    "Reader",
    "Source",
    "StimulusSet",
    "StreamedSet",
    "View",
    "digits",
    "image_set",
    "is_streamed",
    "load",
    "load_named",
    "named",
    "names",
    "stimuli",
    "streamed_set",
]


class Read(Protocol):
    """The signature of a reader's read function."""

    def __call__(
        self, path: str | Path, *, max_bytes: int = ..., progress: Progress | None = ...
    ) -> ImageSet:
        """Return the data at ``path``."""


@dataclass(frozen=True)
class Reader:
    """One accepted form: how to describe, recognise and read it."""

    form: str
    recognises: Callable[[Path], bool]
    read: Read


READERS: dict[str, Reader] = {  # the first that recognises a path reads it, so specific forms come first
    "jpeg_bytes": Reader(jpeg_bytes.FORM, jpeg_bytes.recognises, jpeg_bytes.read_jpeg_bytes),
    "npz": Reader(npz.FORM, npz.recognises, npz.read_npz),
    "idx": Reader(idx.FORM, idx.recognises, idx.read_idx),
    "image_folder": Reader(image_folder.FORM, image_folder.recognises, image_folder.read_image_folder),
}


def names() -> list[str]:
    """Return the names that `load` knows, sorted."""
    return sorted(NAMED)


def load(
    name_or_path: str | Path, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None
) -> ImageSet:
    """Return the data set of that name, or read the file or folder.

    Parameters
    ----------
    name_or_path : str or Path
        A known name, see `names`, or a path in one of the forms of `READERS`. A str that is a known
        name means the data set; to read a folder of that name, give a Path or write ``./`` before it.
        Except for "digits", data sets are looked for in the folder $CORTEX_SIM_DATA, see `named.find`.
    max_bytes : int, default 8 GiB
        Refuse files that would take more memory as float32.
    progress : callable, optional
        Called from time to time with (parts done, parts in all) while reading files.

    Raises
    ------
    DataError
        If there is no such data, or it is damaged or malformed; the message says what would be accepted.

    Examples
    --------
    >>> load("digits")
    ImageSet('digits': 1500 to train, 297 to test, stimuli (64,), 10 classes)
    """
    if isinstance(name_or_path, str) and name_or_path in NAMED:
        return load_named(name_or_path, max_bytes=max_bytes, progress=progress)
    path = _existing(name_or_path)
    if shards.recognises(path):
        raise DataError(
            f"data {path}: holds shards, which are read picture by picture; use "
            f"data.streamed_set({str(path)!r})"
        )
    for reader in READERS.values():
        if reader.recognises(path):
            return reader.read(path, max_bytes=max_bytes, progress=progress)
    raise DataError(f"data {path}: not in an accepted form; {_forms()}")


def _existing(name_or_path: str | Path) -> Path:
    if not isinstance(name_or_path, (str, Path)):
        raise DataError(f"data must be a name or a path. Got {name_or_path!r}; {_forms()}")
    if name_or_path != "":
        require_path("data", name_or_path, DataError)
    path = Path(os.path.expanduser(name_or_path))
    if name_or_path != "" and path.exists():  # Path("") would be the current folder
        return path
    if isinstance(name_or_path, str) and _could_be_a_name(name_or_path):
        try:
            require_known("data", name_or_path, NAMED, DataError)
        except DataError as exception:
            raise DataError(f"{exception}. {_forms()}") from None
    raise DataError(f"data {path}: no such file or folder; {_forms()}")


def _could_be_a_name(text: str) -> bool:
    return os.path.basename(text) == text and "." not in text


def _forms() -> str:
    forms = "; ".join(reader.form for reader in READERS.values())
    return f"give a name ({', '.join(names())}) or a path to {forms}"
