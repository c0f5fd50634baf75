"""The head of a page: what each subject is, how far it came, and what it reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cortex_sim.html_report.content import Cell, Row, Section, Table, number, percent
from cortex_sim.html_report.reading import Found
from cortex_sim.html_report.training_runs import TrainingRun


def overview(found: Found) -> Section:
    """Tables of runs and of everything else, and what could not be read or was warned of."""
    section = Section("overview", "Overview")
    if found.runs:
        section.tables.append(_runs(found.runs))
    rows = [Row(one.name, (Cell(one.kind), Cell(one.status))) for one in found.all if one not in found.runs]
    if rows:
        title = "Also in this report" if found.runs else "In this report"
        section.tables.append(Table(title, ("", "kind", "status"), tuple(rows), numbers=False))
    stopped = [one.name for one in found.all if one.status.startswith("not finished")]
    if stopped:
        section.sentences.append(f"Interrupted, or running on another machine: {', '.join(stopped)}.")
    section.sentences += [f"Note: {said}." for said in found.notes]
    for run in found.runs:
        warnings = (run.metrics or {}).get("warnings", [])
        section.sentences += [f"Warning of {run.name}: {text}." for text in warnings]
    return section


def _runs(runs: Sequence[TrainingRun]) -> Table:
    found: dict[str, list[Cell]] = {
        "status": [Cell(run.status) for run in runs],
        "model": [Cell(str(run.settings.get("model"))) for run in runs],
        "data": [Cell(str(run.settings.get("data"))) for run in runs],
        "rule": [Cell(_rule(run)) for run in runs],
        "seed": [number(run.settings.get("seed"), "{}") for run in runs],
    }
    for key, title, spell in (
        ("test_accuracy", "test accuracy", percent),
        ("validation_accuracy", "validation accuracy", percent),
        ("train_accuracy", "training accuracy", percent),
        ("test_loss", "objective, test", number),
        ("validation_loss", "objective, validation", number),
    ):
        cells = [spell(_final(run, key)) for run in runs]
        if any(cell.value is not None for cell in cells):
            found[title] = cells
    if any("best" in (run.metrics or {}) for run in runs):
        found["best evaluation"] = [_best(run) for run in runs]
    found["updates"] = [number(_final(run, "steps"), "{:,}") for run in runs]
    found["time (s)"] = [number(_final(run, "seconds"), "{:.1f}") for run in runs]
    rows = tuple(Row(head, tuple(cells)) for head, cells in found.items())
    return Table("Training runs", ("", *(run.name for run in runs)), rows, numbers=False)


def _rule(run: TrainingRun) -> str:
    from cortex_sim.training.naming import joined, rule_label

    rule = run.settings.get("rule")
    return joined(rule, []) if run.network is None else rule_label(rule, run.network)


def _final(run: TrainingRun, key: str) -> Any:
    """A final value; of a run that has not finished, that of its last evaluation."""
    if run.metrics is not None:
        return run.metrics.get(key)
    return run.last.get("step" if key == "steps" else key)


def _best(run: TrainingRun) -> Cell:
    found = (run.metrics or {}).get("best")
    if not isinstance(found, dict):
        return Cell("–")
    ((key, value),) = [item for item in found.items() if item[0] not in ("step", "epoch")]
    shown = percent(value) if key.endswith("accuracy") else number(value)
    return Cell(f"{key} {shown.text}, epoch {found.get('epoch'):g}", shown.value)
