"""What a reader must know before believing a score, one sentence after the other."""

from __future__ import annotations

from collections.abc import Sequence

from cortex_sim.compare.scores import ScoreRow
from cortex_sim.report.comparing import Cell


def warnings_about(scores: Sequence[ScoreRow]) -> list[str]:
    """The warnings of all rows without time, each with the row that it is about."""
    return [f"{_what(row)}: {said}" for row in scores if row.time_bin_start is None for said in row.warnings]


def sentences_over_time(cells: Sequence[Cell]) -> list[str]:
    """Where each time course is above chance, and which time bins have no score.

    Bins before the response are at chance, so that a warning for each would say nothing.
    """
    courses: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.time_bin is not None:
            name = f"{cell.entry} {cell.population}, {cell.data}, {cell.metric.name}"
            courses.setdefault(name, []).append(cell)
    return [text for name, of in courses.items() for text in _of_course(name, of)]


def _of_course(name: str, cells: Sequence[Cell]) -> list[str]:
    found = []
    known = [cell for cell in cells if cell.chance is not None]
    above = [cell for cell in known if cell.chance and cell.chance.distance(cell.raw) >= cell.chance.far]
    if known:
        where = f": {_times(above)}" if above else ""
        found.append(f"{name}: clearly above chance in {len(above)} of {len(cells)} time bins{where}")
    without = [cell for cell in cells if cell.reason]
    if without:
        found.append(f"{name}: no score at {_times(without)}; {without[0].reason}")
    return found


def _times(cells: Sequence[Cell]) -> str:
    """Time bins, those that follow each other as one."""
    joined: list[tuple[float, float]] = []
    for cell in cells:
        assert cell.time_bin is not None
        start, end = cell.time_bin
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return ", ".join(f"{start:g} to {end:g}" for start, end in joined) + " ms"


def _what(row: ScoreRow) -> str:
    return f"{row.recording} {row.population}, {row.data}, {row.metric}"
