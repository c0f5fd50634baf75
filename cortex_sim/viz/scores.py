"""Figures of comparisons with neural data: scores by population, over time, and of single neuroids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from cortex_sim.errors import DataError
from cortex_sim.viz.panels import COLOURS, DASHES, finished, new_figure, plain

LEGEND_WIDTH = 1.9  # inches of one entry
MARKERS = ("o", "s", "^", "D")  # of models; the next one each time that all colours are used

Row = Mapping[str, Any]


def comparison_scores(rows: Sequence[Row], path: str | Path | None = None) -> Figure:
    """Scores by population, one panel for each data set and metric, with intervals, ceilings and controls.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the table of `cortex_sim.report.compare`: ``recording``, ``population``, ``data``, ``metric``,
        ``score``, ``ci_low``, ``ci_high``, ``ceiling``, ``control_shifted``, ``control_untrained``.
    path : path, optional
        File to write (PNG, SVG, PDF).
    """
    panels = list(dict.fromkeys((row["data"], row["metric"]) for row in rows))
    if not panels:
        raise DataError("figure of scores: no rows; compare at least one recording with neural data")
    names = list(dict.fromkeys(row["recording"] for row in rows))
    places = {panel: _populations(rows, panel) for panel in panels}
    width = max(3.2, 0.75 * max(map(len, places.values())) + 1.6)
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    figure = new_figure(width * columns, 3.2 * lines + 0.4)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _panel(axes, [row for row in rows if (row["data"], row["metric"]) == panel], places[panel], names)
        axes.set_title("\n".join(panel), fontsize=9)
    shown: dict[tuple[str, type], Any] = {}  # a model may have the name of a control
    for axes in grid.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            shown[label, type(handle)] = handle
    abreast = max(1, min(5, int(width * columns / LEGEND_WIDTH)))
    figure.legend(
        list(shown.values()),
        [label for label, _ in shown],
        loc="outside lower center",
        ncols=abreast,
        frameon=False,
        fontsize=8,
    )
    return finished(figure, path)


def _populations(rows: Sequence[Row], panel: tuple[Any, Any]) -> list[str]:
    return list(dict.fromkeys(row["population"] for row in rows if (row["data"], row["metric"]) == panel))


def _panel(axes: Axes, rows: Sequence[Row], populations: list[str], names: list[str]) -> None:
    apart = 0.7 / max(len(names), 1)
    for number, name in enumerate(names):
        mine = [row for row in rows if row["recording"] == name]
        at = [populations.index(row["population"]) + (number - (len(names) - 1) / 2) * apart for row in mine]
        colour = COLOURS[number % len(COLOURS)]
        marker = MARKERS[number // len(COLOURS) % len(MARKERS)]
        scores = [row["score"] for row in mine]
        low = [max(row["score"] - _or(row["ci_low"], row["score"]), 0.0) for row in mine]
        high = [max(_or(row["ci_high"], row["score"]) - row["score"], 0.0) for row in mine]
        axes.errorbar(at, scores, [low, high], fmt=marker, ms=4, color=colour, capsize=2, label=name)
        for key, sign, said in (
            ("control_untrained", "_", "before training"),
            ("control_shifted", "x", "shifted by one stimulus"),
        ):
            pairs = zip(at, mine, strict=True)
            found = [(place, row[key]) for place, row in pairs if row.get(key) is not None]
            if found:
                x, y = np.array(found).T
                axes.scatter(x, y, marker=sign, s=28, color="0.55", lw=1, label=said)
    _ceilings(axes, rows)
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)
    axes.set_xticks(range(len(populations)), populations)
    plain(axes, "", "score")
    axes.grid(visible=False, axis="x")


def _ceilings(axes: Axes, rows: Sequence[Row]) -> None:
    """A band from the lowest to the highest ceiling of the scores' own scale."""
    found = [bound for row in rows for bound in _bounds(row)]
    if found:
        low, high = min(found), max(found)
        pad = 0.004 if high - low < 0.008 else 0.0
        axes.axhspan(low - pad, high + pad, color="0.5", alpha=0.25, lw=0, zorder=0, label="ceiling")


def _bounds(row: Row) -> list[float]:
    ceiling = row.get("ceiling")
    if ceiling is None:
        return []
    if row.get("convention", "raw") != "raw":
        return [1.0]  # a score that is already divided by its ceiling
    return list(ceiling) if isinstance(ceiling, (list, tuple)) else [float(ceiling)]


