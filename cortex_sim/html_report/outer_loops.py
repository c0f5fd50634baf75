"""An outer loop of ``cortex-sim evolve`` as its run directory holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_sim.html_report.training_runs import (
    Line,
    read_lines,
    read_metrics,
    read_settings,
    unfinished,
)
from cortex_sim.runs.log import JSONL


@dataclass(frozen=True, eq=False)
class OuterLoop:
    """What a run directory holds, as in `TrainingRun`; its lines are means over outer updates."""

    name: str
    path: Path
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    lines: tuple[Line, ...]
    metrics: Mapping[str, Any] | None
    notes: tuple[str, ...]

    kind = "outer loop"

    @property
    def last(self) -> Line:
        """The latest line, or nothing."""
        return self.lines[-1] if self.lines else {}

    @property
    def status(self) -> str:
        """How far the outer loop has come, in a few words."""
        if self.metrics is not None:
            return "finished"
        done = f"outer update {self.last['step']} of {self.settings.get('iterations')}" if self.last else ""
        return unfinished(self.path, done)


def read_outer_loop(name: str, path: Path) -> OuterLoop:
    """Read a run directory; what cannot be read becomes a note."""
    settings, environment = read_settings(path)
    notes: list[str] = []
    lines = read_lines(path / JSONL, notes)
    metrics = read_metrics(path, notes)
    return OuterLoop(name, path, settings, environment, tuple(lines), metrics, tuple(notes))
