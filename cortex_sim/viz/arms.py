"""Arms compared: a statistic of one population over the trials and probes of each arm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortex_sim.calling import known_arguments
from cortex_sim.checks import look_up, require_count
from cortex_sim.errors import DataError
from cortex_sim.recording import select
from cortex_sim.viz import behind
from cortex_sim.viz.groups import Group, groups, mean_and_sd, require_something
from cortex_sim.viz.panels import COLOURS, finished, named, new_figure, note, plain
from cortex_sim.viz.probes import Points, blocked, conditions, probed
from cortex_sim.viz.statistics import SAID, STATISTICS, Labels, Statistic, accuracy, is_probe, statistic_for

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["accuracy", "compare_arms", "running_mean"]


@known_arguments("cs.viz.compare_arms")
def compare_arms(
    recording: xr.Dataset,
    statistic: str | None = None,
    *,
    population: str | None = None,
    labels: Labels | None = None,
    by: str | Mapping[str, Any] | Sequence[Any] | None = None,
    window: int | None = None,
    path: str | Path | None = None,
) -> Figure:
    """One curve per arm over trials, and probes as points; or a panel per stimulus or condition.

    Parameters
    ----------
    recording : xarray.Dataset
        A recording, or a sweep, whose seeds are averaged. Time bins are averaged; narrow them first:
        ``cs.recording.select(recording, phase="learn")``.
    statistic : {"rate", "credit", "accuracy"}, optional
        Mean rate over neuroids; root mean square of their credit; or whether the most active neuroid
        is that of the stimulus's label. Without it: accuracy where labels are given, else credit where
        it was recorded, else rate.
    population : str, optional
        The last one by default.
    labels : mapping of stimulus_id to number, or list by stimulus number
        For accuracy: number of the neuroid that should be most active.
    by : "stimulus", name of a coordinate, mapping of stimulus_id to condition, or list by stimulus number
        One panel per condition: in each probe the mean over its presentations; without probes, that over
        each ``window`` trials.
    window : int, optional
        Trials in the running mean; by default a twentieth of them.
    path : path, optional
        File to write (PNG, SVG, PDF).

    Returns
    -------
    matplotlib.figure.Figure
        Text below the panels says what lines, points and bands are, and over how many trials.

    Raises
    ------
    DataError
        If the recording is empty, or lacks the requested population, variable or condition.
    """
    require_something(recording, "compare_arms")
    chosen_statistic = statistic_for(recording, statistic, labels)
    measure = look_up("statistic of compare_arms", chosen_statistic, STATISTICS, DataError)
    name = population or named(recording, "population")[-1]
    if window is not None:
        require_count("compare_arms", window=window)
    arms = [
        Group(arm.label, tuple(select(one, population=name) for one in arm.seeds))
        for arm in groups(recording, "compare_arms")
    ]
    label = f"{SAID[chosen_statistic]}, {name}"
    if by is None:
        figure = _over_trials(arms, measure, labels, window, faint=chosen_statistic != "accuracy")
    else:
        figure = _by_condition(arms, measure, labels, by, window)
    for axes in figure.axes:
        place = axes.get_subplotspec()
        assert place is not None
        lowest = not any(_is_below(other, axes) for other in figure.axes)
        plain(axes, "trial" if lowest else "", label if place.is_first_col() else "")
        axes.tick_params(labelbottom=lowest)
        axes.margins(x=0.02)
        if chosen_statistic == "accuracy":
            axes.set_ylim(-0.02, 1.02)
    if figure.axes[0].get_legend_handles_labels()[1]:
        figure.axes[0].legend(frameon=False, fontsize=9)
    return finished(figure, path, data=True)


def _is_below(other: Axes, axes: Axes) -> bool:
    theirs, ours = other.get_subplotspec(), axes.get_subplotspec()
    assert theirs is not None and ours is not None
    return theirs.colspan == ours.colspan and theirs.rowspan.start > ours.rowspan.start


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over the last ``window`` values, or over fewer at the start; of the same length."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)


def _over_trials(
    arms: list[Group], measure: Statistic, labels: Labels | None, window: int | None, faint: bool
) -> Figure:
    figure = new_figure(7.5, 4.0)
    axes = figure.subplots()
    said: dict[str, None] = {}
    drawn_probes: set[int] = set()
    for number, arm in enumerate(arms):
        colour = COLOURS[number % len(COLOURS)]
        per_seed = [measure(one, labels) for one in arm.seeds]
        probes = is_probe(arm.first)
        trials = [values[~probes] for values in per_seed]
        count = len(trials[0])
        smooth = window or max(1, count // 20)
        if count:
            if faint:
                axes.plot(mean_and_sd(trials)[0], color=colour, lw=0.6, alpha=0.25)
            bold, spread = mean_and_sd([running_mean(values, smooth) for values in trials])
            axes.plot(bold, color=colour, lw=2, label=arm.label or None)
            if spread is not None:
                behind.band(axes, np.arange(count), bold, spread, colour, label=arm.label)
            each = "faint: each trial; " if faint else ""
            said[f"{each}bold: mean of the last {smooth} trial{'s, fewer at the start' * (smooth > 1)}"] = (
                None
            )
        if any(values[probes].any() for values in per_seed):  # probes without nudge have no credit to draw
            points = [probed(values, probes, probes) for values in per_seed]
            first = None if drawn_probes else "probes"
            _errorbars(axes, points, colour, first if count else arm.label or first)
            drawn_probes |= set(points[0].count.tolist())
    if drawn_probes:
        many = f"{_counts(drawn_probes)} presentation{'s' * (drawn_probes != {1})}"
        said[f"circles: mean of a probe ± {_bar(arms)}, n = {many}"] = None
    note(figure, *said, _over_seeds(arms))
    return figure


def _by_condition(
    arms: list[Group],
    measure: Statistic,
    labels: Labels | None,
    by: str | Mapping[str, Any] | Sequence[Any],
    window: int | None,
) -> Figure:
    names = sorted({name for arm in arms for name in conditions(arm.first, by)}, key=_in_order)
    columns = min(len(names), 4)
    lines = -(-len(names) // columns)
    figure = new_figure(1.0 + 2.6 * columns, 0.9 + 2.3 * lines)
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    with_probes = any(is_probe(arm.first).any() for arm in arms)
    size = 0
    for axes, name in zip(grid.flat, names, strict=False):
        counts: set[int] = set()
        for number, arm in enumerate(arms):
            points = []
            for one in arm.seeds:
                values, probes = measure(one, labels), is_probe(one)
                chosen = conditions(one, by).get(name, np.zeros(len(values), dtype=bool))
                size = window or max(1, len(values) // 20)
                points.append(
                    probed(values, probes, chosen) if with_probes else blocked(values, chosen, size)
                )
            _errorbars(axes, points, COLOURS[number % len(COLOURS)], arm.label or None, line=True)
            counts |= {n for one in points for n in one.count.tolist() if n}
        axes.set_title(f"{name} (n = {_counts(counts)})", fontsize=9)
    at = "in each probe" if with_probes else f"in each {size} trials"
    note(
        figure,
        f"points: mean {at}; band: ± {_bar(arms)}; n: presentations of the condition {at}",
        f"mean over {len(arms[0].seeds)} seeds" * (len(arms[0].seeds) > 1),
    )
    return figure


def _in_order(name: str) -> list[tuple[int, str]]:
    """Sorts "digit 9" before "digit 10"."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]


def _errorbars(axes: Axes, points: list[Points], colour: str, label: str | None, line: bool = False) -> None:
    """Means with the standard error over presentations, or with the standard deviation over seeds."""
    mean, sd = mean_and_sd([one.mean for one in points])
    error = points[0].error if sd is None else sd
    x = points[0].x
    if line:
        behind.band(axes, x, mean, error, colour, 0.2, label or "")
        axes.plot(x, mean, color=colour, marker="o", ms=4, lw=1.3, label=label)
    else:
        axes.errorbar(x, mean, error, color=colour, fmt="none", capsize=2, lw=1)
        axes.plot(x, mean, color=colour, marker="o", ms=5, mfc="white", lw=0, label=label)


def _bar(arms: list[Group]) -> str:
    if len(arms[0].seeds) > 1:
        return "standard deviation over seeds"
    return "standard error over its presentations"


def _over_seeds(arms: list[Group]) -> str:
    seeds = len(arms[0].seeds)
    return f"lines: mean over {seeds} seeds, bands: ± standard deviation over seeds" if seeds > 1 else ""


def _counts(counts: set[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return str(low) if low == high else f"{low} to {high}"
