"""A folder of pictures, train/CLASS/*.png and test/CLASS/*.png (or .jpg), held in memory."""

from __future__ import annotations

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
    """Whether this is a folder; folders with IDX files are recognised before."""
    return path.is_dir()


def read_image_folder(
    path: str | Path, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None
) -> ImageSet:
    """Return pictures whose class is their folder; classes are sorted by name.

    Parameters
    ----------
    path : str or Path
        A folder with ``train`` and ``test``, in each a folder per class, in each .png or .jpg
        files of one size: grey if all are, else converted to RGB. Hidden files are ignored.
    max_bytes : int, default 8 GiB
        Refuse what would take more memory as float32.
    progress : callable, optional
        Called with (pictures done, pictures in all).
    """
    path = Path(path)
    classes = _class_folders(path, "train")
    unknown = set(_class_folders(path, "test")) - set(classes)
    if unknown:
        raise DataError(
            f"data {path}: test has the classes {listed(unknown)}, which train lacks; "
            f"train has {listed(classes)}"
        )
    files: list[Path] = []
    labels: list[int] = []
    n_train = 0
    for part in ("train", "test"):
        for label, name in enumerate(classes):
            here = _pictures(path, path / part / name)
            files += here
            labels += [label] * len(here)
        n_train = n_train or len(files)
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


def _class_folders(path: Path, part: str) -> list[str]:
    folder = path / part
    if not folder.is_dir():
        raise DataError(f"data {path}: has no folder {part}; make it {FORM}")
    found = visible(folder)
    for entry in found:
        if not entry.is_dir():
            raise DataError(
                f"data {path}: {entry.relative_to(path)} is not in a class folder; make it {FORM}"
            )
    if not found:
        raise DataError(f"data {path}: {part} has no folders for classes; make it {FORM}")
    return [entry.name for entry in found]


def visible(folder: Path) -> list[Path]:
    """The entries of a folder, sorted, without hidden files and those that desktops leave."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name.lower() not in LEFT_BY_DESKTOPS
    )


def _pictures(path: Path, folder: Path) -> list[Path]:
    """Pictures of one class, in order of name; a class may be missing from test, but not empty."""
    if not folder.exists():
        return []
    files = visible(folder)
    if not files:
        raise DataError(f"data {path}: class folder {folder.relative_to(path)} is empty; fill or remove it")
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            raise DataError(
                f"data {path}: {file.relative_to(path)} is not a .png or .jpg file; "
                "convert it or move it elsewhere"
            )
    return files
