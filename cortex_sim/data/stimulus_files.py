"""Stimuli from files that need no labels: folders of pictures, arrays, JPEG files in an .npz file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed, require_path
from cortex_sim.data.archive import described, read_arrays
from cortex_sim.data.identities import identities
from cortex_sim.data.image_folder import SUFFIXES, visible
from cortex_sim.data.jpeg_bytes import picture, require_slices
from cortex_sim.data.limits import MAX_BYTES, Progress, require_room
from cortex_sim.data.pictures import Picture
from cortex_sim.data.pixels import Held, Pixels, encoded, everything, is_small
from cortex_sim.data.stimuli import TAKEN, StimulusSet
from cortex_sim.data.stored_rows import stored_rows
from cortex_sim.errors import DataError

FORMS = (
    "a folder of .png or .jpg pictures, a .npy file, an .npz file with images or with jpeg and offset, "
    "or FILE.npz:ARRAY"
)
USUAL = ("images", "stimuli", "x")  # names of arrays of stimuli
IDS, LABELS = ("stimulus_id", "ids"), ("labels", "label")


def stimuli(path: str | Path, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None) -> StimulusSet:
    """Read stimuli to present to a network, with labels if there are any.

    Stimuli of more than 256 MiB stay in their files, from which batches are read; damage in the middle of
    such a file is found when that part is read. Compressed arrays, and those that are not 8-bit, are read
    at once.

    Parameters
    ----------
    path : str or Path
        A folder of .png or .jpg pictures of one size, in it or in folders below, whose ids are their paths
        within it; a ``.npy`` file; an ``.npz`` file with an array ``images``, ``stimuli`` or ``x``, or
        with ``jpeg`` and ``offset`` (image i is ``jpeg[offset[i]:offset[i + 1]]``); or
        ``FILE.npz:ARRAY``. Other arrays of an .npz file with one number or text per stimulus become ids
        (``stimulus_id``, ``ids``), labels (``labels``, ``label``) or descriptors. Never unpickled.
    max_bytes : int, default 8 GiB
        Refuse to hold what would take more memory as float32.
    progress : callable, optional
        Called with (pictures done, pictures in all) while they are decoded into memory.

    Raises
    ------
    DataError
        If the path has none of these forms, or is damaged; the message says what would be accepted.
    """
    place = Path(os.path.expanduser(require_path("stimuli", path, DataError)))
    if place.is_dir():
        return _folder(place, max_bytes, progress)
    file, key = place, None
    if not place.exists() and ":" in place.name:
        name, key = place.name.rsplit(":", 1)
        file = place.with_name(name)
    if not file.is_file():
        raise DataError(f"stimuli {path}: no such file or folder; give {FORMS}")
    if file.suffix.lower() == ".npy" and key is None:
        return StimulusSet(_npy(file, max_bytes), name=file.stem)
    if file.suffix.lower() == ".npz":
        return _npz(file, key, max_bytes, progress)
    raise DataError(f"stimuli {path}: not in an accepted form; give {FORMS}")


def _folder(path: Path, max_bytes: int, progress: Progress | None) -> StimulusSet:
    files = _below(path)
    if not files:
        raise DataError(f"stimuli {path}: holds no pictures; give {FORMS}")
    ids = [file.relative_to(path).as_posix() for file in files]
    pictures = [_picture(name, file) for name, file in zip(ids, files, strict=True)]
    x = _pixels(str(path), pictures, ["PNG", "JPEG"], max_bytes, progress)
    folders = [os.path.dirname(name) for name in ids]
    return StimulusSet(
        x, ids, descriptors={"folder": folders} if any(folders) else {}, name=path.resolve().name
    )


def _pixels(
    source: str, pictures: list[Picture], formats: list[str], max_bytes: int, progress: Progress | None
) -> Pixels:
    """Decoded at once where that takes little memory, else batch by batch; headers are checked first."""
    later = encoded(source, pictures, formats)
    if is_small(later):
        return Held(everything(source, later, max_bytes=max_bytes, progress=progress))
    return later


def _picture(name: str, file: Path) -> Picture:
    return Picture(name, lambda: file.open("rb"))


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for entry in (folder / name for name in visible(folder)):
        if entry.is_dir():
            found += _below(entry)
        elif entry.suffix.lower() in SUFFIXES:
            found.append(entry)
        else:
            raise DataError(f"stimuli {folder}: {entry.name} is not a .png or .jpg file; move it elsewhere")
    return found


def _npy(file: Path, max_bytes: int) -> Any:
    rows = stored_rows(file)
    if rows is not None and not is_small(rows):
        return rows
    try:
        # Mapped, so that a header that declares more than the file holds is refused, not allocated.
        mapped: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        require_room(str(file), "the array", mapped.shape, max_bytes)
        return np.array(mapped)
    except (OSError, ValueError, EOFError) as exception:
        raise DataError(f"stimuli {file}: not a readable .npy array of numbers ({exception})") from None


def _npz(file: Path, key: str | None, max_bytes: int, progress: Progress | None) -> StimulusSet:
    shapes = described(file)
    x: Any
    if key is None and {"jpeg", "offset"} <= set(shapes):
        used: tuple[str, ...] = ("jpeg", "offset")
        x = _jpegs(file, max_bytes, progress)
    else:
        used = (_key(file, key, shapes),)
        x = stored_rows(file, used[0])
        if x is None or is_small(x):
            require_room(str(file), used[0], shapes[used[0]][0], max_bytes)
            x = read_arrays(file, used, max_bytes=max_bytes)[used[0]]
    companions = [
        name
        for name, (shape, kind) in shapes.items()
        if name not in used and shape == x.shape[:1] != () and kind in "biufU"
    ]
    known = read_arrays(file, companions, max_bytes=max_bytes)
    ids = next((known.pop(name) for name in IDS if name in known), None)
    labels = next(
        (known.pop(name) for name in LABELS if name in known and known[name].dtype.kind in "iuU"), None
    )
    return StimulusSet(
        x,
        None if ids is None else identities(f"stimuli {file}: ids", ids),
        labels,
        {name: values for name, values in known.items() if name not in TAKEN},
        name=file.stem if key is None else f"{file.stem}, {key}",
    )


def _key(file: Path, key: str | None, shapes: dict[str, tuple[tuple[int, ...], str]]) -> str:
    if key is not None and key not in shapes:
        raise DataError(f"stimuli {file}: has no array {key!r}, but {listed(list(shapes))}")
    usual = [name for name in USUAL if name in shapes]
    if key is None and not usual and len(shapes) != 1:
        raise DataError(
            f"stimuli {file}: which array holds stimuli? Give {file}:ARRAY, one of {listed(list(shapes))}"
        )
    return key or next(iter([*usual, *shapes]))


def _jpegs(file: Path, max_bytes: int, progress: Progress | None) -> Pixels:
    arrays = read_arrays(file, ("jpeg", "offset"), max_bytes=max_bytes)
    jpeg, offset = arrays["jpeg"], arrays["offset"]
    require_slices(str(file), jpeg, offset)
    at = offset.tolist()
    pictures = [picture(jpeg, i, at[i], at[i + 1]) for i in range(len(at) - 1)]
    return _pixels(str(file), pictures, ["JPEG"], max_bytes, progress)
