"""Members of a tar file in webdataset's layout: KEY.jpg (or .png) and KEY.cls, found but not extracted."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cortex_sim.errors import DataError

PICTURES = {"jpg", "jpeg", "png"}
LABEL = "cls"
_LABEL_BYTES = 20  # digits of the largest class there can be


@dataclass(frozen=True)
class Member:
    """One file in a tar file: its key (name up to the first dot), suffix, and where its bytes are."""

    key: str
    suffix: str
    offset: int
    length: int


def members(shard: Path) -> Iterator[Member]:
    """Plain files in a tar file, in order; links, devices and sparse files are skipped.

    Names are only compared, never used as paths.

    Raises
    ------
    DataError
        If the file is not a tar file, is compressed, or is truncated.
    """
    size = shard.stat().st_size
    try:
        with tarfile.open(shard, "r:") as opened:
            for info in opened:
                if not info.isreg() or info.sparse is not None:
                    continue
                if info.offset_data + info.size > size:
                    raise tarfile.ReadError(f"{info.name} extends beyond its end")
                folder, slash, name = info.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                yield Member(f"{folder}{slash}{stem}", suffix, info.offset_data, info.size)
    except (tarfile.TarError, OSError, ValueError, EOFError) as exception:
        raise DataError(
            f"shard {shard}: cannot be read as an uncompressed tar file ({exception}); copy or make it again"
        ) from exception


def label_in(shard: Path, member: Member) -> int | None:
    """The class in a KEY.cls, a whole number in text; None where it is something else."""
    if member.length > _LABEL_BYTES:
        return None
    with shard.open("rb") as opened:
        opened.seek(member.offset)
        text = opened.read(member.length).strip()
    return int(text) if text.isdigit() else None
