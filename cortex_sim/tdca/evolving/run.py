"""An outer loop in its run directory: a killed run goes on to the same parameters, bit for bit."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cortex_sim.errors import RunError
from cortex_sim.tdca.evolving.figure import progress_figure
from cortex_sim.tdca.evolving.outcome import check, finite, outcome, write_credit
from cortex_sim.tdca.evolving.problem import problem, whole
from cortex_sim.tdca.evolving.settings import OuterSettings, described, from_file
from cortex_sim.training.log import RunLog
from cortex_sim.training.run import CHECKPOINT, LOCK, METRICS, RUN, machine, stands_at, write_whole

_log = logging.getLogger(__name__)

FIGURE = "progress.png"
_LINE = 10  # outer updates that one line of metrics.jsonl is the mean of
_FIGURE_SECONDS = 30.0


@dataclass
class _Clock:
    """Seconds of a run, over all its sessions."""

    before: float = 0.0
    began: float = 0.0

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began


def evolve(
    settings: OuterSettings, out: Path, data_dir: Path | None = None, resume: bool = False
) -> dict[str, Any]:
    """Run the outer loop into ``out``, test what it found, and return the content of ``metrics.json``.

    Raises
    ------
    RunError, DataError
        If ``out`` holds something (or, with ``resume``, no run), or data needed for training is missing.
    """
    if resume:
        finished = out / METRICS
        if finished.is_file():
            return _read(finished)
    elif stands_at(out):
        raise RunError(f"--out {out}: something stands there; give a new directory, or --resume to go on")
    given, centre = problem(settings, data_dir)
    check(settings, data_dir)
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"{out}: another process is at it; wait for it, or stop it") from None
    try:
        return _Evolution(settings, out, given, centre).go(data_dir)
    finally:
        lock.release()


def _read(finished: Path) -> dict[str, Any]:
    try:
        return json.loads(finished.read_text(encoding="utf-8"))
    except ValueError:
        raise RunError(f"{finished}: damaged; remove it and resume to write it again") from None


def saved_settings(out: Path) -> OuterSettings:
    """Settings of the outer loop in ``out``."""
    if not (out / RUN).is_file():
        raise RunError(f"{out}: no run there (no {RUN}); start one with evolve CONFIG --out {out}")
    return from_file(out / RUN)


class _Evolution:
    """One run directory, locked, and the search that fills it."""

    def __init__(self, settings: OuterSettings, out: Path, given: Any, centre: torch.Tensor) -> None:
        self.settings, self.out, self.given = settings, out, given
        generator = torch.Generator().manual_seed(settings.seed + 1)
        self.search = settings.search().begin(given, centre, settings.iterations, generator)
        self.iteration, self.contained = 0, 0
        self.clock = _Clock()
        self.log = RunLog(out)

    def go(self, data_dir: Path | None) -> dict[str, Any]:
        self._open()
        self._iterate()
        phi = whole(self.given, self.search.centre)
        if not finite(phi):
            raise RunError(f"{self.out}: the outer parameters are no longer finite; lower searcher.rate")
        write_credit(self.settings, phi, self.out)
        searched = self.clock.seconds()

        def told(what: str) -> None:
            self.log.progress(self.settings.iterations, self.settings.iterations, float("nan"), what)

        metrics = {
            "model": self.settings.model,
            "seed": self.settings.seed,
            **described(self.settings),
            "parameters": len(phi),
            "iterations": self.iteration,
            "inner_steps": self.settings.tests().steps,
            **outcome(self.settings, phi, data_dir, told),
            "contained": self.contained,
            "outer_seconds": round(searched, 3),
            "seconds": round(self.clock.seconds(), 3),
        }
        progress_figure(self.log.lines(), self.out / FIGURE, self.settings, metrics)
        write_whole(self.out / METRICS, json.dumps(metrics, indent=1) + "\n")
        self.log.close()
        return metrics

    def _open(self) -> None:
        at = self.out / CHECKPOINT
        if at.is_file():
            extra = self._restore(at)
            recorded = yaml.safe_load((self.out / RUN).read_text(encoding="utf-8")).get("environment")
            if recorded != machine(torch.get_num_threads()):
                _log.warning("resumed in another environment; the result need not be the same bit for bit")
            self.log.cut_back(extra["files"])
            self.log.open()
        else:
            content = self.settings.as_dict() | {"environment": machine(torch.get_num_threads())}
            write_whole(self.out / RUN, yaml.safe_dump(content, sort_keys=False))
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
            self.log.progress(self.iteration, total, measured["loss"])
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

    def _write(self, recent: list[dict[str, float]]) -> None:
        if not recent:
            return
        means = {k: sum(m[k] for m in recent) / len(recent) for k in recent[0]}
        means["contained"] = float(sum(m["contained"] for m in recent))
        line = {"step": self.iteration, **means, "seconds": round(self.clock.seconds(), 3)}
        self.log.write(line)

    def _save(self) -> None:
        tensors = {name: t.contiguous() for name, t in self.search.state().items()}
        extra = {
            "iteration": self.iteration,
            "contained": self.contained,
            "seconds": self.clock.seconds(),
            "files": self.log.lengths(),
        }
        path = self.out / CHECKPOINT
        part = path.with_name(f"{path.name}.part")
        save_file(tensors, str(part), {"cortex_sim_evolve": json.dumps(extra)})
        part.chmod(self.out.stat().st_mode & 0o666)  # safetensors lets only the owner read
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)

    def _restore(self, at: Path) -> dict[str, Any]:
        try:
            with safe_open(str(at), framework="pt") as opened:
                text = (opened.metadata() or {}).get("cortex_sim_evolve")
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise RunError(f"checkpoint {at}: damaged ({error})") from None
        if not text:
            raise RunError(f"checkpoint {at}: not of an outer loop")
        extra = json.loads(text)
        self.search.restore(tensors)
        self.iteration, self.contained = int(extra["iteration"]), int(extra["contained"])
        self.clock.before = float(extra["seconds"])
        return extra
