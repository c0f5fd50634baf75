"""Sections on recordings: what each holds, and its rates over time or presentations."""

from __future__ import annotations

from collections.abc import Sequence

from cortex_sim.errors import CortexSimError
from cortex_sim.html_report.content import Cell, Row, Section, Table
from cortex_sim.html_report.recordings import Recorded
from cortex_sim.html_report.svg import picture

MANY = 1000  # presentations from which on figures are drawn as images


def recordings(given: Sequence[Recorded]) -> Section:
    """Every recording with a table and figures."""
    section = Section("recordings", "Recordings")
    for i, one in enumerate(given):
        _add(section, one, f"recording-{i}")
    return section


def _add(section: Section, one: Recorded, figure: str) -> None:
    from cortex_sim.viz.arms import compare_arms
    from cortex_sim.viz.overviews import overview
    from cortex_sim.viz.panels import named
    from cortex_sim.viz.time_courses import time_course

    try:
        rows = overview(one.recording).rows
    except CortexSimError as exception:
        section.sentences.append(f"{one.name}: cannot be shown. {exception}.")
        return
    cells = tuple(Row(what, (Cell(which),)) for what, which in rows)
    section.tables.append(Table(one.name, ("", "holds"), cells, numbers=False))
    many = one.recording["presentation"].size > MANY
    figures = [
        ("time", f"{one.name}: mean rate of each population", lambda: time_course(one.recording)),
    ]
    if len(named(one.recording, "arm")) > 1:
        figures.append(("arms", f"{one.name}: arms", lambda: compare_arms(one.recording)))
    for kind, said, draw in figures:
        try:
            section.pictures.append(picture(draw, said, said, f"{figure}-{kind}", raster=many))
        except CortexSimError as exception:
            section.sentences.append(f"{said}: no figure. {exception}.")
