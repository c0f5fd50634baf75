"""A trained rule on other networks, data sets and lengths of inner runs, its outer parameters unchanged."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.runs.files import write_text
from cortex_sim.runs.results import FINGERPRINT, read
from cortex_sim.runs.sweep import JOB
from cortex_sim.tdca.studies.jobs import Folders, Result

if TYPE_CHECKING:
    from torch import Tensor

    from cortex_sim.tdca.evolving.settings import OuterSettings
    from cortex_sim.tdca.inner.architecture import Architecture

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
        Lengths of inner runs, in inner steps; each length has its own schedule.
    model : dict
        Model settings that replace those of the outer loop.
    network : str, optional
        Another shipped model; of the outer loop's model settings it keeps only ``reads``.
    tasks : dict
        Settings of tasks that replace those of the outer loop, such as ``classes``.
    disturbed : dict
        Settings of `cortex_sim.tdca.tasks.disturbed.Disturbed`.
    batch : int, optional
        Presentations of an inner step; by default the outer loop's.
    rate : float, default 1.0
        Factor on all learning rates.
    """

    label: str
    data: str | None
    steps: tuple[int, ...]
    model: dict[str, Any] = field(default_factory=dict)
    network: str | None = None
    tasks: dict[str, Any] = field(default_factory=dict)
    disturbed: dict[str, Any] = field(default_factory=dict)
    batch: int | None = None
    rate: float = 1.0

    def as_data(self) -> dict[str, Any]:
        """Plain data for a fingerprint; fields added later are left out at their defaults."""
        given = asdict(self)
        plain = asdict(Cell(self.label, self.data, self.steps))
        return {k: v for k, v in given.items() if k in _FIRST or v != plain[k]}


_FIRST = ("label", "data", "steps", "model")  # fields of the first version


@dataclass(frozen=True)
class Transfer:
    """One finished outer loop, tested in every cell; results from before an interruption are kept.

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
        Seed of initial weights, tasks and presentations, independent of the outer loop's seed; 0 gives those
        of all other tests.
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
            "cells": [cell.as_data() for cell in self.cells],
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
        Run directory.
    data_dir : Path, optional
    """

    def __init__(self, run: Path, data_dir: Path | None = None) -> None:
        from safetensors.numpy import load_file

        from cortex_sim.tdca.evolving.run import saved_settings

        self.settings: OuterSettings = saved_settings(run)
        self.rule, self.step = self.settings.inner_rule(), self.settings.inner_step()
        self.outer = load_file(str(run / OUTER))
        self.data_dir = data_dir
        self._tasks: dict[str, Any] = {}

    def accuracies(self, cell: Cell, steps: int, inner_runs: int = RUNS, start_seed: int = 0) -> list[float]:
        """Test accuracy of each inner run after ``steps`` inner steps."""
        from cortex_sim.tdca.inner.evaluation import run_to_end, tested

        batch = self.settings.inner_span().batch if cell.batch is None else cell.batch
        tasks, of = self._tasks_of(cell), {"seeds": inner_runs, "batch": batch, "seed": start_seed}
        phi, body = self._phi(cell.rate), self._body(cell)
        return tested(*run_to_end(body, self.rule, self.step, phi, tasks, steps, **of))["accuracy"]

    def _phi(self, rate: float) -> Tensor:
        """Outer parameters, all learning rates times ``rate``."""
        from cortex_sim.tdca.inner.cohort import layout

        outer = dict(self.outer)
        if rate != 1:
            outer["step_rate"] = outer["step_rate"].copy()
            outer["step_rate"][..., 0] += math.log(rate)  # index 1 is the slope over lengths of inner runs
        return layout(self.rule, self.step, self.settings.body()).joined(outer)

    def _body(self, cell: Cell) -> Architecture:
        if cell.network is None:
            return self.settings.body(**cell.model)
        kept = {k: v for k, v in self.settings.model_settings.items() if k == "reads"}
        return replace(self.settings, model=cell.network, model_settings=kept).body(**cell.model)

    def _tasks_of(self, cell: Cell) -> Any:
        from cortex_sim.tdca.tasks.disturbed import Disturbed

        key = json.dumps([cell.data, cell.tasks], sort_keys=True)
        if key not in self._tasks:
            self._tasks[key] = self._drawn_from(cell.data, cell.tasks)
        return Disturbed(self._tasks[key], **cell.disturbed) if cell.disturbed else self._tasks[key]

    def _drawn_from(self, data: str | None, other: dict[str, Any]) -> Any:
        from cortex_sim.tdca.evolving.outcome import test_tasks
        from cortex_sim.tdca.tasks.settings import tasks_from

        settings = replace(self.settings, tasks={**self.settings.tasks, **other})
        if data is None:
            return tasks_from(settings.tasks, self.data_dir)
        return test_tasks(settings, data, self.data_dir)
