"""The numbers behind a figure, saved beside it as comma-separated values."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from cortex_sim.runs.files import write_text

COLUMNS = ("panel", "y axis", "x axis", "series", "kind", "x", "y")
_BAND = "cortex_sim_band"


def band(
    axes: Axes,
    x: np.ndarray,
    mean: np.ndarray,
    spread: np.ndarray,
    colour: str,
    alpha: float = 0.15,
    label: str = "",
) -> None:
    """Shade mean ± spread, and store both edges for the table."""
    drawn = axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=alpha, lw=0)
    setattr(drawn, _BAND, (label, np.asarray(x), mean - spread, mean + spread))


def save(figure: Figure, path: Path) -> None:
    """Write ``NAME.csv`` beside ``NAME.png``: every line, band and error bar, one row for each point."""
    rows = [row for number, axes in enumerate(figure.axes) for row in _rows(axes, number)]
    if rows:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
        write_text(path.with_suffix(".csv"), text.getvalue())


def _rows(axes: Axes, number: int) -> list[tuple[object, ...]]:
    title = axes.get_title() or str(number)
    lead = (title, " ".join(axes.get_ylabel().split()), axes.get_xlabel())
    rows: list[tuple[object, ...]] = []
    for place, line in enumerate(axes.get_lines()):
        name = str(line.get_label())
        name = f"line {place}" if name.startswith("_") else name
        rows += _points(lead, name, "line", *line.get_data())  # type: ignore[arg-type]
    for collection in axes.collections:
        if hasattr(collection, _BAND):
            name, x, low, high = getattr(collection, _BAND)
            rows += _points(lead, name, "low", x, low) + _points(lead, name, "high", x, high)
        elif isinstance(collection, LineCollection):
            ends = [segment for segment in collection.get_segments() if len(segment) == 2]
            for kind, end in (("low", 0), ("high", 1)):
                values = np.asarray([segment[end] for segment in ends]).reshape(-1, 2)
                rows += _points(lead, "error bars", kind, values[:, 0], values[:, 1])
    return rows


def _points(
    lead: tuple[str, str, str], name: str, kind: str, x: np.ndarray, y: np.ndarray
) -> list[tuple[object, ...]]:
    return [
        (*lead, name, kind, float(a), float(b)) for a, b in zip(np.asarray(x), np.asarray(y), strict=True)
    ]
