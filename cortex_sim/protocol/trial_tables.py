"""Trial tables: one row per trial, one column per setting, from CSV, pandas or plain lists."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim.calling import known_settings
from cortex_sim.checks import look_up, require_path
from cortex_sim.errors import DataError
from cortex_sim.protocol.per_trial import PerTrial


@known_settings
class TrialTable(Mapping[str, PerTrial]):
    """Columns of a table as `PerTrial`, ready for the settings of phases and protocols.

    Parameters
    ----------
    source : path, pandas.DataFrame, or mapping of column to values
        A file holds comma-separated values with the columns' names in its first line. Columns of numbers
        become numbers; other columns are text, in which names are separated by spaces (``V1/3 V1/4``) and an
        empty cell means no name.

    Raises
    ------
    DataError
        If rows differ in length, or a number is missing; the message names line and column.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> table = cs.TrialTable({"pause": [100, 250], "silent": ["V1/3 V1/4", ""]})
    >>> show = cs.Phase("show", 200, silence=table["silent"])
    >>> cs.Protocol(show, interval_ms=table["pause"]).interval_ms.values
    (100.0, 250.0)
    >>> table.trials, table.array("pause").tolist()
    (2, [100, 250])
    """

    def __init__(self, source: Any) -> None:
        self._columns = {name: _typed(name, cells) for name, cells in _read(source).items()}

    def __getitem__(self, column: str) -> PerTrial:
        """One column; text as lists of names."""
        values = look_up("column of the trial table", column, self._columns, DataError)
        named = [tuple(value.split()) if isinstance(value, str) else value for value in values]
        return PerTrial(named)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """Number of columns."""
        return len(self._columns)

    @property
    def trials(self) -> int:
        """Number of trials."""
        return len(next(iter(self._columns.values())))

    def array(self, column: str) -> np.ndarray:
        """One column as an array (trial,), such as indices of images: ``images[table.array("image")]``."""
        values = np.asarray(look_up("column of the trial table", column, self._columns, DataError))
        whole = values.dtype.kind == "f" and (values == np.floor(values)).all()
        return values.astype(np.int64) if whole else values


def _read(source: Any) -> dict[str, list[Any]]:
    """Cells by column: text from a file, anything from a table in memory."""
    if isinstance(source, Mapping) or hasattr(source, "columns"):
        columns = {str(name): list(source[name]) for name in source}
    else:
        columns = _from_file(require_path("trial table", source, DataError))
    lengths = {name: len(cells) for name, cells in columns.items()}
    if not lengths or not max(lengths.values()):
        raise DataError("trial table: it is empty; give at least one column with one trial")
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise DataError(f"trial table: all columns must have one entry for each trial. Got {counts}")
    return columns


def _from_file(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, UnicodeDecodeError) as exception:
        raise DataError(
            f"trial table {path}: cannot be read as text ({exception}); save it as CSV in UTF-8"
        ) from None
    names = [name.strip() for name in header]
    twice = next((name for name in names if names.count(name) > 1 or not name), None)
    if twice is not None:
        raise DataError(
            f"trial table {path}: the first line must give every column a different name. Got {twice!r}"
        )
    for line, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise DataError(
                f"trial table {path}: line {line} has {len(row)} cells, the first has {len(names)}; give "
                "every row one cell for each column"
            )
    return {name: [row[k].strip() for row in rows] for k, name in enumerate(names)}


def _typed(name: str, cells: list[Any]) -> list[Any]:
    """Numbers where all cells are numbers, else text."""
    numbers = [_number(cell) for cell in cells]
    given = [k for k, value in enumerate(numbers) if value is not None]
    if len(given) == len(cells):
        for k, value in enumerate(numbers):
            if not math.isfinite(value):  # type: ignore[arg-type]
                raise DataError(
                    f"trial table: column {name} holds {cells[k]} in trial {k}; give a finite number"
                )
        return numbers
    if given or not all(isinstance(cell, str) for cell in cells):
        k = next(k for k, value in enumerate(numbers) if value is None)
        raise DataError(
            f"trial table: column {name} has numbers, but {cells[k]!r} in trial {k}; give a number there, or "
            "names in every row"
        )
    return cells


def _number(cell: Any) -> float | None:
    if isinstance(cell, bool):
        return float(cell)
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None
