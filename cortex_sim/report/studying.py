"""A whole comparison: scores, which models differ, whether such data could tell, and a verdict in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cortex_sim.compare.course import Course
from cortex_sim.compare.scores import ScoreRow, write_csv
from cortex_sim.errors import DataError, RunError
from cortex_sim.report.comparing import Cell, Neural, Settings, compared, row
from cortex_sim.report.entries import Entry
from cortex_sim.report.metrics import Named
from cortex_sim.report.pooled import pooled_rows, require_poolable
from cortex_sim.report.pooled_ranking import pooled_rankings, unranked
from cortex_sim.report.ranking import Ranking, ranked
from cortex_sim.report.recovering import Recovered, recovered
from cortex_sim.report.warnings import sentences_over_time, warnings_about
from cortex_sim.report.writing import DIFFERENCES, SCORES, figures, recovery_figures, write_differences
from cortex_sim.runs.files import write_text

Progress = Callable[[str], None]
REPORT = "report.json"


@dataclass(frozen=True, eq=False)
class Study:
    """What is compared, and how.

    Parameters
    ----------
    entries : tuple of Entry
    data : mapping of str to Responses, Dissimilarities or Course
    metrics : tuple of Named
    settings : Settings
    simulations : int
        Simulations from each model, for model recovery; 0 for none.
    pool : {"sessions", "animals"}, optional
        What scores are pooled over.
    own : mapping of str to tuple of Entry
        For each data set with its own stimuli, entries of the same names that were shown these.
    """

    entries: tuple[Entry, ...]
    data: Mapping[str, Neural | Course]
    metrics: tuple[Named, ...]
    settings: Settings = field(default_factory=Settings)
    simulations: int = 0
    pool: str | None = None
    own: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)

    def entries_for(self, label: str) -> tuple[Entry, ...]:
        """Entries that were shown the stimuli of this data set."""
        return self.own.get(label, self.entries)


def time_of(row: Mapping[str, Any]) -> list[str]:
    """The time bin of a row in words, in ms, or nothing."""
    start, end = row["time_bin_start"], row["time_bin_end"]
    return [] if start is None else [f"{start:g} to {end:g}"]


@dataclass(frozen=True, eq=False)
class Result:
    """Outcome of a comparison.

    Parameters
    ----------
    study : Study
    cells : tuple of Cell
    scores : list of ScoreRow
        The table, one line for each model, population, data set and metric.
    rankings : tuple of Ranking
        Models against each other, for each data set and metric, and by pooled scores.
    recoveries : tuple of Recovered
        Whether such data could tell the models apart, where this was asked.
    sentences : list of str
        What must be known before a score is believed.
    """

    study: Study
    cells: tuple[Cell, ...]
    scores: list[ScoreRow]
    rankings: tuple[Ranking, ...]
    recoveries: tuple[Recovered, ...]
    sentences: list[str]

    @property
    def differences(self) -> list[dict[str, Any]]:
        """All pairs of models for each data set and metric, as plain data."""
        return [
            {"data": of.data, "metric": of.metric, **one, "correction": of.comparison.correction}
            for of in self.rankings
            if of.comparison is not None
            for one in of.differences
        ]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table as plain data."""
        return [one.row() for one in self.scores]

    def __str__(self) -> str:
        """The table, differences between models, and the sentences, as text."""
        columns = ("recording", "population", "data", "metric")
        lines = [
            "  ".join(
                [
                    *(str(one[key]) for key in columns),
                    *(f"{time} ms" for time in time_of(one)),
                    f"{one['score']:.3f} ({one['ci_low']:.3f} to {one['ci_high']:.3f})",
                    "ceiling unknown" if one["ceiling"] is None else f"ceiling {one['ceiling']:.3f}",
                    f"{one['units']} units, {one['stimuli']} stimuli",
                ]
            )
            for one in self.rows
        ]
        differences = [
            f"{one['data']}  {one['metric']}  {one['first']} - {one['second']}  {one['difference']:.3f} "
            f"({one['ci_low']:.3f} to {one['ci_high']:.3f})  p {one['p_adjusted']:.3g} ({one['correction']})"
            for one in self.differences
        ]
        return "\n".join([*lines, *differences, *self.sentences])

    def as_data(self) -> dict[str, Any]:
        """As plain data, for ``--json``."""
        compared = [one.as_data() for one in self.rankings]
        without = [
            {
                "recording": cell.entry,
                "population": cell.population,
                "data": cell.data,
                "metric": cell.metric.name,
                "time_bin_start": cell.time_bin[0],
                "time_bin_end": cell.time_bin[1],
                "reason": cell.reason,
            }
            for cell in self.cells
            if cell.reason and cell.time_bin
        ]
        return {
            "scores": self.rows,
            "without_score": without,
            "comparisons": compared,
            "recovery": [one.as_data() for one in self.recoveries],
            "warnings": self.sentences,
        }

    def write(self, folder: Path) -> list[Path]:
        """Table, report and figures in a new folder; their paths."""
        try:
            folder.mkdir(parents=True)
        except OSError as exception:
            raise RunError(f"{folder}: cannot be made ({exception.strerror or exception})") from None
        written = [folder / SCORES, folder / REPORT]
        write_csv(self.scores, folder / SCORES)
        write_text(folder / REPORT, json.dumps(self.as_data(), indent=1) + "\n")
        if self.differences:
            written.insert(1, folder / DIFFERENCES)
            write_differences(self.differences, folder / DIFFERENCES)
        drawn = figures(self.rows, self.cells, self.study.entries_for, self.study.data, folder)
        drawn += recovery_figures(self.recoveries, folder)
        return [*written, *drawn]


