"""Sections on how training runs learned: accuracy, objective, credit and dead units; and what these share."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from cortex_sim.html_report.content import Key, Picture, Row, Section, Table, number
from cortex_sim.html_report.curves import Curve, look, panel, said
from cortex_sim.html_report.svg import picture
from cortex_sim.html_report.training_runs import Line, TrainingRun

Limits = tuple[float | None, float | None]
SHARE: Limits = (0.0, 1.0)
CURVES: dict[str, tuple[str, Limits]] = {
    "test_accuracy": ("test accuracy", SHARE),
    "validation_accuracy": ("validation accuracy", SHARE),
    "ema_test_accuracy": ("test accuracy of averaged weights", SHARE),
    "ema_validation_accuracy": ("validation accuracy of averaged weights", SHARE),
    "train_accuracy": ("training accuracy", SHARE),
    "test_loss": ("objective, test", (None, None)),
    "validation_loss": ("objective, validation", (None, None)),
    "train_loss": ("objective, training", (None, None)),
}


def curves(runs: Sequence[TrainingRun]) -> Section:
    """Accuracies and objectives by epoch, all runs in the same axes."""
    section = Section("curves", "Learning curves", keys=keys(runs))
    for name, (title, limits) in CURVES.items():
        found = [Curve(run.name, points(run, itemgetter(name)), look(i)) for i, run in enumerate(runs)]
        found = [curve for curve in found if curve.points]
        if found:
            section.pictures.append(drawn(f"curve-{name.replace('_', '-')}", title, found, limits))
    if not section.pictures:
        section.sentences.append("No evaluation has been written yet.")
        section.keys = []
    lost = [run.name for run in runs if run.diverged_at is not None]
    if lost:
        section.sentences.append(f"Objectives that were not finite are left out: {', '.join(lost)}.")
    return section


def credit(runs: Sequence[TrainingRun]) -> Section:
    """Norms of credit, and units whose rate never changes, by population at the last evaluation."""
    section = Section("credit", "Credit and dead units")
    for key, title in (
        ("credit_norm", "Norm of credit, root mean square, at the last evaluation"),
        ("dead_units", "Share of units with one rate in all held-out presentations, at the last evaluation"),
    ):
        table = last_values(key, title, runs, "population")
        if table is not None:
            section.tables.append(table)
    return section


def keys(runs: Sequence[TrainingRun]) -> list[Key]:
    """The legend of figures with one line per run."""
    return [Key(run.name, look(i)) for i, run in enumerate(runs)]


def points(run: TrainingRun, value: Callable[[Line], Any]) -> tuple[tuple[float, float], ...]:
    """Points (epoch, value) of the evaluations that have a value."""
    lines = (defaultdict(lambda: None, line) for line in run.lines)
    found = ((_number(line["epoch"]), _number(value(line))) for line in lines)
    return tuple((x, y) for x, y in found if x is not None and y is not None)


def _number(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def measured(line: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Values of one measurement by name, of an evaluation."""
    found = line.get(key)
    return found if isinstance(found, dict) else {}


def names_of(key: str, runs: Sequence[TrainingRun]) -> list[str]:
    """Projections or populations of which something was measured in any of the runs."""
    return list(dict.fromkeys(name for run in runs for line in run.lines for name in measured(line, key)))


def last_values(key: str, title: str, runs: Sequence[TrainingRun], what: str) -> Table | None:
    """Values of the last evaluations, a column per run; None where nothing was measured."""
    names = list(dict.fromkeys(name for run in runs for name in measured(run.last, key)))
    rows = [Row(name, tuple(number(measured(run.last, key).get(name)) for run in runs)) for name in names]
    return Table(title, (what, *(run.name for run in runs)), tuple(rows)) if rows else None


def drawn(
    name: str,
    title: str,
    found: Sequence[Curve],
    limits: Limits,
    axis: str = "",
    level: float | None = None,
) -> Picture:
    """A panel of the page, with a description in words; see `curves.panel`."""
    words = f"{title}, {axis}" if axis else title
    unit = " deg" if axis.endswith("(deg)") else ""
    return picture(lambda: panel(found, "epoch", axis, limits, level), title, said(words, found, unit), name)
