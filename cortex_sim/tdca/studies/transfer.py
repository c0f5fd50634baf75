"""A trained rule on other networks, data sets and horizons, with its outer parameters unchanged."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.runs.files import write_text
from cortex_sim.runs.results import FINGERPRINT, read
from cortex_sim.runs.sweep import JOB
from cortex_sim.tdca.studies.jobs import Folders, Result

if TYPE_CHECKING:
    from cortex_sim.tdca.evolving.settings import OuterSettings

RUNS = 6
OUTER = "outer.safetensors"


@dataclass(frozen=True)
class Cell:
    """One condition to test a rule in.

    Parameters
    ----------
    label : str
    data : str or None
        Data set, by name; None means the tasks of the outer loop itself.
    steps : tuple of int
        Horizons, each with the schedule that ends there.
    model : dict
        Model settings that replace those of the outer loop.
    """

    label: str
    data: str | None
    steps: tuple[int, ...]
    model: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Transfer:
    """One finished outer loop, tested in every cell. Results from before an interruption are kept.

    Parameters
    ----------
    source : str
        Name of the outer loop's job; its run directory must exist.
    seed : int
    cells : tuple of Cell
    study : str, default "transfer"
        Prefix of its result's name, before the source's name.
    inner_runs : int, default 6
        Inner runs in every cell.
    start_seed : int, default 0
        Seed of starts, tasks and presentations, independent of the outer loop's seed; 0 gives those of
        every other test.
    """

    source: str
    seed: int
    cells: tuple[Cell, ...]
    study: str = "transfer"
    inner_runs: int = RUNS
    start_seed: int = 0

    @property
    def key(self) -> str:
        """Name of its result."""
        return f"{self.study}_{self.source}-{self.seed}"

    def configuration(self, folders: Folders) -> dict[str, Any]:
        """Its cells, and the configuration of its outer loop."""
        home = folders.kept(f"{self.source}-{self.seed}") or {}
        return {
            "source": home.get(FINGERPRINT, self.source),
            "seed": self.seed,
            "cells": [asdict(cell) for cell in self.cells],
            "lives": self.inner_runs,
            "births": self.start_seed,
        }

    def do(self, folder: Path, folders: Folders) -> Result:
        """Do the inner runs of every cell that is not done yet."""
        import torch

        run = self._home(folders)
        torch.set_num_threads(1)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / "lived.json"
        found = read(unfinished) or {}
        trained = Trained(run, folders.data)
        for cell in self.cells:
            if cell.label in found:
                continue
            try:
                found[cell.label] = {
                    str(n): trained.accuracies(cell, n, self.inner_runs, self.start_seed) for n in cell.steps
                }
            except CortexSimError as exception:  # a rule that does not fit is a result too
                found[cell.label] = {"failed": str(exception)}
            write_text(unfinished, json.dumps(found))
        settings = trained.settings
        about = {"source": self.source, "rule": settings.rule, "searcher": settings.searcher}
        return {**about, "lives": self.inner_runs, "births": self.start_seed, "per_life": found}

    def _home(self, folders: Folders) -> Path:
        """The outer loop's run directory, which must belong to its kept result."""
        key = f"{self.source}-{self.seed}"
        run, first = folders.run(key), f"run the job {self.source} with seed {self.seed} first"
        if not (run / OUTER).is_file():
            raise RunError(f"{run}: no {OUTER}; {first}")
        started = (read(folders.runs / key / JOB) or {}).get(FINGERPRINT)
        if started != (folders.kept(key) or {}).get(FINGERPRINT):
            raise RunError(f"{run}: has another configuration than its kept result; {first}")
        return run


class Trained:
    """Outer parameters of a finished run, and inner runs under them.

    Parameters
    ----------
    run : Path
        Its directory.
    data_dir : Path, optional
    """

    def __init__(self, run: Path, data_dir: Path | None = None) -> None:
        from safetensors.numpy import load_file

        from cortex_sim.tdca.evolving.run import saved_settings
        from cortex_sim.tdca.inner.cohort import layout

        self.settings: OuterSettings = saved_settings(run)
        self.rule, self.step = self.settings.inner_rule(), self.settings.inner_step()
        self.phi = layout(self.rule, self.step, self.settings.body()).joined(load_file(str(run / OUTER)))
        self.data_dir = data_dir
        self._tasks: dict[str | None, Any] = {}

    def accuracies(self, cell: Cell, steps: int, inner_runs: int = RUNS, start_seed: int = 0) -> list[float]:
        """Test accuracy of each inner run after so many steps."""
        from cortex_sim.tdca.inner.evaluation import run_to_end, tested

        if cell.data not in self._tasks:
            self._tasks[cell.data] = self._drawn_from(cell.data)
        batch, body = self.settings.inner_span().batch, self.settings.body(**cell.model)
        tasks, of = self._tasks[cell.data], {"seeds": inner_runs, "batch": batch, "seed": start_seed}
        at = run_to_end(body, self.rule, self.step, self.phi, tasks, steps, **of)
        return tested(*at)["accuracy"]

    def _drawn_from(self, data: str | None) -> Any:
        from cortex_sim.tdca.evolving.outcome import test_tasks
        from cortex_sim.tdca.tasks.settings import tasks_from

        if data is None:
            return tasks_from(self.settings.tasks, self.data_dir)
        return test_tasks(self.settings, data, self.data_dir)
