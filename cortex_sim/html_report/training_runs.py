"""A training run as its directory holds it, finished, in progress, interrupted or damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim import yaml_text
from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.runs import directory
from cortex_sim.runs.directory import CHECKPOINT, METRICS, RUN
from cortex_sim.runs.log import JSONL

if TYPE_CHECKING:
    from cortex_sim.network import Network

Line = dict[str, Any]


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What a run directory holds.

    Parameters
    ----------
    name : str
        In the report.
    path : Path
    settings, environment : dict
        Of run.yaml.
    lines : tuple of dict
        Evaluations, of metrics.jsonl.
    metrics : dict or None
        Of metrics.json; None where the run has not finished.
    network : Network or None
        Of the checkpoint.
    notes : tuple of str
        What is missing or damaged.
    """

    name: str
    path: Path
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    lines: tuple[Line, ...]
    metrics: Mapping[str, Any] | None
    network: Network | None
    notes: tuple[str, ...]

    kind = "training run"

    @property
    def last(self) -> Line:
        """The latest evaluation, or nothing."""
        return self.lines[-1] if self.lines else {}

    @property
    def diverged_at(self) -> int | None:
        """Step of the first evaluation whose objective was not finite, which metrics.jsonl keeps as null."""
        for line in self.lines:
            part = "validation_loss" if "validation_loss" in line else "test_loss"
            if part in line and line[part] is None:
                return int(line["step"])
        return None

    @property
    def status(self) -> str:
        """How far the run has come, in a few words."""
        if self.metrics is not None:
            early = ", stopped early" if self.metrics.get("stopped_early") else ""
            return f"finished{early}"
        if self.diverged_at is not None:
            return f"diverged: the objective was not finite at step {self.diverged_at}"
        done = f"epoch {self.last['epoch']:g} of {self.settings.get('epochs')}" if self.last else ""
        return unfinished(self.path, done)


def unfinished(path: Path, done: str) -> str:
    """Status of a run without final metrics."""
    how = "in progress" if directory.seen_held(path) else "not finished"
    return f"{how}, {done or 'no evaluation yet'}"


def read_training_run(name: str, path: Path) -> TrainingRun:
    """Read a run directory; what cannot be read becomes a note.

    Raises
    ------
    RunError
        If run.yaml itself is damaged.
    """
    settings, environment = read_settings(path)
    notes: list[str] = []
    lines = read_lines(path / JSONL, notes)
    metrics = read_metrics(path, notes)
    if metrics is not None and not lines:
        notes.append(f"{JSONL} is missing or empty: there are no learning curves")
    network = _network(path, notes)
    return TrainingRun(name, path, settings, environment, tuple(lines), metrics, network, tuple(notes))


def read_settings(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and environment of run.yaml, as plain data: they are not checked, and no code is run."""
    content = yaml_text.read(f"run {path}", path / RUN, RunError)
    environment = content.pop("environment", None)
    return content, environment if isinstance(environment, dict) else {}


def read_lines(path: Path, notes: list[str]) -> list[Line]:
    """Evaluations; damaged ones are left out and noted.

    The last line of a run in progress may be read while it is written: it is left out without a note.
    """
    try:
        texts = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    found, damaged = [], []
    for number, text in enumerate(texts[:-1], 1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            found.append(line)
        else:
            damaged.append(str(number))
    if damaged:
        more = ", …" if len(damaged) > 5 else ""
        notes.append(f"{path.name}: damaged lines were left out: {', '.join(damaged[:5])}{more}")
    return found


def read_metrics(path: Path, notes: list[str]) -> dict[str, Any] | None:
    """Final metrics; None where there are none, or with a note where they are damaged."""
    try:
        return directory.finished(path)
    except RunError:
        notes.append(f"{METRICS} is damaged: final values are those of the last evaluation")
        return None


def _network(path: Path, notes: list[str]) -> Network | None:
    """The network of the checkpoint, which holds it as data."""
    from cortex_sim.state import load

    if not (path / CHECKPOINT).is_file():
        notes.append(f"no {CHECKPOINT}: the network cannot be drawn")
        return None
    try:
        return load(path / CHECKPOINT).network
    except CortexSimError as exception:
        notes.append(f"the network cannot be drawn: {exception}")
        return None
