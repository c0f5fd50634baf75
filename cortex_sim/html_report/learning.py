"""Sections on how training runs learned: curves, angles, orthogonality, credit and dead units."""

from __future__ import annotations

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
ZERO = 0.01  # degrees below which an angle counts as none


def curves(runs: Sequence[TrainingRun]) -> Section:
    """Accuracies and objectives by epoch, all runs in the same axes."""
    section = Section("curves", "Learning curves", keys=keys(runs))
    for name, (title, limits) in CURVES.items():
        found = [Curve(run.name, points(run, itemgetter(name)), look(i)) for i, run in enumerate(runs)]
        found = [curve for curve in found if curve.points]
        if found:
            section.pictures.append(_panel(f"curve-{name.replace('_', '-')}", title, found, limits))
    if not section.pictures:
        section.sentences.append("No evaluation has been written yet.")
        section.keys = []
    lost = [run.name for run in runs if run.diverged_at is not None]
    if lost:
        section.sentences.append(f"Objectives that were not finite are left out: {', '.join(lost)}.")
    return section


def angles(runs: Sequence[TrainingRun]) -> Section:
    """Angles to backpropagation by projection."""
    section = _by_name(
        "angles", "Angle to backpropagation", "angle_to_bp_deg", runs, "angle (deg)", (0.0, 95.0), 90.0
    )
    if section.tables:
        section.sentences.insert(
            0,
            "Angle, in degrees, between the change of each projection's weights and the negative gradient of "
            "the objective, on the same held-out presentations. 0 is backpropagation's direction, 90 is "
            "orthogonal to it; – is undefined, where either vector is zero.",
        )
    return section


def orthogonality(runs: Sequence[TrainingRun]) -> Section:
    """Deviations from orthogonality by projection."""
    section = _by_name(
        "orthogonality",
        "Orthogonality",
        "orthogonality_deviation",
        runs,
        "deviation",
        (0.0, None),
    )
    if section.tables:
        section.sentences.insert(
            0,
            "Deviation of each projection's weights from orthogonality, whatever their scale; 0: none.",
        )
    return section


def credit(runs: Sequence[TrainingRun]) -> Section:
    """Norms of credit, and units whose rate never changes, by population at the last evaluation."""
    section = Section("credit", "Credit and dead units")
    for key, title in (
        ("credit_norm", "Length of credit, root mean square, at the last evaluation"),
        ("dead_units", "Share of units with one rate in all held-out presentations, at the last evaluation"),
    ):
        table = _last(key, title, runs, "population")
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
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if whole else None


def _by_name(
    name: str,
    title: str,
    key: str,
    runs: Sequence[TrainingRun],
    axis: str,
    limits: Limits,
    level: float | None = None,
) -> Section:
    """A measurement of each projection: one panel for one run, else one per projection; and a table."""
    section = Section(name, title)
    known = _names(key, runs)
    found = {one: _courses(key, one, runs) for one in known}
    drawn = [one for one in known if found[one]]
    if not drawn:
        section.sentences.append("Nothing was measured.")
        return section
    if len(runs) == 1:
        each = [Curve(one, found[one][0].points, look(i)) for i, one in enumerate(known) if found[one]]
        section.keys = [Key(curve.name, curve.look) for curve in each]
        section.pictures.append(_panel(f"{name}-0", title, each, limits, axis, level))
    else:
        section.keys = keys(runs)
        flat = [one for one in drawn if level is not None and _highest(found[one]) < ZERO]
        for i, one in enumerate(drawn):
            if one not in flat:
                section.pictures.append(_panel(f"{name}-{i}", one, found[one], limits, axis, level))
        if flat:
            section.sentences.append(f"Below {ZERO:g} degrees in every run: {', '.join(flat)}.")
    table = _last(key, f"{axis.capitalize()} at the last evaluation", runs, "projection")
    if table is not None:
        section.tables.append(table)
    return section


def _courses(key: str, name: str, runs: Sequence[TrainingRun]) -> list[Curve]:
    every = [
        Curve(run.name, points(run, lambda line: _of(line, key).get(name)), look(i))
        for i, run in enumerate(runs)
    ]
    return [curve for curve in every if curve.points]


def _highest(found: Sequence[Curve]) -> float:
    return max(y for curve in found for _, y in curve.points)


def _of(line: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = line.get(key)
    return found if isinstance(found, dict) else {}


def _names(key: str, runs: Sequence[TrainingRun]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for line in run.lines for name in _of(line, key)))


def _last(key: str, title: str, runs: Sequence[TrainingRun], what: str) -> Table | None:
    names = list(dict.fromkeys(name for run in runs for name in _of(run.last, key)))
    rows = [Row(name, tuple(number(_of(run.last, key).get(name)) for run in runs)) for name in names]
    return Table(title, (what, *(run.name for run in runs)), tuple(rows)) if rows else None


def _panel(
    name: str,
    title: str,
    found: Sequence[Curve],
    limits: Limits,
    axis: str = "",
    level: float | None = None,
) -> Picture:
    words = f"{title}, {axis}" if axis else title
    unit = " deg" if axis.endswith("(deg)") else ""
    return picture(lambda: panel(found, "epoch", axis, limits, level), title, said(words, found, unit), name)
