"""Raster: the values of every neuroid as an image, one panel per population."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortex_sim.calling import known_arguments
from cortex_sim.errors import DataError
from cortex_sim.recording import select
from cortex_sim.viz.groups import one_recording
from cortex_sim.viz.panels import finished, named, new_figure, note, phases, variable_of

if TYPE_CHECKING:
    import xarray as xr


@known_arguments("cs.viz.raster")
def raster(
    recording: xr.Dataset,
    *,
    variable: str = "rate",
    presentation: int | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Image of neuroids against time within the trial, or against presentations where there are no bins.

    Parameters
    ----------
    recording : xarray.Dataset
        If it is large, narrow it first: ``cs.recording.select(recording, arm="cut")``.
    variable : str, default "rate"
    presentation : int, optional
        Number of the presentation to show, from 0; without it, where there are time bins, the mean over all.
    path : path, optional
        File to write (PNG, SVG, PDF).

    Returns
    -------
    matplotlib.figure.Figure
        Every population has its own colour scale, from zero or around zero. Of a sweep, the mean over seeds.

    Raises
    ------
    DataError
        If the recording is empty, or has no such variable or presentation.
    """
    recording, seeds = one_recording(recording, "raster")
    values = variable_of(recording, variable)
    in_time = "time_bin" in values.dims
    if presentation is not None:
        count = recording.sizes["presentation"]
        if not -count <= presentation < count:
            raise DataError(f"raster: presentation must be from 0 to {count - 1}. Got {presentation}")
        recording = recording.isel(presentation=[presentation])
    populations = named(recording, "population")
    sizes = [int((recording["population"] == name).sum()) for name in populations]
    heights = np.sqrt(np.maximum(sizes, 4))  # so that both 784 and 10 units are visible
    figure = new_figure(7.5, 1.2 + 1.1 * len(populations))
    panels = figure.subplots(len(populations), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    scales = []
    for axes, name in zip(panels, populations, strict=True):
        part = select(recording, population=name)[variable]
        image = part.mean("presentation") if in_time else part.transpose("neuroid", "presentation")
        scales.append(_image(axes, image.values, recording if in_time else None))
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    panels[-1].set_xlabel("time in the trial (ms)" if in_time else "presentation")
    if in_time:
        _name_phases(panels[0], recording)
    which = f"presentation {presentation}"
    if presentation is None:
        count = recording.sizes["presentation"]
        which = f"mean over {count} presentation{'s' * (count != 1)}"
    figure.suptitle(f"{variable}, {which}" if in_time or presentation is not None else variable)
    note(figure, seeds, "each population has its own colour scale", *dict.fromkeys(scales))
    return finished(figure, path)


def _image(axes: Axes, values: np.ndarray, timed: xr.Dataset | None) -> str:
    """Neuroids downwards; blue is below zero and red above where both occur. Returns what colours mean."""
    largest = float(np.abs(values).max()) or 1.0
    signed = bool((values < 0).any()) or not values.any()  # zero everywhere is white
    left, right = -0.5, values.shape[1] - 0.5
    if timed is not None:
        left, right = float(timed["time_bin_start"][0]), float(timed["time_bin_end"][-1])
    shown = axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        extent=(left, right, values.shape[0] - 0.5, -0.5),
        cmap="RdBu_r" if signed else "viridis",
        vmin=-largest if signed else 0.0,
        vmax=largest,
    )
    axes.figure.colorbar(shown, ax=axes, pad=0.01, aspect=12)
    axes.set_yticks([0, values.shape[0] - 1] if values.shape[0] > 1 else [0])
    axes.tick_params(labelsize=8)
    if timed is not None:
        for _, begins, _ in phases(timed)[1:]:
            axes.axvline(begins, color="0.2", lw=1, ls=(0, (4, 2)))
    return "blue: below 0, white: 0, red: above" if signed else "dark: 0, bright: the largest"


def _name_phases(axes: Axes, recording: xr.Dataset) -> None:
    """A strip above the uppermost panel: phases alternately light and dark, each with its name."""
    for number, (name, begins, ends) in enumerate(phases(recording)):
        strip = axes.inset_axes((begins, 1.04, ends - begins, 0.22), transform=axes.get_xaxis_transform())
        strip.set(xticks=[], yticks=[], facecolor="0.85" if number % 2 else "0.95")
        strip.spines[:].set_visible(False)
        strip.text(0.5, 0.5, name, transform=strip.transAxes, ha="center", va="center", fontsize=8)
