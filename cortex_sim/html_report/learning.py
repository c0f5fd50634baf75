"""Sections on how training runs learned: curves, angles, orthogonality, credit and silent units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cortex_sim.html_report.content import Key, Picture, Row, Section, Table, number
from cortex_sim.html_report.curves import Curve, look, panel, said
from cortex_sim.html_report.svg import inline
from cortex_sim.html_report.training_runs import TrainingRun

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
        found = [
            Curve(run.name, points(run, lambda line, name=name: line.get(name)), look(i))  # type: ignore[misc]
            for i, run in enumerate(runs)
        ]
        found = [curve for curve in found if curve.points]
        if found:
            section.pictures.append(_picture(f"curve-{name.replace('_', '-')}", title, found, limits))
    if not section.pictures:
        section.sentences.append("No evaluation has been written yet.")
        section.keys = []
    lost = [run.name for run in runs if _lost(run)]
    if lost:
        section.sentences.append(f"Values that were not finite are left out: {', '.join(lost)}.")
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
    """Norms of credit, and units that never respond, by population at the last evaluation."""
    section = Section("credit", "Credit and silent units")
    for key, title in (
        ("credit_norm", "Root mean square length of credit, last evaluation"),
        ("dead_units", "Share of units that responded to no held-out presentation, last evaluation"),
    ):
        table = _last(key, title, runs, "population")
        if table is not None:
            section.tables.append(table)
    return section


def keys(runs: Sequence[TrainingRun]) -> list[Key]:
    """The legend of figures with one line per run."""
    return [Key(run.name, look(i)) for i, run in enumerate(runs)]


def points(run: TrainingRun, value: Any) -> tuple[tuple[float, float], ...]:
    """Points (epoch, value) of the evaluations that have a value."""
    found = ((line.get("epoch"), value(line)) for line in run.lines)
    return tuple((float(x), float(y)) for x, y in found if _is_number(x) and _is_number(y))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _lost(run: TrainingRun) -> bool:
    """Whether the objective of an evaluation was not finite: it is null in metrics.jsonl."""
    part = "validation_loss" if "validation_loss" in run.last else "test_loss"
    return any(part in line and line[part] is None for line in run.lines)


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
        section.pictures.append(_picture(f"{name}-0", title, each, limits, axis, level))
    else:
        section.keys = keys(runs)
        flat = [one for one in drawn if level is not None and _highest(found[one]) < ZERO]
        for i, one in enumerate(drawn):
            if one not in flat:
                section.pictures.append(_picture(f"{name}-{i}", one, found[one], limits, axis, level))
        if flat:
            section.sentences.append(f"Below {ZERO:g} degrees in every run: {', '.join(flat)}.")
    table = _last(key, "At the last evaluation", runs, "projection")
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


def _picture(
    name: str,
    title: str,
    found: Sequence[Curve],
    limits: Limits,
    axis: str | None = None,
    level: float | None = None,
) -> Picture:
    words = title if axis is None or axis in title else f"{title}, {axis}"
    svg = inline(lambda: panel(found, "epoch", axis or title, limits, level), said(words, found), name)
    return Picture(svg, title)
