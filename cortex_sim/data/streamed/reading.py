"""Which data can be streamed, and whether they should be."""

from __future__ import annotations

import math
import os
from pathlib import Path

from cortex_sim.checks import require_path
from cortex_sim.data import idx
from cortex_sim.data.image_folder import listing
from cortex_sim.data.named import NAMED
from cortex_sim.data.pictures import Picture, layout_of
from cortex_sim.data.pixels import HELD_BYTES
from cortex_sim.data.streamed import folder, hub, shards
from cortex_sim.data.streamed.image_set import StreamedSet
from cortex_sim.errors import DataError


def streamed_set(path: str | Path) -> StreamedSet:
    """Labelled pictures that are read when they are requested: for sets larger than memory.

    Parameters
    ----------
    path : str or Path
        A folder of pictures, ``train/CLASS/*.jpg`` with ``val/`` or ``test/`` likewise (or .png), of any
        sizes; a folder of shards with indices, as ``cortex-sim shard`` makes it; or, with the extra ``hub``,
        a data set of the Hugging Face hub, ``hub:OWNER/NAME``, or a folder of parquet files in its layout.

    Raises
    ------
    DataError
        If it is none of these; the message says what would be accepted.

    Notes
    -----
    ``val`` is read as the validation part, on which settings are chosen.
    """
    if hub.recognises(path):
        return hub.read_hub(path)
    place = Path(os.path.expanduser(require_path("data", path, DataError)))
    if shards.recognises(place):
        return shards.read_shards(place)
    if place.is_dir():
        return folder.read_folder(place)
    raise DataError(f"data {place}: cannot be streamed; give {folder.FORM}, {shards.FORM}, or {hub.FORM}")


def is_streamed(name_or_path: str | Path, shape: tuple[int, ...], viewed: bool = False) -> bool:
    """Whether training reads this data picture by picture.

    It does so for shards, sets of the hub and parquet files, and for a folder of pictures if a view is
    declared, if it has a folder ``val``, if its pictures do not have the size that the network takes (judged
    by the first), or if they take more than 256 MiB.

    Parameters
    ----------
    name_or_path : str or Path
    shape : tuple of int
        Of the population that sees them.
    viewed : bool
        Whether a view is declared.
    """
    if isinstance(name_or_path, str) and name_or_path in NAMED:
        return False
    if hub.recognises(name_or_path):
        return True
    place = Path(os.path.expanduser(name_or_path))
    if not place.is_dir():
        return False
    if shards.recognises(place):
        return True
    there = folder.parts_in(place)
    pictures = len(shape) == 3 and shape[0] in (1, 3)
    if idx.recognises(place) or "train" not in there or not pictures:
        return False
    if viewed or set(there) != {"train", "test"}:
        return True
    _, found = listing(place, there)
    names = [name for part in found.values() for name in part.names]
    if len(names) * math.prod(shape) > HELD_BYTES:
        return True
    first = Picture(names[0], lambda: (place / names[0]).open("rb"))
    return layout_of(str(place), [first], ["PNG", "JPEG"]).shape[2:] != shape[1:]
