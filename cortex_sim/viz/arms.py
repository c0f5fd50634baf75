"""Arms compared: a statistic of one population over the trials of each arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from cortex_sim.checks import look_up
from cortex_sim.errors import DataError
from cortex_sim.recording import select
from cortex_sim.viz.panels import (
    COLOURS,
    by_stimulus,
    finished,
    named,
    new_figure,
    of_arm,
    plain,
    variable_of,
)

if TYPE_CHECKING:
    import xarray as xr

Labels = Mapping[str, Any] | Sequence[Any]


def compare_arms(
    recording: xr.Dataset,
    statistic: str | None = None,
    *,
    population: str | None = None,
    labels: Labels | None = None,
    window: int | None = None,
    path: str | Path | None = None,
) -> Figure:
    """One curve per arm: every trial faint, the running mean bold, and probes as points.

    Parameters
    ----------
    recording : xarray.Dataset
        Time bins are averaged; narrow them first: ``cs.recording.select(recording, phase="learn")``.
    statistic : {"rate", "credit", "accuracy"}, optional
        Mean rate over neuroids; root mean square of their credit; or whether the most active neuroid
        is that of the stimulus's label. Without it: accuracy where labels are given, else credit where
        it was recorded, else rate.
    population : str, optional
        The last one by default.
    labels : mapping of stimulus_id to number, or list by stimulus number
        For accuracy: number of the neuroid that should be most active.
    window : int, optional
        Trials in the running mean; by default a twentieth of them.
    path : path, optional
        File to write (PNG, SVG, PDF).
    """
    if statistic is None:
        statistic = "accuracy" if labels is not None else "credit" if "credit" in recording else "rate"
    measure = look_up("statistic of compare_arms", statistic, _STATISTICS, DataError)
    name = population or named(recording, "population")[-1]
    chosen = select(recording, population=name)
    figure = new_figure(7.5, 3.8)
    axes = figure.subplots()
    probed = False
    for number, arm in enumerate(named(recording, "arm")):
        part = of_arm(chosen, arm)
        colour = COLOURS[number % len(COLOURS)]
        probes = _is_probe(part)
        values = measure(part, labels)
        trials = values[~probes]
        smooth = running_mean(trials, window or max(1, len(trials) // 20))
        if statistic != "accuracy":
            axes.plot(trials, color=colour, lw=0.6, alpha=0.25)
        axes.plot(smooth, color=colour, lw=2, label=arm or None)
        if values[probes].any():  # probes without nudge have no credit to draw
            x, means = _probed(values, probes)
            label = None if probed else "probes"
            axes.plot(x, means, color=colour, marker="o", ms=5, mfc="white", lw=0, label=label)
            probed = True
    plain(axes, "trial", f"{_SAID[statistic]}, {name}")
    axes.margins(x=0.02)
    if statistic == "accuracy":
        axes.set_ylim(0, 1.02)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=9)
    return finished(figure, path)


def accuracy(recording: xr.Dataset, labels: Labels | None) -> np.ndarray:
    """(presentation,) of 1 where the most active neuroid is that of the label, else 0."""
    if labels is None:
        raise DataError("accuracy: needs labels, a list by stimulus number or a mapping from stimulus_id")
    return (_settled(recording, "rate").argmax(axis=1) == by_stimulus(recording, labels, "labels")).astype(
        float
    )


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over the last ``window`` values, or over fewer at the start; of the same length."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)


def _mean_rate(recording: xr.Dataset, labels: Labels | None) -> np.ndarray:
    return _settled(recording, "rate").mean(axis=1)


def _size_of_credit(recording: xr.Dataset, labels: Labels | None) -> np.ndarray:
    return np.sqrt((_settled(recording, "credit") ** 2).mean(axis=1))


def _settled(recording: xr.Dataset, variable: str) -> np.ndarray:
    values = variable_of(recording, variable)
    values = values.mean("time_bin") if "time_bin" in values.dims else values
    return values.transpose("presentation", "neuroid").values


def _is_probe(recording: xr.Dataset) -> np.ndarray:
    if "stage" not in recording.coords:
        return np.zeros(recording.sizes["presentation"], dtype=bool)
    return recording["stage"].values.astype(str) == "probe"


def _probed(values: np.ndarray, probes: np.ndarray) -> tuple[list[int], list[float]]:
    """Trials before each probe, and the mean over its presentations."""
    x: list[int] = []
    means: list[float] = []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], probes, [False]]).astype(int)))
    for begins, ends in edges.reshape(-1, 2):
        x.append(int((~probes[:begins]).sum()))
        means.append(float(values[begins:ends].mean()))
    return x, means


_STATISTICS: dict[str, Callable[[xr.Dataset, Labels | None], np.ndarray]] = {
    "rate": _mean_rate,
    "credit": _size_of_credit,
    "accuracy": accuracy,
}
_SAID = {"rate": "mean rate", "credit": "root mean square of credit", "accuracy": "accuracy"}
