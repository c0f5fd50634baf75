"""A folder of pictures, train/CLASS/*.jpg and val/ or test/ likewise, read picture by picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cortex_sim.data.image_folder import listing
from cortex_sim.data.streamed.image_set import Part, StreamedSet
from cortex_sim.data.streamed.stores import Files, packed
from cortex_sim.data.streamed.unreadable import Unreadable
from cortex_sim.errors import DataError

FORM = "a folder of pictures, train/CLASS/*.jpg and val/CLASS/*.jpg or test/CLASS/*.jpg (or .png)"
PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def parts_in(path: Path) -> list[str]:
    """Names of the folders in it that are parts of a set, the training set's first."""
    return [name for name in PARTS if (path / name).is_dir()]


def read_folder(path: Path) -> StreamedSet:
    """The pictures of a folder; only names are read.

    Raises
    ------
    DataError
        If there is nothing to train on or nothing to test on, or the folder is laid out in another way.
    """
    there = parts_in(path)
    if "train" not in there or len(there) < 2 or {"val", "validation"} <= set(there):
        has = ", ".join(there) or "none of them"
        raise DataError(f"data {path}: needs train and one of val or test, has {has}; make it {FORM}")
    classes, found = listing(path, there)
    parts = {
        PARTS[name]: Part.of(Files(path, packed(one.names), str(path)), np.array(one.labels, np.int64))
        for name, one in found.items()
    }
    name = path.resolve().name
    return StreamedSet(name, parts, tuple(classes), unreadable=Unreadable(str(path)))
