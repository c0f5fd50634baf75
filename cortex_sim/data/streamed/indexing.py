"""The index of shards: made by reading the headers in tar files, whatever program wrote them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim.data.streamed.members import LABEL, PICTURES, Member, label_in, members
from cortex_sim.data.streamed.shards import INDEX, shards_of, unescaped
from cortex_sim.data.streamed.stores import packed
from cortex_sim.errors import DataError
from cortex_sim.runs.files import whole

CLASSES = "classes.txt"

Rows = dict[str, tuple[int, Member, int]]  # by name: number of the shard, place in it, class


def write_index(
    path: Path,
    name: str,
    classes: Sequence[str] | None = None,
    after_each: Callable[[], None] = lambda: None,
) -> tuple[int, list[str]]:
    """Write the index of the shards NAME-….tar, sorted by key; nothing is extracted.

    Parameters
    ----------
    path : Path
        The folder.
    name : str
    classes : sequence of str, optional
        By default the lines of classes.txt, or the numbers up to the largest label.
    after_each : callable
        Called after each shard.

    Returns
    -------
    count : int
        Pictures in the index.
    left_out : list of str
        Keys without a picture or without a label, which the index leaves out.

    Raises
    ------
    DataError
        If a shard is damaged, or a key occurs twice.
    """
    shards = shards_of(path).get(name, [])
    if not shards:
        raise DataError(f"data {path}: has no shards {name}-000000.tar; give the name of existing ones")
    rows: Rows = {}
    left_out: list[str] = []
    for number, shard in enumerate(shards):
        _add(path / shard, number, rows, left_out)
        after_each()
    if not rows:
        raise DataError(f"data {path}: no shard {name}-….tar has a picture KEY.jpg with its KEY.cls")
    keys = sorted(rows, key=_as_in_a_folder)
    found = [rows[key] for key in keys]
    labels = np.array([label for _, _, label in found], np.int64)
    known = list(classes or _classes_in(path) or map(str, range(int(labels.max()) + 1)))
    if labels.max() >= len(known):
        raise DataError(
            f"data {path}: the shards of {name} hold the class {labels.max()}, and {CLASSES} has "
            f"{len(known)} lines; give one line for each class from 0"
        )
    arrays: dict[str, Any] = {
        "shard": np.array(shards),
        "bytes": np.array([(path / shard).stat().st_size for shard in shards], np.int64),
        "number": np.array([number for number, _, _ in found], np.int32),
        "offset": np.array([member.offset for _, member, _ in found], np.int64),
        "length": np.array([member.length for _, member, _ in found], np.int64),
        "key": packed(keys),
        "label": labels,
        "classes": np.array(known),
    }
    with whole(path / f"{name}{INDEX}") as part, part.open("wb") as opened:
        np.savez(opened, **arrays)
    return len(keys), left_out


def _add(shard: Path, number: int, rows: Rows, left_out: list[str]) -> None:
    pictures: dict[str, Member] = {}
    labels: dict[str, int | None] = {}
    for member in members(shard):
        if member.suffix.lower() in PICTURES:
            name = f"{member.key}.{member.suffix}"
            if name in rows or name in pictures:
                raise DataError(f"shard {shard}: {name} occurs a second time; keys must be unique")
            pictures[name] = member
        elif member.suffix.lower() == LABEL:
            labels[member.key] = label_in(shard, member)
    for name, member in pictures.items():
        label = labels.get(member.key)
        if label is None:
            left_out.append(name)
        else:
            rows[name] = (number, member, label)
    pictured = {member.key for member in pictures.values()}
    left_out += [f"{key}.{LABEL}" for key in labels if key not in pictured]


def _classes_in(path: Path) -> list[str]:
    file = path / CLASSES
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def _as_in_a_folder(key: str) -> tuple[str, ...]:
    """Sorts by folder, then by name, so that shards have the order of the folder they were made of."""
    return tuple(unescaped(key).split("/"))
