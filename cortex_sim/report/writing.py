"""A comparison on disk: the tidy table as CSV, and its figures; written whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim.compare.course import Course
from cortex_sim.compare.predictivity import PredictivityEvaluation
from cortex_sim.compare.responses import Dissimilarities, Responses, matched
from cortex_sim.report.comparing import Cell, Neural
from cortex_sim.report.entries import Entry
from cortex_sim.report.recovering import Recovered
from cortex_sim.runs.files import write_text

Row = Mapping[str, Any]
SCORES, DIFFERENCES = "scores.csv", "differences.csv"


def write_differences(differences: Sequence[Row], path: Path) -> None:
    """Pairs of models as CSV, one line each; the file is written whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(differences[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(differences)
    write_text(path, text.getvalue())


def figures(
    rows: Sequence[Row],
    cells: Sequence[Cell],
    entries_for: Callable[[str], Sequence[Entry]],
    data: Mapping[str, Neural | Course],
    folder: Path,
) -> list[Path]:
    """Scores by population; neuroids of the two best entries; RDMs of data and models; time courses."""
    from cortex_sim import viz

    names = spelled_apart([*data, *(str(row["data"]) for row in rows)])
    made = _courses([row for row in rows if row["time_bin_start"] is not None], names, folder)
    still = [row for row in rows if row["time_bin_start"] is None]
    if still:
        made.append(folder / "scores.png")
        viz.comparison_scores(still, made[-1])
    for label, neural in data.items():
        mine = [cell for cell in cells if cell.data == label and cell.time_bin is None]
        if not mine or isinstance(neural, Course):
            continue
        made += _neuroids(mine, names[label], folder)
        made += _rdms(mine, entries_for(label), label, neural, folder / f"rdms-{names[label]}.png")
    return made


def courses(rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, list[Row]]]:
    """Rows of time bins as `viz.scores_over_time` draws them: by data set and metric, then by line."""
    found: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        name, population = row["recording"], row["population"]
        lines = found.setdefault((row["data"], row["metric"]), {})
        line = lines.setdefault(name if name == population else f"{name} {population}", [])
        ceiling = row["ceiling"] if row["convention"] == "raw" or row["ceiling"] is None else 1.0
        start, end = row["time_bin_start"], row["time_bin_end"]
        line.append({**row, "bin": (start + end) / 2, "ceiling_low": ceiling})
    return found


def _courses(rows: Sequence[Row], names: Mapping[str, str], folder: Path) -> list[Path]:
    """Scores over time, one figure for each data set and metric."""
    from cortex_sim import viz

    made = []
    for (label, metric), lines in courses(rows).items():
        made.append(folder / f"over-time-{names[label]}-{metric}.png")
        viz.scores_over_time(lines, made[-1], f"{metric} score, {label}")
    return made


def _neuroids(cells: Sequence[Cell], name: str, folder: Path) -> list[Path]:
    """Predictivity of every neuroid by the two best of different entries, or against its reliability."""
    from cortex_sim import viz

    able = [cell for cell in cells if isinstance(cell.evaluations[0], PredictivityEvaluation)]
    if not able:
        return []
    best = {cell.entry: cell for cell in sorted(able, key=lambda cell: cell.score)}
    chosen = sorted(best.values(), key=lambda cell: -cell.score)[:2]
    first = chosen[0].evaluations[0]
    assert isinstance(first, PredictivityEvaluation)
    reliability = None if first.reliabilities is None else first.reliabilities.corrected
    said = [f"{cell.entry} {cell.population}, held-out r" for cell in chosen]
    values = [np.nan_to_num(_correlations(cell)) for cell in chosen]
    if len(chosen) == 1:
        if reliability is None:
            return []
        values, said, reliability = [reliability, values[0]], ["reliability", said[0]], None
    path = folder / f"neuroids-{name}.png"
    viz.neuroid_scatter(values[0], values[1], (said[0], said[1]), path, reliability)
    return [path]


def _correlations(cell: Cell) -> np.ndarray:
    """Mean over seeds of each neuroid's r."""
    found = [one.correlations() for one in cell.evaluations if isinstance(one, PredictivityEvaluation)]
    return np.asarray(np.mean(found, axis=0))


def _rdms(
    cells: Sequence[Cell], entries: Sequence[Entry], label: str, neural: Neural, path: Path
) -> list[Path]:
    """The data's RDM, and those of each entry's best population by RSA."""
    from cortex_sim import viz
    from cortex_sim.compare.rdms import measure_named, rdm

    able = [cell for cell in cells if cell.metric.name == "rsa"]
    if not able:
        return []
    how = measure_named("correlation", "identity")
    panels: dict[str, Dissimilarities] = {
        label: rdm(neural, how) if isinstance(neural, Responses) else neural,
    }
    best = {cell.entry: cell for cell in sorted(able, key=lambda cell: cell.score)}
    members = {entry.name: entry.members[0] for entry in entries}
    for name in dict.fromkeys(cell.entry for cell in able):
        population = best[name].population
        model = matched(members[name].responses(population), neural)[0]
        panels[f"{name} {population}" if name != population else name] = rdm(model, how)
    viz.rdm_panels(panels, path)
    return [path]


def recovery_figures(recoveries: Sequence[Recovered], folder: Path) -> list[Path]:
    """One confusion matrix for each data set and metric."""
    from cortex_sim import viz

    made = []
    names = spelled_apart([one.data for one in recoveries])
    for one in recoveries:
        if one.recovery is not None:
            made.append(folder / f"recovery-{names[one.data]}-{one.metric}.png")
            viz.recovery_matrix(one.recovery.confusion, list(one.recovery.rules), made[-1])
    return made


def spelled_apart(labels: Sequence[str]) -> dict[str, str]:
    """Each label as part of a file's name; labels that are spelled alike get a number."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for label in dict.fromkeys(labels):
        name, number = spelled(label), 2
        while name.casefold() in taken:
            name, number = f"{spelled(label)}-{number}", number + 1
        taken.add(name.casefold())
        found[label] = name
    return found


def spelled(label: str) -> str:
    """A label as part of a file's name."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in label)
