"""Time courses: means over neuroids, or single neuroids, with phases shaded and arms compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortex_sim.recording import select
from cortex_sim.viz.panels import (
    COLOURS,
    DASHES,
    finished,
    named,
    new_figure,
    of_arm,
    plain,
    shade,
    variable_of,
)

if TYPE_CHECKING:
    import xarray as xr


def time_course(
    recording: xr.Dataset,
    *,
    variable: str = "rate",
    population: str | Iterable[str] | None = None,
    neuroids: str | Iterable[str] = (),
    path: str | Path | None = None,
) -> Figure:
    """A variable against time within the trial, or against presentations where there are no bins.

    Parameters
    ----------
    recording : xarray.Dataset
    variable : str, default "rate"
    population : str or list of str, optional
        One panel each: the mean over neuroids, and a band of one standard deviation among them; all
        populations by default. With time bins, presentations are averaged first.
    neuroids : str or list of str, optional
        Single neuroids ("V1/17") instead, one line each, in one panel.
    path : path, optional
        File to write (PNG, SVG, PDF).
    """
    variable_of(recording, variable)
    single = [neuroids] if isinstance(neuroids, str) else list(neuroids)
    if single:
        figure = new_figure(7.5, 3.4)
        axes = figure.subplots()
        _single(axes, recording, variable, single)
        panels = [axes]
    else:
        chosen = named(
            recording if population is None else select(recording, population=population), "population"
        )
        figure = new_figure(7.5, 0.8 + 1.9 * len(chosen))
        panels = list(figure.subplots(len(chosen), 1, sharex=True, squeeze=False)[:, 0])
        for axes, name in zip(panels, chosen, strict=True):
            _mean(axes, select(recording, population=name), variable)
            plain(axes, "", f"{name}\n{variable}")
    in_time = "time_bin" in recording[variable].dims
    for number, axes in enumerate(panels):
        shade(axes, recording, names=number == 0)
        axes.margins(x=0)
    panels[-1].set_xlabel("time in the trial (ms)" if in_time else "presentation")
    if panels[0].get_legend_handles_labels()[1]:
        panels[0].legend(frameon=False, fontsize=8, loc="best")
    return finished(figure, path)


def _mean(axes: Axes, recording: xr.Dataset, variable: str) -> None:
    for number, arm in enumerate(named(recording, "arm")):
        x, values = _traces(of_arm(recording, arm), variable)
        mean, spread = values.mean(axis=0), values.std(axis=0)
        colour = COLOURS[number % len(COLOURS)]
        axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)
        # The first arm is drawn broad, so that it stays visible under a smooth curve.
        broad = number == 0 and "time_bin" in recording[variable].dims
        width, alpha = (4.0, 0.5) if broad else (1.5, 1.0)
        axes.plot(x, mean, color=colour, lw=width, alpha=alpha, label=arm or None)


def _single(axes: Axes, recording: xr.Dataset, variable: str, neuroids: list[str]) -> None:
    arms = named(recording, "arm")
    for number, name in enumerate(neuroids):
        for kind, arm in enumerate(arms):
            x, values = _traces(of_arm(select(recording, neuroid=name), arm), variable)
            label = f"{name}, {arm}" if len(arms) > 1 else name
            style = DASHES[kind % len(DASHES)]
            axes.plot(x, values[0], color=COLOURS[number % len(COLOURS)], ls=style, label=label)
    plain(axes, "", variable)


def _traces(recording: xr.Dataset, variable: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the samples, and values (neuroid, sample); a value is that at the end of its bin."""
    values = recording[variable]
    if "time_bin" in values.dims:
        return recording["time_bin_end"].values, values.mean("presentation").values
    return np.arange(values.sizes["presentation"]), values.transpose("neuroid", "presentation").values
