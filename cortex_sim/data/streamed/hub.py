"""Data sets of the Hugging Face hub, and local parquet files in its layout, through the package `datasets`.

The package is imported when such a set is requested; it downloads a set once, keeps it in its own cache, and
reads single rows from there. Code that comes with a data set is never run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim.checks import listed
from cortex_sim.data.streamed.folder import PARTS
from cortex_sim.data.streamed.image_set import Part, StreamedSet
from cortex_sim.data.streamed.stores import MOST_BYTES
from cortex_sim.data.streamed.unreadable import Unreadable
from cortex_sim.errors import DataError

PREFIX = "hub:"
FORM = "hub:OWNER/NAME, a data set of the Hugging Face hub, or a folder of train-*.parquet and test-*.parquet"
PICTURES, LABELS = ("image", "img"), ("label", "labels", "fine_label")  # usual names of columns


@dataclass(frozen=True, eq=False)
class Rows:
    """Encoded pictures in one column of a table.

    Parameters
    ----------
    table : datasets.Dataset
        With that column alone.
    column : str
    part : str
        First part of every picture's name.
    source : str
    """

    table: Any
    column: str
    part: str
    source: str

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.table)

    def name(self, number: int) -> str:
        """Part and number: rows have no names."""
        return f"{self.part}/{number}"

    def read(self, number: int) -> bytes:
        """The picture of one row.

        Raises
        ------
        DataError
            If there is none, or it cannot be read.
        """
        try:
            found = self.table[number][self.column]["bytes"]
        except Exception as exception:  # a damaged table may raise anything
            raise DataError(
                f"data {self.source}: {self.name(number)} cannot be read ({exception})"
            ) from exception
        if not found or len(found) > MOST_BYTES:
            raise DataError(f"data {self.source}: {self.name(number)} holds no picture; leave the row out")
        return bytes(found)


def recognises(name_or_path: str | Path) -> bool:
    """Whether this names a set of the hub, or a folder with parquet files."""
    if isinstance(name_or_path, str) and name_or_path.startswith(PREFIX):
        return True
    place = Path(os.path.expanduser(name_or_path))
    return place.is_dir() and any(name.endswith(".parquet") for name in os.listdir(place))


def read_hub(name_or_path: str | Path) -> StreamedSet:
    """The pictures of such a set.

    Raises
    ------
    DataError
        If the package is missing, the set cannot be loaded, or it has no pictures or labels.
    """
    source = str(name_or_path)
    try:
        import datasets
    except ImportError as exception:
        raise DataError(
            f"data {source}: needs the package datasets ({exception}); install it: "
            "pip install 'cortex-sim[hub]'"
        ) from None
    try:
        if source.startswith(PREFIX):
            tables = datasets.load_dataset(source.removeprefix(PREFIX))
        else:
            tables = datasets.load_dataset("parquet", data_files=_files(Path(os.path.expanduser(source))))
    except DataError:
        raise
    except Exception as exception:  # offline, unknown, damaged: the package raises many kinds
        said = (str(exception) or type(exception).__name__).splitlines()[0]
        raise DataError(f"data {source}: cannot be loaded by datasets ({said}); give {FORM}") from None
    there = [name for name in PARTS if name in tables]
    if "train" not in there or len(there) < 2 or {"val", "validation"} <= set(there):
        raise DataError(
            f"data {source}: needs train and one of validation or test, has {listed(tables)}; give another "
            "set"
        )
    parts: dict[str, Part] = {}
    classes: tuple[str, ...] = ()
    for name in there:
        parts[PARTS[name]], named = _part(datasets, tables[name], name, source)
        classes = max(classes, named, key=len)
    short = Path(source.removeprefix(PREFIX)).name
    return StreamedSet(short, parts, classes, unreadable=Unreadable(source))


def _files(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        part = name.split("-")[0].removesuffix(".parquet")
        if name.endswith(".parquet") and part in PARTS:
            found.setdefault(part, []).append(str(folder / name))
    if not found:
        raise DataError(f"data {folder}: no parquet file begins with train, val or test; give {FORM}")
    return found


def _part(datasets: Any, table: Any, part: str, source: str) -> tuple[Part, tuple[str, ...]]:
    columns = table.column_names
    pictures = next((name for name in PICTURES if name in columns), None)
    labels = next((name for name in LABELS if name in columns), None)
    if pictures is None or labels is None:
        raise DataError(
            f"data {source}: {part} needs a column {' or '.join(PICTURES)} and one {' or '.join(LABELS)}, "
            f"but has {listed(columns)}; rename them"
        )
    known = np.asarray(table.data.column(labels).to_numpy())
    if known.dtype.kind not in "iu" or not len(known) or known.min() < 0:
        raise DataError(f"data {source}: {labels} of {part} must be whole numbers from 0; convert them")
    names = getattr(table.features[labels], "names", None) or map(str, range(int(known.max()) + 1))
    encoded = table.select_columns([pictures]).cast_column(pictures, datasets.Image(decode=False))
    return Part.of(Rows(encoded, pictures, part, source), known), tuple(names)
