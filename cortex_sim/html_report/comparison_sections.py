"""Sections on comparisons with neural data: scores, differences between models, and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cortex_sim.html_report.comparisons import Comparison
from cortex_sim.html_report.content import Cell, Row, Section, Table, number
from cortex_sim.html_report.svg import picture

WHAT = ("recording", "population", "data", "metric")
SCORES = ("score", "interval", "ceiling", "shifted", "untrained")
PAIR = ("models", "data", "metric", "difference", "interval", "p, corrected")


def comparisons(given: Sequence[Comparison]) -> Section:
    """Every comparison: its scores with ceilings and controls, models against each other, warnings."""
    section = Section("comparison", "Comparison with neural data")
    for i, one in enumerate(given):
        before = f"{one.name}: " if len(given) > 1 else ""
        _scores(section, one, before, i)
        _differences(section, one, before)
        section.sentences += [f"{before}{said}." for said in one.warnings]
    return section


def _scores(section: Section, one: Comparison, before: str, i: int) -> None:
    from cortex_sim.viz.scores import comparison_scores

    still = [row for row in one.rows if row.get("time_bin_start") is None]
    panels = list(dict.fromkeys((row["data"], row["metric"]) for row in still))
    for j, (data, metric) in enumerate(panels):
        mine = [row for row in still if (row["data"], row["metric"]) == (data, metric)]
        title = f"{before}{metric} score, {data}"
        best = max(mine, key=lambda row: row["score"])
        said = f"{title}: highest {best['score']:.3f}, {best['recording']} {best['population']}"
        draw = lambda mine=mine: comparison_scores(mine)  # noqa: E731
        section.pictures.append(picture(draw, title, said, f"scores-{i}-{j}"))
    _over_time(section, one, before, i)
    title = f"{before}scores" if before else "Scores"
    timed = any(row.get("time_bin_start") is not None for row in one.rows)
    columns = (*WHAT, *(("time (ms)",) if timed else ()), *SCORES)
    section.tables.append(Table(title, columns, tuple(_row(row, timed) for row in one.rows)))


def _over_time(section: Section, one: Comparison, before: str, i: int) -> None:
    from cortex_sim.report.writing import courses
    from cortex_sim.viz.scores import scores_over_time

    timed = [row for row in one.rows if row.get("time_bin_start") is not None]
    for j, ((data, metric), lines) in enumerate(courses(timed).items()):
        title = f"{before}{metric} score over time, {data}"
        draw = lambda lines=lines, metric=metric: scores_over_time(lines, label=f"{metric} score")  # noqa: E731
        said = f"{title}: {', '.join(lines)}"
        section.pictures.append(picture(draw, title, said, f"courses-{i}-{j}"))


def _row(row: Mapping[str, Any], timed: bool) -> Row:
    where = [Cell(str(row[key])) for key in ("population", "data", "metric")]
    if timed:
        start, end = row.get("time_bin_start"), row.get("time_bin_end")
        where.append(Cell("–" if start is None else f"{start:g} to {end:g}"))
    scores = [number(row["score"], "{:.3f}"), _interval(row)]
    bounds = [number(row.get(key), "{:.3f}") for key in ("ceiling", "control_shifted", "control_untrained")]
    return Row(str(row["recording"]), (*where, *scores, *bounds))


def _differences(section: Section, one: Comparison, before: str) -> None:
    rows = [
        Row(
            f"{pair['first']} − {pair['second']}",
            (
                Cell(of["data"]),
                Cell(of["metric"]),
                number(pair["difference"], "{:.3f}"),
                _interval(pair),
                Cell(f"{pair['p_adjusted']:.3g} ({of['correction']})"),
            ),
        )
        for of in one.comparisons
        for pair in of.get("differences", ())
    ]
    if rows:
        title = f"{before}differences between models" if before else "Differences between models"
        section.tables.append(Table(title, PAIR, tuple(rows)))


def _interval(row: Mapping[str, Any]) -> Cell:
    if row["ci_low"] is None or row["ci_high"] is None:
        return Cell("–")
    return Cell(f"{row['ci_low']:.3f} to {row['ci_high']:.3f}")