def _or(value: float | None, other: float) -> float:
    return other if value is None else float(value)


def neuroid_scatter(
    first: ArrayLike,
    second: ArrayLike,
    labels: tuple[str, str],
    path: str | Path | None = None,
    reliability: ArrayLike | None = None,
) -> Figure:
    """One point per neuroid: its score under two models, or score against reliability.

    Parameters
    ----------
    first, second : array of shape (neuroid,)
    labels : tuple of str
        Labels of the horizontal and the vertical axis.
    reliability : array of shape (neuroid,), optional
        Shown as colour.
    path : path, optional
        File to write (PNG, SVG, PDF).
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise DataError(
            f"scatter of neuroids: give two values per neuroid, one for each axis. Got shapes {x.shape} and "
            f"{y.shape}"
        )
    figure = new_figure(4.2, 4)
    axes = figure.subplots()
    seen = axes.scatter(x, y, s=14, c=COLOURS[0] if reliability is None else reliability, alpha=0.75)
    if reliability is not None:
        figure.colorbar(seen, ax=axes, label="reliability", shrink=0.8)
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    axes.plot(ends, ends, color="0.6", lw=0.8, ls="--")
    axes.plot(np.median(x), np.median(y), "+", ms=14, mew=2, color=COLOURS[1], label="medians")
    plain(axes, *labels)
    axes.legend(frameon=False, fontsize=8)
    return finished(figure, path)


def scores_over_time(
    rows: Mapping[str, Sequence[Row]], path: str | Path | None = None, label: str = "score"
) -> Figure:
    """Time courses of a score, one line per recording or population, with the ceiling.

    A line is broken where a time bin has no score, or is missing.

    Parameters
    ----------
    rows : mapping of str to sequence of mapping
        Rows of ``cortex_sim.compare.over_time``, whose ``bin`` is a time in ms. Where they hold ``ci_low``
        and ``ci_high`` the interval is a band, and ``control_shifted`` a cross.
    path : path, optional
        File to write (PNG, SVG, PDF).
    label : str, default "score"
        Label of the vertical axis.
    """
    figure = new_figure(5.5, 3.2 + 0.2 * (len(rows) // 3))
    axes = figure.subplots()
    for number, (name, of) in enumerate(rows.items()):
        course = _broken(of)
        time, colour = course["bin"], COLOURS[number % len(COLOURS)]
        dashes = DASHES[number // len(COLOURS) % len(DASHES)]
        axes.plot(time, course["score"], color=colour, ls=dashes, marker=".", ms=4, label=name)
        if np.isfinite(course["ci_low"]).any():
            level = str(of[0].get("interval", "")).partition(":")[0]
            said = f"band: {level} interval" if level else "band: interval"
            axes.fill_between(
                time, course["ci_low"], course["ci_high"],
                color=colour, alpha=0.15, lw=0, label="" if number else said,
            )  # fmt: skip
        if np.isfinite(course["control_shifted"]).any():
            said = "" if number else "shifted by one stimulus"
            axes.scatter(
                time, course["control_shifted"], marker="x", s=14, color=colour, alpha=0.6, lw=0.8, label=said
            )
        if np.isfinite(course["ceiling_low"]).any() and not number:
            axes.plot(time, course["ceiling_low"], color="0.5", ls="--", label="ceiling")
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)
    plain(axes, "time from stimulus onset (ms)", label)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return finished(figure, path)


def _broken(rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
    """The values drawn over time; NaN where unknown, and between bins that do not follow each other."""
    keys = ("bin", "score", "ci_low", "ci_high", "control_shifted", "ceiling_low")
    found: list[list[float]] = []
    end: float | None = None
    for row in rows:
        start = row.get("time_bin_start")
        if end is not None and start is not None and start > end + 1e-6:
            found.append([(start + end) / 2, *[np.nan] * (len(keys) - 1)])
        values = [row.get(key) for key in keys]
        unknown = row["score"] is None
        known = [np.nan if unknown or v is None else float(v) for v in values[1:]]
        found.append([float(row["bin"]), *known])
        end = row.get("time_bin_end")
    return dict(zip(keys, np.asarray(found, dtype=np.float64).reshape(-1, len(keys)).T, strict=True))
