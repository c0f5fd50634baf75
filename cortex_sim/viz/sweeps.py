"""Figures of sweeps: accuracy by rule and settings, mean and standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cortex_sim.viz.panels import COLOURS, finished, new_figure, plain

Spread = tuple[list[float], float | None, float | None]


def tested_on(rows: Sequence[Mapping[str, Any]]) -> str:
    """Part of the data that the runs are compared on: "validation" where some were held out, else "test"."""
    return "validation" if any(row.get("validation_accuracy") is not None for row in rows) else "test"


def spreads(rows: Sequence[Mapping[str, Any]]) -> dict[str, Spread]:
    """Accuracies, their mean and standard deviation over seeds, by rule and settings.

    The entries before ``seed`` in a row define its group. Runs that diverged have no accuracy.
    """
    measure = f"{tested_on(rows)}_accuracy"
    groups: dict[str, list[float]] = {}
    for row in rows:
        names = list(row)[: list(row).index("seed")]
        label = ", ".join(str(row[n]) if n == "rule" else f"{n}={row[n]}" for n in names)
        group = groups.setdefault(label, [])
        if row.get(measure) is not None:
            group.append(float(row[measure]))
    return {label: (values, *_spread(values)) for label, values in groups.items()}


def _spread(values: list[float]) -> tuple[float | None, float | None]:
    mean = statistics.fmean(values) if values else None
    return mean, statistics.stdev(values) if len(values) > 1 else None


def by_rule(rows: Sequence[Mapping[str, Any]], path: Path | None = None) -> Figure:
    """Every seed as a point, and next to them the mean, with the standard deviation as a bar."""
    found = spreads(rows)
    figure = new_figure(6, 1.2 + 0.4 * len(found))
    axes = figure.subplots()
    for place, (values, mean, sd) in enumerate(found.values()):
        axes.plot([100 * v for v in values], [place] * len(values), ".", color=COLOURS[0], alpha=0.4)
        if mean is not None:
            axes.errorbar(
                100 * mean, place + 0.2, xerr=100 * (sd or 0.0), fmt="o", color=COLOURS[0], capsize=3
            )
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    plain(axes, f"{tested_on(rows)} accuracy (%), mean ± sd over seeds", "")
    return finished(figure, path)
