"""Settings and versions side by side, with what differs marked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cortex_sim.html_report.content import Section, Table, side_by_side
from cortex_sim.html_report.outer_loops import OuterLoop
from cortex_sim.html_report.training_runs import TrainingRun

Run = TrainingRun | OuterLoop


def settings(runs: Sequence[TrainingRun], loops: Sequence[OuterLoop]) -> Section:
    """Every setting of every run; those that differ first."""
    section = Section("settings", "Settings")
    for title, of in (("training", runs), ("outer loops", loops)):
        section.tables += _tables(title, of)
    if any(table.rows and table.rows[0].marked for table in section.tables):
        section.sentences.append("Settings that differ between runs come first and are marked ≠.")
    return section


def versions(runs: Sequence[Run]) -> Section:
    """Versions, threads and instruction set with which each run was started."""
    section = Section("versions", "Versions")
    rows = side_by_side([dict(run.environment) for run in runs], spelled)
    if rows:
        section.tables.append(Table("Environment", ("", *(run.name for run in runs)), rows, numbers=False))
    unknown = [run.name for run in runs if not run.environment]
    if unknown:
        section.sentences.append(f"run.yaml does not state the environment: {', '.join(unknown)}.")
    return section


def _tables(title: str, runs: Sequence[Run]) -> list[Table]:
    rows = side_by_side([flat(run.settings) for run in runs], spelled)
    nested = {row.head.rpartition(".")[0] for row in rows}
    rows = tuple(row for row in rows if row.head not in nested)  # an empty mapping, nested in other runs
    if not rows:
        return []
    ordered = tuple(sorted(rows, key=lambda row: not row.marked))
    return [Table(f"Settings of {title}", ("setting", *(run.name for run in runs)), ordered, numbers=False)]


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings by their full names, "optimiser.lr", as ``--set`` takes them."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def spelled(value: Any) -> str:
    """A setting as text; lists and the like as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
