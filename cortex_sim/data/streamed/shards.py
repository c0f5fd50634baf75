"""Shards: tar files NAME-000000.tar with an index NAME.index.npz, from which pictures are read by seeking.

webdataset reads such files from beginning to end, and shuffles what is in memory. Here the index says where
every picture is, so that any order of the whole set is possible and repeatable.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.data.archive import read_arrays
from cortex_sim.data.streamed.folder import PARTS
from cortex_sim.data.streamed.image_set import Part, StreamedSet
from cortex_sim.data.streamed.stores import read_part
from cortex_sim.data.streamed.unreadable import Unreadable
from cortex_sim.errors import DataError

FORM = "a folder of shards, train-000000.tar … and val-000000.tar … or test-000000.tar … with their indices"
INDEX = ".index.npz"
_SHARD = re.compile(r"(.+)-(\d+)\.tar")
ARRAYS = ("shard", "bytes", "number", "offset", "length", "key", "label", "classes")


@dataclass(frozen=True, eq=False)
class Shards:
    """Pictures in tar files, by their places in them.

    Parameters
    ----------
    folder : Path
    shards : tuple of str
        Names of the files.
    number, offset, length : integer array of shape (n,)
        For every picture its file, where it begins in that, and its number of bytes.
    keys : bytes array of shape (n,)
        Keys with suffix, by `packed`.
    part : str
        NAME of the files.
    source : str
    """

    folder: Path
    shards: tuple[str, ...]
    number: NDArray[Any]
    offset: NDArray[Any]
    length: NDArray[Any]
    keys: NDArray[Any]
    part: str
    source: str

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.offset)

    def name(self, number: int) -> str:
        """Path of the picture in the folder that the shards were made from, as far as its key shows it."""
        return f"{self.part}/{unescaped(os.fsdecode(bytes(self.keys[number])))}"

    def read(self, number: int) -> bytes:
        """The bytes of one member."""
        file = self.folder / self.shards[int(self.number[number])]
        start, length = int(self.offset[number]), int(self.length[number])
        return read_part(file, start, length, self.source, self.name(number))


def escaped(stem: str) -> str:
    """A class, or a file's name without its suffix, as part of a key, without the dot that would end it."""
    return stem.replace("%", "%25").replace(".", "%2E")


def unescaped(key: str) -> str:
    """The inverse of `escaped`."""
    return key.replace("%2E", ".").replace("%25", "%")


def recognises(path: Path) -> bool:
    """Whether a folder holds shards."""
    return path.is_dir() and any(_SHARD.fullmatch(name) or name.endswith(INDEX) for name in os.listdir(path))


def shards_of(path: Path) -> dict[str, list[str]]:
    """Names of the tar files in a folder, sorted, by what comes before their number."""
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(path)):
        matched = _SHARD.fullmatch(name)
        if matched:
            found.setdefault(matched[1], []).append(name)
    return found


def read_shards(path: Path) -> StreamedSet:
    """The pictures of a folder of shards; only the indices are read, and the sizes of the files compared.

    Raises
    ------
    DataError
        If an index is missing or damaged, or a shard is missing or has another size than the index says.
    """
    names = sorted(
        {*shards_of(path), *(n.removesuffix(INDEX) for n in os.listdir(path) if n.endswith(INDEX))}
    )
    there = [name for name in names if name in PARTS]
    if "train" not in there or len(there) < 2 or {"val", "validation"} <= set(there):
        raise DataError(
            f"data {path}: needs shards of train and of val or test, has {', '.join(names)}; make it {FORM}"
        )
    parts: dict[str, Part] = {}
    classes: tuple[str, ...] = ()
    for name in sorted(there, key=list(PARTS).index):
        part, named = _read(path, name)
        classes = classes or named
        if named != classes:
            raise DataError(
                f"data {path}: train and {name} have different classes; make their shards together"
            )
        parts[PARTS[name]] = part
    return StreamedSet(path.resolve().name, parts, classes, unreadable=Unreadable(str(path)))


def _read(path: Path, name: str) -> tuple[Part, tuple[str, ...]]:
    index = path / f"{name}{INDEX}"
    if not index.is_file():
        raise DataError(
            f"data {path}: the shards {name}-….tar have no index; make it: cortex-sim shard {path} --index"
        )
    arrays = read_arrays(index, ARRAYS)
    _require_index(index, arrays)
    for shard, size in zip(arrays["shard"].tolist(), arrays["bytes"].tolist(), strict=True):
        file = path / shard
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            has = "is missing" if found is None else f"has {found} bytes"
            raise DataError(
                f"data {path}: {shard} {has}, but its index lists {size} bytes; copy it again, or make a new "
                f"index: cortex-sim shard {path} --index"
            )
    store = Shards(
        path,
        tuple(arrays["shard"].tolist()),
        arrays["number"],
        arrays["offset"],
        arrays["length"],
        arrays["key"],
        name,
        str(path),
    )
    return Part.of(store, arrays["label"]), tuple(arrays["classes"].tolist())


def _require_index(index: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Raise `DataError` unless the arrays of an index fit together; no path leaves the folder."""
    count = len(np.atleast_1d(arrays["offset"]))
    whole_numbers = ("number", "offset", "length", "label")
    fine = (
        all(arrays[name].dtype.kind in "iu" and arrays[name].shape == (count,) for name in whole_numbers)
        and arrays["key"].dtype.kind == "S"
        and arrays["key"].shape == (count,)
        and all(arrays[name].dtype.kind == "U" and arrays[name].ndim == 1 for name in ("shard", "classes"))
        and arrays["bytes"].dtype.kind in "iu"
        and arrays["bytes"].shape == arrays["shard"].shape
        and count > 0
        and all(_SHARD.fullmatch(shard) and "/" not in shard for shard in arrays["shard"].tolist())
    )
    if fine:
        number, label = arrays["number"], arrays["label"]
        fine = 0 <= number.min() <= number.max() < len(arrays["shard"])
        fine = fine and 0 <= label.min() <= label.max() < len(arrays["classes"])
        fine = fine and arrays["offset"].min() >= 0 and arrays["length"].min() >= 0
        fine = fine and bool((arrays["offset"] + arrays["length"] <= arrays["bytes"][number]).all())
    if not fine:
        raise DataError(
            f"data {index}: is not an index of shards, or is damaged; make a new one: cortex-sim shard "
            f"{index.parent} --index"
        )
