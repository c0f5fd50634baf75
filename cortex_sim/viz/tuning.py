"""Tuning curves: a neuroid's rate against a value of the stimulus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cortex_sim.calling import known_arguments
from cortex_sim.errors import DataError
from cortex_sim.recording import select
from cortex_sim.viz.groups import Group, groups, mean_and_sd
from cortex_sim.viz.panels import (
    COLOURS,
    by_stimulus,
    finished,
    named,
    new_figure,
    note,
    plain,
    variable_of,
)

if TYPE_CHECKING:
    import xarray as xr

MOST = 8  # neuroids that can be distinguished in one panel


@known_arguments("cs.viz.tuning_curves")
def tuning_curves(
    recording: xr.Dataset,
    values: Mapping[str, Any] | Sequence[Any],
    *,
    population: str | None = None,
    neuroids: str | Iterable[str] | None = None,
    variable: str = "rate",
    label: str = "stimulus",
    path: str | Path | None = None,
) -> Figure:
    """Mean over presentations at each stimulus value, with the standard error if there are several.

    Parameters
    ----------
    recording : xarray.Dataset
        Time bins are averaged; narrow them first: ``cs.recording.select(recording, phase="show")``.
    values : mapping of stimulus_id to number, or list by stimulus number
        The values on the horizontal axis, such as orientations.
    population : str, optional
        Population of the neuroids; the last one by default. Of more than 8 neuroids, the 8 with the widest
        range of means are drawn.
    neuroids : str or list of str, optional
        Single neuroids instead.
    variable : str, default "rate"
    label : str, default "stimulus"
        Name and unit of the value.
    path : path, optional
        File to write (PNG, SVG, PDF).
    """
    if neuroids is not None:
        chosen = select(recording, neuroid=neuroids)
    else:
        chosen = select(recording, population=population or named(recording, "population")[-1])
    arms = groups(chosen, "tuning_curves")
    variable_of(arms[0].first, variable)
    curves = {arm.label: _curve(arm, values, variable) for arm in arms}
    names = chosen["neuroid_id"].values.astype(str)
    shown = np.arange(len(names))
    if neuroids is None and len(names) > MOST:
        reach = np.max([np.ptp(mean, axis=0) for _, mean, _ in curves.values()], axis=0)
        shown = np.sort(np.argsort(-reach, kind="stable")[:MOST])
    figure = new_figure(0.8 + 4.0 * len(curves), 3.4)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (arm, (x, mean, sem)) in zip(panels, curves.items(), strict=True):
        for number, unit in enumerate(shown):
            axes.errorbar(
                x,
                mean[:, unit],
                sem[:, unit],
                color=COLOURS[number % len(COLOURS)],
                marker="o",
                ms=3,
                lw=1.3,
                label=names[unit],
            )
        axes.set_title(arm)
        plain(axes, label, variable if axes is panels[0] else "")
    panels[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    widest = f"the {MOST} of {len(names)} neuroids with the widest range" if len(shown) < len(names) else ""
    note(figure, _bars(arms[0], values), widest)
    return finished(figure, path, data=True)


def _curve(
    arm: Group, values: Mapping[str, Any] | Sequence[Any], variable: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, mean and error: the standard error over presentations, or the standard deviation over seeds."""
    found = [tuning(one, values, variable) for one in arm.seeds]
    x = found[0][0]
    if any(len(other) != len(x) or (other != x).any() for other, _, _ in found):
        raise DataError("tuning_curves: the seeds of the sweep had different stimuli; select one seed")
    mean, sd = mean_and_sd([mean for _, mean, _ in found])
    return x, mean, found[0][2] if sd is None else sd


def _bars(arm: Group, values: Mapping[str, Any] | Sequence[Any]) -> str:
    if len(arm.seeds) > 1:
        return f"points: mean over {len(arm.seeds)} seeds, bars: ± standard deviation over seeds"
    at = by_stimulus(arm.first, values, "tuning_curves")
    counts = np.unique(at, return_counts=True)[1]
    low, high = int(counts.min()), int(counts.max())
    n = str(low) if low == high else f"{low} to {high}"
    bars = "" if high == 1 else ", bars: ± standard error over presentations"
    return f"points: mean over presentations (n = {n} at each value){bars}"


def tuning(
    recording: xr.Dataset, values: Mapping[str, Any] | Sequence[Any], variable: str = "rate"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted stimulus values (value,), then mean and standard error (value, neuroid) at each.

    The standard error of a single presentation is 0.
    """
    x = by_stimulus(recording, values, "tuning_curves")
    rates = recording[variable]
    rates = rates.mean("time_bin") if "time_bin" in rates.dims else rates
    array = rates.transpose("presentation", "neuroid").values
    found = np.unique(x)
    groups = [array[x == value] for value in found]
    mean = np.stack([group.mean(axis=0) for group in groups])
    sem = np.stack([group.std(axis=0, ddof=len(group) > 1) / np.sqrt(len(group)) for group in groups])
    return found, mean, sem
