"""The demonstration's figure: what each rule learns, its angle to backpropagation's, and credit in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from cortex_sim.recording import select
from cortex_sim.viz.curves import Lines, accuracies, angles_by_rule, rule_style
from cortex_sim.viz.panels import new_figure, note, plain, save_figure, shade

if TYPE_CHECKING:
    import xarray as xr

SHOWN = 8  # units of a panel: those with the largest credit


@dataclass(frozen=True, eq=False)
class CreditInTime:
    """Credit of a population under one rule, in time and at equilibrium.

    Parameters
    ----------
    recording : xarray.Dataset
        One presentation, with time bins.
    settled : xarray.Dataset
        The same at equilibrium, at the end of the phase ``during``.
    during : str
    population : str
    says : str
        How credit arrives, in words.
    """

    recording: xr.Dataset
    settled: xr.Dataset
    during: str
    population: str
    says: str


def demonstration(
    curves: Mapping[str, Lines], projection: str, in_time: Mapping[str, CreditInTime], path: Path
) -> None:
    """Accuracy and one projection's angle by rule; below, credit in time of two rules; saved at ``path``."""
    figure = new_figure(7.8, 6.4)
    above, below = figure.subplots(2, 2)
    accuracies(above[0], curves)
    angles_by_rule(above[1], curves, projection)
    for axes, (rule, credit) in zip(below, in_time.items(), strict=True):
        _credit(axes, credit, rule_style(list(curves).index(rule))["color"])
    note(
        figure,
        "above: the same network and initial weights under each rule",
        "below: after learning, in time on brian2: an image, then with a wrong label, then with the credit "
        f"projection cut; lines: the {SHOWN} units with the largest credit, dots: at equilibrium, on torch",
    )
    save_figure(figure, path)


def _credit(axes: Axes, shown: CreditInTime, colour: str) -> None:
    recording = select(shown.recording, population=shown.population)
    settled = select(shown.settled, population=shown.population)["credit"].values[0]
    traces = recording["credit"].isel(presentation=0).transpose("neuroid", "time_bin").values
    times, phases = recording["time_bin_end"].values, recording["phase"].values
    end = times[phases == shown.during].max()
    for unit in np.argsort(-np.abs(settled), kind="stable")[:SHOWN]:
        axes.plot(times, traces[unit], color=colour, lw=1.4)
        axes.plot(end, settled[unit], "o", color=colour, ms=6, mec="w", zorder=3)
    axes.axhline(0, color="0.6", lw=1)
    shade(axes, recording)
    axes.margins(x=0)
    axes.set_title(shown.says, fontsize=10, pad=16)
    plain(axes, "time in the trial (ms)", f"credit of units of {shown.population}")
