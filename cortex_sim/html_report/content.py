"""What a page consists of: sections with sentences, legends, figures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cortex_sim.html_report.curves import Look

MOST_EXACT = 1e6  # whole numbers below are spelled out


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text : str
    value : number, optional
        The number itself, unrounded.
    marked : bool
        Whether it differs from others in its row.
    """

    text: str
    value: float | int | None = None
    marked: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table: its head, then its cells; marked where its cells differ from each other."""

    head: str
    cells: tuple[Cell, ...]
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """A table whose first column heads its rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    numbers: bool = True  # aligned right
    folded: bool = False  # behind a title that opens it; printed open


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    look: Look


@dataclass(frozen=True)
class Picture:
    """A figure: its SVG element, a caption, its natural width in CSS pixels, and its legend."""

    svg: str
    caption: str
    width: int
    keys: tuple[Key, ...] = ()


@dataclass
class Section:
    """A part of the page under a heading."""

    name: str  # identifier: letters and "-"
    title: str
    sentences: list[str] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def number(value: Any, spelled: str | None = None) -> Cell:
    """A cell with a number, by default with four digits; a dash where there is none."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return Cell("–" if value is None else str(value))
    if spelled is None:
        spelled = "{:g}" if value == int(value) and abs(value) < MOST_EXACT else "{:#.4g}"
    return Cell(spelled.format(value), value)


def percent(value: Any) -> Cell:
    """A share as percentage."""
    return number(value, "{:.2%}")


def side_by_side(columns: Sequence[dict[str, Any]], spelled: Any = str) -> tuple[Row, ...]:
    """One column per subject, one row per key; rows whose cells differ are marked."""
    keys = dict.fromkeys(key for one in columns for key in one)
    rows = []
    for key in keys:
        texts = [spelled(one[key]) if key in one else "–" for one in columns]
        differs = len(set(texts)) > 1
        rows.append(Row(key, tuple(Cell(text, marked=differs) for text in texts), differs))
    return tuple(rows)
