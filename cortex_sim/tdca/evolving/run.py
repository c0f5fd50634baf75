"""An outer loop in its run directory: a killed run resumes to the same parameters, bit for bit."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cortex_sim import yaml_text
from cortex_sim.errors import RunError
from cortex_sim.runs import directory
from cortex_sim.runs.directory import CHECKPOINT, METRICS, RUN
from cortex_sim.runs.environment import machine, warn_if_another
from cortex_sim.runs.files import read_tensors, write_tensors, write_text
from cortex_sim.runs.log import RunLog
from cortex_sim.tdca.evolving.figure import progress_figure
from cortex_sim.tdca.evolving.kinds import OuterProblem
from cortex_sim.tdca.evolving.reading import from_file
from cortex_sim.tdca.outer.problem import whole
from cortex_sim.tdca.workers.spreading import Spread, Workers, spread
from cortex_sim.tdca.workers.worker import data_of

ALONE = Workers()
FIGURE = "progress.png"
_KIND = "outer loop"  # kind and line of its checkpoints
_LINE = 10  # outer updates averaged in one line of metrics.jsonl
_FIGURE_SECONDS = 30.0


@dataclass
class _Clock:
    """Seconds of a run, over all its sessions."""

    before: float = 0.0
    began: float = 0.0

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began


def evolve(
    settings: OuterProblem,
    out: Path,
    data_dir: Path | None = None,
    resume: bool = False,
    workers: Workers = ALONE,
) -> dict[str, Any]:
    """Run the outer loop into ``out``, test its result, and return the content of ``metrics.json``.

    Parameters
    ----------
    settings : OuterProblem
    out : Path
        A new run directory, or with ``resume`` an existing one.
    data_dir : Path, optional
        Folder of named data sets, see `cortex_sim.data.named.find`.
    resume : bool, default False
        Continue from the last checkpoint in ``out``; a finished run only returns its metrics again.
    workers : Workers, default one process
        Processes that advance inner runs; a run may be resumed with another number of them.

    Raises
    ------
    RunError, DataError
        If ``out`` already exists (or, with ``resume``, holds no run), or training data is missing.
    """
    if resume:
        metrics = directory.finished(out)
        if metrics is not None:
            return metrics
    else:
        directory.require_new(out)
    given, centre = settings.problem(data_dir)
    settings.check(data_dir)
    workers.check(settings, given)
    with directory.held(out), spread(workers, settings, data_dir, given) as work:
        return _Evolution(settings, out, given, centre, work, data_dir).go(data_dir)


def saved_settings(out: Path) -> Any:
    """Settings of the outer loop in ``out``."""
    return from_file(directory.require_run(out, "evolve CONFIG"))


class _Evolution:
    """One run directory, locked, and the search that fills it."""

    def __init__(
        self,
        settings: OuterProblem,
        out: Path,
        given: Any,
        centre: torch.Tensor,
        work: Spread,
        data_dir: Path | None,
    ) -> None:
        self.settings, self.out, self.given, self.work = settings, out, given, work
        generator = torch.Generator().manual_seed(settings.seed + 1)
        self.search = settings.search().begin(work.problem, centre, settings.iterations, generator)
        self.iteration, self.contained, self.lost_before = 0, 0, 0
        self.data = data_of(settings, data_dir)
        self.clock = _Clock()
        self.log = RunLog(out)

    def go(self, data_dir: Path | None) -> dict[str, Any]:
        self._open()
        self._iterate()
        phi = whole(self.given, self.search.centre)
        if not bool(torch.isfinite(phi).all()):
            raise RunError(f"{self.out}: the outer parameters are no longer finite; lower searcher.rate")
        self.settings.write(phi, self.out)
        searched = self.clock.seconds()

        def report(what: str) -> None:
            self.log.progress(self.settings.iterations, self.settings.iterations, float("nan"), what)

        metrics = {
            "seed": self.settings.seed,
            **self.settings.described(),
            "parameters": len(phi),
            "iterations": self.iteration,
            **self.settings.outcome(phi, data_dir, report),
            "contained": self.contained,
            **self.work.described(self.lost_before),
            "outer_seconds": round(searched, 3),
            "seconds": round(self.clock.seconds(), 3),
        }
        progress_figure(self.log.lines(), self.out / FIGURE, self.settings, metrics)
        write_text(self.out / METRICS, json.dumps(metrics, indent=1) + "\n")
        self.log.close()
        return metrics

    def _open(self) -> None:
        at = self.out / CHECKPOINT
        if at.is_file():
            extra = self._restore(at)
            recorded = yaml_text.read("configuration", self.out / RUN, RunError).get("environment")
            warn_if_another(recorded, torch.get_num_threads())
            self.log.cut_back(extra["files"])
            self.log.open()
        else:
            content = self.settings.as_dict() | {"environment": machine(torch.get_num_threads())}
            write_text(self.out / RUN, yaml_text.write(content))
            self.log.cut_back({})
            self.log.open()
        self.clock.began = time.monotonic()

    def _iterate(self) -> None:
        total, every = self.settings.iterations, self.settings.checkpoint_every
        drawn = time.monotonic()
        recent: list[dict[str, float]] = []
        while self.iteration < total:
            measured = self.search.step()
            self.iteration += 1
            self.contained += int(measured["contained"])
            recent.append(measured)
            self.log.progress(self.iteration, total, measured["loss"], self._doing(measured["loss"]))
            if self.iteration % _LINE == 0 or self.iteration == total:
                self._write(recent)
                recent = []
            if self.iteration % every == 0 or self.iteration == total:
                self._write(recent)
                recent = []
                self._save()
            if time.monotonic() - drawn > _FIGURE_SECONDS:
                progress_figure(self.log.lines(), self.out / FIGURE, self.settings, None)
                drawn = time.monotonic()

    def _doing(self, loss: float) -> str:
        crew = self.work.crew
        return "" if crew is None else f"objective {loss:.3f}, {crew.size} workers"

    def _write(self, recent: list[dict[str, float]]) -> None:
        if not recent:
            return
        means = {k: sum(m[k] for m in recent) / len(recent) for k in recent[0]}
        means["contained"] = float(sum(m["contained"] for m in recent))
        line = {"step": self.iteration, **means, "seconds": round(self.clock.seconds(), 3)}
        self.log.write(line)

    def _save(self) -> None:
        extra = {
            "iteration": self.iteration,
            "contained": self.contained,
            "seconds": self.clock.seconds(),
            "files": self.log.lengths(),
            "data": self.data,
            **self.work.described(self.lost_before),
        }
        tensors = {name: t.detach().cpu().numpy() for name, t in self.search.state().items()}
        write_tensors(self.out / CHECKPOINT, tensors, extra | {"kind": _KIND})

    def _restore(self, at: Path) -> dict[str, Any]:
        extra, tensors = read_tensors(at, "checkpoint")
        if extra.get("kind") != _KIND:
            raise RunError(
                f"checkpoint {at}: is not a checkpoint of an outer loop; resume a folder that "
                "cortex-sim evolve made"
            )
        for name, before in (extra.get("data") or {}).items():
            now = self.data.get(name, name)
            if name not in (before, now) and now != before:  # a missing set is recorded by its name
                raise RunError(
                    f"--resume {self.out}: data {name} has changed since the run was started; restore it, or "
                    "start a new run"
                )
        self.search.restore({name: torch.from_numpy(array) for name, array in tensors.items()})
        self.iteration, self.contained = int(extra["iteration"]), int(extra["contained"])
        self.clock.before = float(extra["seconds"])
        self.lost_before = int(extra.get("workers_lost", 0))
        return extra
