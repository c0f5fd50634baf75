"""Sections on what is measured of each projection while it learns: its angle, and its orthogonality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cortex_sim.html_report.content import Key, Picture, Section
from cortex_sim.html_report.curves import Curve, look
from cortex_sim.html_report.learning import Limits, drawn, keys, last_values, measured, names_of, points
from cortex_sim.html_report.training_runs import TrainingRun

ZERO = 0.01  # degrees below which an angle counts as none


@dataclass(frozen=True)
class Measure:
    """What is measured: name of its section, title, key in metrics.jsonl, axis, limits, and what it means."""

    name: str
    title: str
    key: str
    axis: str
    limits: Limits
    meaning: str
    level: float | None = None


ANGLES = Measure(
    "angles",
    "Angle to backpropagation",
    "angle_to_bp_deg",
    "angle (deg)",
    (0.0, 95.0),
    "Angle, in degrees, between the change of each projection's weights and the negative gradient of the "
    "objective, on the same held-out presentations. 0: backpropagation's direction, 90: orthogonal to it. "
    "It is undefined, –, where either vector is zero.",
    level=90.0,
)
ORTHOGONALITY = Measure(
    "orthogonality",
    "Orthogonality",
    "orthogonality_deviation",
    "deviation",
    (0.0, None),
    "Deviation of each projection's weights from orthogonality, whatever their scale; 0: none.",
)


def by_projection(measure: Measure, runs: Sequence[TrainingRun]) -> Section:
    """Projections that several runs have: one panel each, a line per run. The others: one panel per run."""
    section = Section(measure.name, measure.title)
    found = {name: _courses(measure.key, name, runs) for name in names_of(measure.key, runs)}
    found = {name: curves for name, curves in found.items() if curves}
    if not found:
        section.sentences.append("Nothing was measured.")
        return section
    section.sentences.append(measure.meaning)
    shared = {name: curves for name, curves in found.items() if len(curves) > 1}
    flat = [name for name, curves in shared.items() if measure is ANGLES and _highest(curves) < ZERO]
    if flat:
        section.sentences.append(f"Below {ZERO:g} degrees in every run: {', '.join(flat)}.")
    section.pictures += [
        _panel(measure, name, shared[name], i) for i, name in enumerate(shared) if name not in flat
    ]
    section.keys = keys(runs) if section.pictures else []
    for i, run in enumerate(runs, len(shared)):
        own = {
            name: curves[0]
            for name, curves in found.items()
            if name not in shared and curves[0].name == run.name
        }
        if own:
            title = measure.title if len(runs) == 1 else f"{run.name}: projections of this run only"
            section.pictures.append(_own(measure, title, own, i))
    table = last_values(
        measure.key, f"{measure.axis.capitalize()} at the last evaluation", runs, "projection"
    )
    section.tables += [] if table is None else [table]
    return section


def _courses(key: str, name: str, runs: Sequence[TrainingRun]) -> list[Curve]:
    every = [
        Curve(run.name, points(run, lambda line: measured(line, key).get(name)), look(i))
        for i, run in enumerate(runs)
    ]
    return [curve for curve in every if curve.points]


def _highest(curves: Sequence[Curve]) -> float:
    return max(y for curve in curves for _, y in curve.points)


def _panel(measure: Measure, title: str, curves: Sequence[Curve], number: int) -> Picture:
    return drawn(f"{measure.name}-{number}", title, curves, measure.limits, measure.axis, measure.level)


def _own(measure: Measure, title: str, own: Mapping[str, Curve], number: int) -> Picture:
    """A panel with a line for each projection, and its legend."""
    curves = [Curve(name, curve.points, look(i)) for i, (name, curve) in enumerate(own.items())]
    legend = tuple(Key(curve.name, curve.look) for curve in curves)
    return replace(_panel(measure, title, curves, number), keys=legend)
