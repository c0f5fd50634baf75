"""A folder of pictures, train/CLASS/*.png and test/CLASS/*.png (or .jpg), held in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cortex_sim.checks import listed
from cortex_sim.data.images import ImageSet, image_set
from cortex_sim.data.limits import MAX_BYTES, Progress
from cortex_sim.data.pictures import Picture, decode
from cortex_sim.errors import DataError

FORM = "a folder of pictures, train/CLASS/*.png and test/CLASS/*.png (or .jpg)"
SUFFIXES = {".png", ".jpg", ".jpeg"}
LEFT_BY_DESKTOPS = {"thumbs.db", "desktop.ini"}


def recognises(path: Path) -> bool:
    """Whether this is a folder; folders with IDX files are recognised first."""
    return path.is_dir()


def read_image_folder(
    path: str | Path, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None
) -> ImageSet:
    """Return pictures whose class is their folder; classes are sorted by name.

    Parameters
    ----------
    path : str or Path
        A folder with ``train`` and ``test``, each with one folder per class, which contains .png or .jpg
        files, all of one size: grey if all are, else converted to RGB. Hidden files are ignored.
    max_bytes : int, default 8 GiB
        Refuse what would take more memory as float32.
    progress : callable, optional
        Called with (pictures done, pictures in all).
    """
    path = Path(path)
    classes, found = listing(path, ("train", "test"))
    files = [path / name for part in found.values() for name in part.names]
    labels = [label for part in found.values() for label in part.labels]
    n_train = len(found["train"].names)
    pictures = [_picture(path, file) for file in files]
    x = decode(str(path), pictures, ["PNG", "JPEG"], max_bytes=max_bytes, progress=progress)
    y = np.array(labels)
    return image_set(
        path.resolve().name,
        x[:n_train],
        y[:n_train],
        x[n_train:],
        y[n_train:],
        classes,
        source=str(path),
    )


def _picture(path: Path, file: Path) -> Picture:
    return Picture(str(file.relative_to(path)), lambda: file.open("rb"))


@dataclass(frozen=True)
class Listed:
    """Pictures of one part: paths in the folder, by class and sorted by name, and the class of each."""

    names: list[str]
    labels: list[int]


def listing(path: Path, parts: Sequence[str]) -> tuple[list[str], dict[str, Listed]]:
    """Classes, sorted, and the pictures of every part; nothing is opened.

    Parameters
    ----------
    path : Path
    parts : sequence of str
        Names of folders in it, the training set's first: its classes are those of the set.

    Raises
    ------
    DataError
        If the folder is not laid out as ``PART/CLASS/FILE.png`` (or .jpg), or a part has a class that the
        first one lacks.
    """
    classes = _class_folders(path, parts[0])
    for part in parts[1:]:
        unknown = set(_class_folders(path, part)) - set(classes)
        if unknown:
            raise DataError(
                f"data {path}: {part} has the classes {listed(unknown)}, which {parts[0]} lacks; "
                f"{parts[0]} has {listed(classes)}"
            )
    found = {part: Listed([], []) for part in parts}
    for part, into in found.items():
        for label, name in enumerate(classes):
            here = _pictures(path, f"{part}/{name}")
            into.names.extend(here)
            into.labels.extend([label] * len(here))
    return classes, found


def _class_folders(path: Path, part: str) -> list[str]:
    folder = path / part
    if not folder.is_dir():
        raise DataError(f"data {path}: has no folder {part}; make it {FORM}")
    found = [folder / name for name in visible(folder)]
    for entry in found:
        if not entry.is_dir():
            raise DataError(
                f"data {path}: {entry.relative_to(path)} is not in a class folder; make it {FORM}"
            )
    if not found:
        raise DataError(f"data {path}: {part} has no folders for classes; make it {FORM}")
    return [entry.name for entry in found]


def visible(folder: Path) -> list[str]:
    """Names in a folder, sorted, without hidden files and those that desktop environments create."""
    return sorted(
        name
        for name in os.listdir(folder)
        if not name.startswith(".") and name.lower() not in LEFT_BY_DESKTOPS
    )


def _pictures(path: Path, folder: str) -> list[str]:
    """Pictures of one class, in order of name; a class may be missing from test, but not empty."""
    if not (path / folder).exists():
        return []
    files = [f"{folder}/{name}" for name in visible(path / folder)]
    if not files:
        raise DataError(f"data {path}: class folder {folder} is empty; fill or remove it")
    for file in files:
        if os.path.splitext(file)[1].lower() not in SUFFIXES:
            raise DataError(
                f"data {path}: {file} is not a .png or .jpg file; convert it or move it elsewhere"
            )
    return files
