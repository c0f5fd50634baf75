"""Time courses: means over neuroids, or single neuroids, with phases shaded and arms compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortex_sim.calling import known_arguments
from cortex_sim.recording import select
from cortex_sim.viz import behind
from cortex_sim.viz.groups import Group, groups, mean_and_sd
from cortex_sim.viz.panels import (
    COLOURS,
    DASHES,
    finished,
    named,
    new_figure,
    note,
    plain,
    shade,
    variable_of,
)
from cortex_sim.viz.states import as_neuroids

if TYPE_CHECKING:
    import xarray as xr


@known_arguments("cs.viz.time_course")
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
        Or a rule's state that was recorded at every presentation, such as "retina->V1:theta": one panel for
        its units or synapses, of which single ones are named "theta[3]" or "e[3, 2]" (post, pre).
    population : str or list of str, optional
        One panel each: the mean over neuroids, and a band of one standard deviation among them; all
        populations by default. With time bins, presentations are averaged first.
    neuroids : str or list of str, optional
        Single neuroids ("V1/17") instead, one line each, in one panel.
    path : path, optional
        File to write (PNG, SVG, PDF).

    Raises
    ------
    DataError
        If the recording is empty, or has no such variable, population or neuroid.
    """
    shown = as_neuroids(recording, variable)
    recording, variable = shown.recording, shown.name
    arms = groups(recording, "time_course")
    plot = arms[0].first
    variable_of(plot, variable)
    single = [neuroids] if isinstance(neuroids, str) else list(neuroids)
    in_time = "time_bin" in plot[variable].dims
    if single:
        figure = new_figure(7.5, 3.6)
        axes = figure.subplots()
        _single(axes, arms, variable, single)
        panels = [axes]
    else:
        chosen = named(
            recording if population is None else select(recording, population=population), "population"
        )
        figure = new_figure(7.5, 1.0 + 1.9 * len(chosen))
        panels = list(figure.subplots(len(chosen), 1, sharex=True, squeeze=False)[:, 0])
        for axes, name in zip(panels, chosen, strict=True):
            _mean(axes, arms, name, variable)
            plain(axes, "", f"{name}\n{variable}")
    for number, axes in enumerate(panels):
        shade(axes, plot, names=number == 0)
        axes.margins(x=0)
    panels[-1].set_xlabel("time in the trial (ms)" if in_time else "presentation")
    if panels[0].get_legend_handles_labels()[1]:
        panels[0].legend(frameon=False, fontsize=8, loc="best")
    note(figure, *_said(arms, in_time, bool(single), shown.of))
    return finished(figure, path, data=True)


def _said(arms: list[Group], in_time: bool, single: bool, of: str) -> list[str]:
    """What lines and bands are."""
    seeds = len(arms[0].seeds)
    said = [f"mean over {_presentations(arms)}"] if in_time else []
    if seeds > 1:
        said.append(f"mean over {seeds} seeds, band: ± standard deviation over seeds")
    elif not single:
        said.append(f"line: mean over {of}, band: ± standard deviation over {of}")
    if not single and seeds > 1:
        said.append(f"mean over {of}")
    return said


def _presentations(arms: list[Group]) -> str:
    counts = sorted({arm.first.sizes["presentation"] for arm in arms})
    return " or ".join(map(str, counts)) + f" presentation{'s' * (counts != [1])}"


def _mean(axes: Axes, arms: list[Group], population: str, variable: str) -> None:
    for number, arm in enumerate(arms):
        traces = [_traces(select(one, population=population), variable) for one in arm.seeds]
        x = traces[0][0]
        mean, spread = mean_and_sd([values.mean(axis=0) for _, values in traces])
        spread = traces[0][1].std(axis=0) if spread is None else spread
        colour = COLOURS[number % len(COLOURS)]
        behind.band(axes, x, mean, spread, colour, label=arm.label)
        # The first arm is drawn wide, so that it stays visible under a smooth curve.
        broad = number == 0 and "time_bin" in arm.first[variable].dims
        width, alpha = (4.0, 0.5) if broad else (1.5, 1.0)
        axes.plot(x, mean, color=colour, lw=width, alpha=alpha, label=arm.label or None)


def _single(axes: Axes, arms: list[Group], variable: str, neuroids: list[str]) -> None:
    for number, name in enumerate(neuroids):
        for kind, arm in enumerate(arms):
            traces = [_traces(select(one, neuroid=name), variable) for one in arm.seeds]
            mean, spread = mean_and_sd([values[0] for _, values in traces])
            label = f"{name}, {arm.label}" if len(arms) > 1 else name
            style, colour = DASHES[kind % len(DASHES)], COLOURS[number % len(COLOURS)]
            axes.plot(traces[0][0], mean, color=colour, ls=style, label=label)
            if spread is not None:
                behind.band(axes, traces[0][0], mean, spread, colour, label=label)
    plain(axes, "", variable)


def _traces(recording: xr.Dataset, variable: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the samples, and values (neuroid, sample); a value is that at the end of its bin."""
    values = recording[variable]
    if "time_bin" in values.dims:
        return recording["time_bin_end"].values, values.mean("presentation").values
    return np.arange(values.sizes["presentation"]), values.transpose("neuroid", "presentation").values
