"""Shards made from a folder of pictures: the same files, byte for byte, in tar files with an index.

Pictures are put into the shards in a fixed random order, so that programs that read a shard from beginning to
end meet all classes; the index has the order of the folder.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cortex_sim.data.image_folder import Listed, listing
from cortex_sim.data.streamed.folder import parts_in
from cortex_sim.data.streamed.indexing import CLASSES, write_index
from cortex_sim.data.streamed.members import LABEL, members
from cortex_sim.data.streamed.shards import INDEX, escaped
from cortex_sim.errors import DataError
from cortex_sim.runs.files import whole, write_text

Advance = Callable[[int, str], None]


@dataclass(frozen=True)
class Entry:
    """One picture of a shard."""

    file: Path
    key: str
    suffix: str
    label: int


@dataclass(frozen=True)
class Sharding:
    """What is to be written: classes, and the pictures of every shard, by its name."""

    classes: list[str]
    shards: dict[str, list[Entry]]
    parts: list[str]

    @property
    def pictures(self) -> int:
        """Number of pictures in all shards."""
        return sum(map(len, self.shards.values()))


def planned(folder: Path, size: int) -> Sharding:
    """Shards of at most ``size`` pictures for every part of a folder; only names are read.

    Raises
    ------
    DataError
        If the folder has another layout, or two pictures of a class differ in their suffix alone.
    """
    there = parts_in(folder)
    if not there:
        raise DataError(f"data {folder}: has no folder train, val or test; make it train/CLASS/*.jpg")
    classes, found = listing(folder, there)
    shards = {}
    for part, listed in found.items():
        entries = _entries(folder, part, classes, listed)
        order = np.random.default_rng(0).permutation(len(entries))
        for number, start in enumerate(range(0, len(order), size)):
            shards[f"{part}-{number:06d}.tar"] = [entries[i] for i in order[start : start + size]]
    return Sharding(classes, shards, list(found))


def _entries(folder: Path, part: str, classes: list[str], listed: Listed) -> list[Entry]:
    entries, known = [], set()
    for name, label in zip(listed.names, listed.labels, strict=True):
        stem, suffix = os.path.splitext(os.path.basename(name))
        key = f"{escaped(classes[label])}/{escaped(stem)}"
        if key in known:
            raise DataError(
                f"data {folder}: {part}/{classes[label]} has two pictures named {stem}, which would share "
                "one key in a shard; rename one of them"
            )
        known.add(key)
        entries.append(Entry(folder / name, key, suffix[1:], label))
    return entries


def write_shards(plan: Sharding, out: Path, advance: Advance) -> dict[str, int]:
    """Write the planned shards, each file whole or not at all; shards that already exist are kept.

    Parameters
    ----------
    plan : Sharding
    out : Path
        An existing folder, empty or with shards of the same plan.
    advance : callable
        Called with a number of pictures done and the name of their shard.

    Returns
    -------
    dict of str to int
        Pictures by part.

    Raises
    ------
    DataError
        If an existing shard differs from the plan, or a picture cannot be read.
    """
    _require_same(plan, out)
    write_text(out / CLASSES, "".join(f"{name}\n" for name in plan.classes))
    for name, entries in plan.shards.items():
        if not (out / name).exists():
            _write(out / name, entries, lambda name=name: advance(1, name))  # type: ignore[misc]
        else:
            advance(len(entries), name)
    return {part: write_index(out, part, plan.classes)[0] for part in plan.parts}


def _require_same(plan: Sharding, out: Path) -> None:
    for file in sorted(out.glob("*.tar")):
        entries = plan.shards.get(file.name)
        if entries is None or list(_expected(entries)) != [
            (f"{member.key}.{member.suffix}", member.length) for member in members(file)
        ]:
            raise DataError(
                f"--out {out}: {file.name} does not hold the pictures now in the folder, or was made with "
                "another --shard-size; give a new folder"
            )
    for name in plan.parts:
        (out / f"{name}{INDEX}").unlink(missing_ok=True)  # written last: shards with an index are complete


def _expected(entries: list[Entry]) -> Iterator[tuple[str, int]]:
    for entry in entries:
        yield f"{entry.key}.{entry.suffix}", entry.file.stat().st_size
        yield f"{entry.key}.{LABEL}", len(str(entry.label))


def _write(path: Path, entries: list[Entry], after_each: Callable[[], None]) -> None:
    with whole(path) as part, tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as opened:
        for entry in entries:
            try:
                content = entry.file.read_bytes()
            except OSError as exception:
                why = exception.strerror or exception
                raise DataError(f"{entry.file}: cannot be read ({why}); put it back") from None
            for suffix, data in ((entry.suffix, content), (LABEL, str(entry.label).encode())):
                info = tarfile.TarInfo(f"{entry.key}.{suffix}")  # no owner and no time: the same bytes again
                info.size = len(data)
                opened.addfile(info, io.BytesIO(data))
            after_each()
