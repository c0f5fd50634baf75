"""Shared by all figures: colours, plain axes, shaded phases, and files written completely or not at all."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cortex_sim.checks import look_up, require_path
from cortex_sim.errors import DataError
from cortex_sim.runs.files import whole

if TYPE_CHECKING:
    import xarray as xr

# Okabe & Ito's palette: distinguishable for colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
DASHES = ("-", "--", ":", "-.")
SUFFIXES = (".png", ".svg", ".pdf")


class InlineFigure(Figure):
    """A figure that a notebook shows by itself, without ``%matplotlib`` or pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self)


def new_figure(width: float, height: float) -> Figure:
    """Figure of a size in inches, without a window."""
    figure = InlineFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as PNG."""
    page = io.BytesIO()
    figure.savefig(page, format="png", dpi=dpi, metadata={"Software": None})
    return page.getvalue()


def note(figure: Figure, *said: str) -> None:
    """Write below the panels what lines, bands and symbols mean; empty parts are left out."""
    text = "; ".join(part for part in said if part)
    if text:
        width = int(figure.get_figwidth() * 17)
        figure.supxlabel(textwrap.fill(text, width), fontsize=7.5, color="0.35", x=0.01, ha="left")


def plain(axes: Axes, x: str, y: str) -> None:
    """Label the axes; no frame, a faint grid."""
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure completely or not at all."""
    with whole(path) as part:
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=150)


def finished(figure: Figure, path: str | Path | None, data: bool = False) -> Figure:
    """The figure, saved as PNG, SVG or PDF if a path is given; with ``data`` its numbers too, as CSV."""
    if path is not None:
        file = require_path("figure", path, DataError)
        if file.suffix.lower() not in SUFFIXES:
            raise DataError(
                f"figure {path}: the suffix must be one of {', '.join(SUFFIXES)}. Got {file.suffix!r}"
            )
        if not file.parent.is_dir():
            raise DataError(f"figure {path}: no folder {file.parent}; create it first")
        save_figure(figure, file)
        if data:
            from cortex_sim.viz import behind

            behind.save(figure, file)
    return figure


def variable_of(recording: xr.Dataset, name: str) -> xr.DataArray:
    """Variable (presentation, neuroid[, time_bin]) by name; an error if it was not recorded."""
    found = {
        str(key): value
        for key, value in recording.data_vars.items()
        if {"presentation", "neuroid"} <= set(value.dims)
    }
    return look_up("variable of the recording", name, found, DataError)


def named(recording: xr.Dataset, coordinate: str) -> list[str]:
    """Values of a coordinate in order of appearance; one empty name where there is no such coordinate."""
    if coordinate not in recording.coords:
        return [""]
    return list(dict.fromkeys(recording[coordinate].values.astype(str).tolist()))


def of_arm(recording: xr.Dataset, arm: str) -> xr.Dataset:
    """Presentations and snapshots of one arm; all of them if the recording has no arms."""
    from cortex_sim.recording import select

    return select(recording, arm=arm) if arm else recording


def by_stimulus(recording: xr.Dataset, values: Mapping[str, Any] | Sequence[Any], what: str) -> np.ndarray:
    """Value of each presentation's stimulus: by stimulus_id, or from a list by the stimulus's number."""
    shown = recording["stimulus_id"].values.astype(str).tolist()
    table = values if isinstance(values, Mapping) else {str(i): value for i, value in enumerate(values)}
    missing = [stimulus for stimulus in dict.fromkeys(shown) if stimulus not in table]
    if missing:
        raise DataError(
            f"{what}: nothing given for stimulus {missing[0]!r}; give a list by stimulus number, or a "
            "mapping from every stimulus_id"
        )
    return np.asarray([table[stimulus] for stimulus in shown])


def phases(recording: xr.Dataset) -> list[tuple[str, float, float]]:
    """Name, start and end of each phase of a trial, in ms; empty where there are no time bins."""
    if "phase" not in recording.coords:
        return []
    start, end = recording["time_bin_start"].values, recording["time_bin_end"].values
    found: list[tuple[str, float, float]] = []
    for name, begins, ends in zip(recording["phase"].values.astype(str).tolist(), start, end, strict=True):
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], float(ends))
        else:
            found.append((name, float(begins), float(ends)))
    return found


def shade(axes: Axes, recording: xr.Dataset, names: bool = True) -> None:
    """Shade every second phase, and write the names of all phases above."""
    for number, (name, begins, ends) in enumerate(phases(recording)):
        if number % 2:
            axes.axvspan(begins, ends, color="0.5", alpha=0.15, lw=0, zorder=0)
        if names:
            axes.text(
                (begins + ends) / 2,
                1.01,
                name,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=8,
                color="0.35",
            )