def studied(study: Study, progress: Progress = lambda said: None) -> Result:
    """Carry a comparison out."""
    timed = any(isinstance(one, Course) for one in study.data.values())
    if study.simulations and (timed or any(one.members[0].bins for one in study.entries)):
        raise DataError("--recover: simulates responses without time; leave --over-time out")
    if study.pool is not None:
        require_poolable(study.pool, study.data)
    cells, rows = [], []
    for cell in _compared(study, progress):
        progress(f"interval: {cell.entry} {cell.population}, {cell.metric.name}")
        cell, found = _row(cell, study)
        cells.append(cell)
        rows += found
    progress("models against each other")
    rankings = tuple(ranked(cells, study.settings))
    recoveries = _recoveries(study, rankings, progress) if study.simulations else ()
    scores = [_with_recovery(one, recoveries) for one in rows]
    unable: list[str] = []
    if study.pool is not None:
        progress(f"pooled over {study.pool}")
        how = (study.data, study.pool, study.settings, not study.own)
        scores += pooled_rows(cells, rows, *how)
        rankings += tuple(pooled_rankings(rankings, rows, *how))
        unable = unranked(study.data, study.pool) if len(study.entries) > 1 else []
    said = [one.sentence() for one in rankings] + [text for one in recoveries for text in one.sentences]
    return Result(
        study,
        tuple(cells),
        scores,
        rankings,
        recoveries,
        [*said, *unable, *sentences_over_time(cells), *warnings_about(scores)],
    )


def _compared(study: Study, progress: Progress) -> Iterator[Cell]:
    """Cells of all data sets, each with the entries that were shown its stimuli."""
    for label, neural in study.data.items():
        entries = study.entries_for(label)
        yield from compared(entries, {label: neural}, study.metrics, study.settings, progress)


def _row(cell: Cell, study: Study) -> tuple[Cell, list[ScoreRow]]:
    """The cell and its row; a time bin whose interval is undefined has none, with the reason."""
    if cell.reason:
        return cell, []
    try:
        return cell, [row(cell, study.data[cell.data], study.settings)]
    except DataError as reason:
        if cell.time_bin is None:
            raise
        return replace(cell, evaluations=(), chance=None, untrained=None, reason=str(reason)), []


def _with_recovery(score: ScoreRow, recoveries: Sequence[Recovered]) -> ScoreRow:
    """The row with the share of simulated data that come from its model, among those that this model wins."""
    for one in recoveries:
        if (one.data, one.metric) == (score.data, score.metric) and one.recovery is not None:
            return replace(score, recovery=one.recovery.trusted(score.recording))
    return score


def _recoveries(study: Study, rankings: tuple[Ranking, ...], progress: Progress) -> tuple[Recovered, ...]:
    if len(study.entries) < 2:
        return ()
    metrics = {one.name: one for one in study.metrics}
    return tuple(
        recovered(
            study.entries_for(one.data),
            _without_time(study.data[one.data]),
            one,
            metrics[one.metric],
            study.simulations,
            study.settings.seed,
            progress,
        )
        for one in rankings
    )


def _without_time(neural: Neural | Course) -> Neural:
    assert not isinstance(neural, Course)  # refused before work started
    return neural
