"""Sections on outer loops: the objective of inner runs, the outer gradient, and what the result is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cortex_sim.errors import CortexSimError
from cortex_sim.html_report.content import Cell, Key, Row, Section, Table
from cortex_sim.html_report.curves import HEIGHT, WIDTH, Curve, look, panel, said
from cortex_sim.html_report.outer_loops import OuterLoop
from cortex_sim.html_report.svg import picture

CURVES = {
    "loss": "objective of inner runs",
    "gradient_norm": "norm of the outer gradient",
}


def outer_loops(loops: Sequence[OuterLoop]) -> Section:
    """Progress of all loops in the same axes; the outcome of each that has finished."""
    section = Section("outer", "Outer loops", keys=[Key(one.name, look(i)) for i, one in enumerate(loops)])
    for key, title in CURVES.items():
        found = [Curve(one.name, _points(one, key), look(i)) for i, one in enumerate(loops)]
        found = [curve for curve in found if curve.points]
        if found:
            draw = lambda found=found: panel(found, "outer update", "")  # noqa: E731
            name = f"outer-{key.replace('_', '-')}"
            section.pictures.append(picture(draw, title, said(title, found), name))
    if not section.pictures:
        section.sentences.append("No outer update has been written yet.")
    for i, one in enumerate(loops):
        if one.metrics is not None:
            _outcome(section, one, i)
    return section


def _points(loop: OuterLoop, key: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(line["step"]), float(line[key])) for line in loop.lines if line.get(key) is not None)


def _outcome(section: Section, loop: OuterLoop, number: int) -> None:
    """The kind's own table and panel."""
    from cortex_sim.runs.directory import RUN
    from cortex_sim.tdca.evolving.reading import from_file

    metrics = dict(loop.metrics or {})
    try:
        settings = from_file(loop.path / RUN)
        title, columns, rows = settings.table(metrics)
        drawn: list[bool] = []
        shown = picture(
            lambda: _panel(settings, metrics, drawn),
            f"{loop.name}: outcome",
            f"{loop.name}: {title}",
            f"outcome-{number}",
        )
    except (CortexSimError, KeyError, TypeError, ValueError, AttributeError) as exception:
        section.sentences.append(f"{loop.name}: its outcome cannot be shown ({exception}).")
        return
    if drawn[0]:
        section.pictures.append(shown)
    table = tuple(Row(str(head), tuple(Cell(_spelled(one)) for one in rest)) for head, *rest in rows)
    section.tables.append(Table(f"{loop.name}: {title}", tuple(map(str, columns)), table))


def _panel(settings: Any, metrics: dict[str, Any], drawn: list[bool]) -> Any:
    from cortex_sim.viz.panels import new_figure

    figure = new_figure(WIDTH, HEIGHT)
    drawn.append(bool(settings.draw(figure.subplots(), metrics)))
    return figure


def _spelled(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
