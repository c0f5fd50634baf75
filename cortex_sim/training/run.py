"""A training run in its directory: started, interrupted, resumed, finished."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

import cortex_sim
from cortex_sim import data, yaml_text
from cortex_sim.backends import torch as backend
from cortex_sim.backends.torch import checkpoint, distributed
from cortex_sim.backends.torch.diagnostics import diagnose
from cortex_sim.backends.torch.training import Diverged, Trainer, evaluate
from cortex_sim.data.images import ImageSet
from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.training.log import RunLog
from cortex_sim.training.settings import Settings, from_file, network

_log = logging.getLogger(__name__)

CHECKPOINT, RUN, METRICS = "checkpoint.safetensors", "run.yaml", "metrics.json"
LOCK = ".lock"
_FREE_ON_RESUME = ("threads", "device")
_CLOCK_SECONDS = 300.0
_HELD = 256  # presentations on which angles, credit norms and dead units are read
_GLIMPSE = 10_000  # training presentations on which accuracy is followed during a run

Progress = Callable[[int, int, str], None]


def environment(settings: Settings) -> dict[str, Any]:
    """What bit-identity depends on, kept in run.yaml."""
    return machine(settings.threads)


def machine(threads: int = 1) -> dict[str, Any]:
    """Versions, threads and instruction set of this process."""
    return {
        "cortex_sim": cortex_sim.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "threads": threads,
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


def load_data(settings: Settings, net: Network) -> ImageSet:
    """Data of a run, fitted to the stimulated population; held-out and standardised as set."""
    population = net.stimulated[0]
    shape = net.populations[population].shape
    images = data.load(settings.data).fit_to(shape, population)
    if settings.hold_out:
        images = images.hold_out(settings.hold_out, seed=0)
    return images.standardised() if settings.standardise else images


class Run:
    """One run directory and the training that fills it.

    Parameters
    ----------
    settings : Settings
    out : Path
        A new directory; where something stands, `start` refuses.
    """

    def __init__(self, settings: Settings, out: Path) -> None:
        self.settings, self.out = settings, out
        self.rank, _ = distributed.place()
        self.seconds = 0.0

    def start(self) -> dict[str, Any]:
        """Train from the beginning; returns the final metrics."""
        return self._run(resume=False)

    def resume(self) -> dict[str, Any]:
        """Go on from the last checkpoint; a finished run only returns its metrics again."""
        finished = self.out / METRICS
        if not finished.is_file():
            return self._run(resume=True)
        try:
            return json.loads(finished.read_text(encoding="utf-8"))
        except ValueError:
            raise RunError(f"{finished}: damaged; remove it and resume to write it again") from None

    # -- preparing --------------------------------------------------------------------------------

    def _prepare(self, net: Network) -> Trainer:
        """Everything that can be refused, before anything is written."""
        settings = self.settings
        torch.set_num_threads(settings.threads)
        images = load_data(settings, net)
        units = net.populations[net.objective_at].size if net.objective_at else images.n_classes
        if images.n_classes > units:
            raise RunError(
                f"data {images.name} has {images.n_classes} classes, but population {net.objective_at} has "
                f"{units} units; use a model with at least {images.n_classes}"
            )
        model = backend.build(net, settings.seed, precision=settings.precision, device=settings.device)
        self.train = _tensors(images.x_train, images.y_train, model.device)
        self.test = _tensors(images.x_test, images.y_test, model.device)
        self.glimpse, self.held = _sample(*self.train, _GLIMPSE), _sample(*self.test, _HELD)
        return Trainer(
            model,
            *self.train,
            settings.epochs,
            settings.batch_size,
            settings.optimiser,
            settings.schedule,
        )

    def _run(self, resume: bool) -> dict[str, Any]:
        at = self.out / CHECKPOINT
        resume = resume and at.is_file()
        # The checkpoint's network is data: going on never runs a file that run.yaml names.
        net = checkpoint.load_network(at) if resume else network(self.settings)
        trainer = self._prepare(net)
        with self._alone():
            return self._go_on(trainer, resume)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the run directory, so that a second process cannot write into it; freed by any death."""
        if self.rank:
            yield
            return
        self.out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.out / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{self.out}: another process is training there; wait for it, or stop it"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _go_on(self, trainer: Trainer, resume: bool) -> dict[str, Any]:
        at = self.out / CHECKPOINT
        self.log = RunLog(self.out, active=self.rank == 0)
        if resume:
            extra = checkpoint.restore(trainer, at)
            self.seconds = float(extra["seconds"])
            self.log.cut_back(extra["files"])
            self.log.open()
        else:
            self._write_run_yaml()
            self.log.cut_back({})
            self.log.open()
            self._evaluate(trainer, train_loss=None)
            self._save(trainer)
        return self._train(trainer)

    def _write_run_yaml(self) -> None:
        if self.rank == 0:
            self.out.mkdir(parents=True, exist_ok=True)
            content = self.settings.as_dict() | {"environment": environment(self.settings)}
            write_whole(self.out / RUN, yaml_text.write(content))

    # -- training ---------------------------------------------------------------------------------

    def _train(self, trainer: Trainer) -> dict[str, Any]:
        self._began = self._saved = time.monotonic()
        self._done_before = self.seconds
        every = self.settings.checkpoint_every

        def after_step() -> None:
            self.log.progress(trainer.step, trainer.total_steps, trainer.losses[-1])
            now = time.monotonic()
            due = now - self._saved > _CLOCK_SECONDS or (every and trainer.step % every == 0)
            if due and trainer.step % trainer.steps_per_epoch:
                self._save(trainer)

        while trainer.step < trainer.total_steps:
            loss = trainer.train_epoch(after_step)
            self._evaluate(trainer, loss)
            self._save(trainer)
        return self._finish(trainer)

    def _clock(self) -> float:
        if hasattr(self, "_began"):
            self.seconds = self._done_before + time.monotonic() - self._began
        return self.seconds

    def _evaluate(self, trainer: Trainer, train_loss: float | None) -> None:
        """One line of metrics; the mean objective over the epoch's updates stands beside the tests."""
        if self.rank:
            return
        model = trainer.model
        train_accuracy, _ = evaluate(model, *self.glimpse)
        test_accuracy, test_loss = evaluate(model, *self.test)
        line = {
            "step": trainer.step,
            "epoch": trainer.epoch,
            "rate": trainer.rate,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "test_accuracy": test_accuracy,
            "test_loss": test_loss,
            **diagnose(model, *self.held),
            "seconds": round(self._clock(), 3),
        }
        self.log.write(line)
        if not math.isfinite(test_loss):
            raise Diverged(trainer, f"the objective on the test set is {test_loss}")

    def _save(self, trainer: Trainer) -> None:
        if self.rank == 0:
            extra = {"seconds": self._clock(), "files": self.log.lengths()}
            checkpoint.save(self.out / CHECKPOINT, trainer, extra)
        self._saved = time.monotonic()

    def _finish(self, trainer: Trainer) -> dict[str, Any]:
        last = self.log.last()
        train_accuracy, _ = evaluate(trainer.model, *self.train)
        metrics = {
            "model": self.settings.model,
            "rule": self.settings.rule,
            "test_accuracy": last.get("test_accuracy"),
            "train_accuracy": train_accuracy,
            "test_loss": last.get("test_loss"),
            "seconds": round(self._clock(), 3),
            "steps": trainer.step,
            "angle_to_bp_deg": last.get("angle_to_bp_deg"),
            "orthogonality_deviation": last.get("orthogonality_deviation"),
        }
        if self.rank == 0:
            from cortex_sim.viz.curves import learning_curves

            learning_curves(self.log.lines(), self.out / "learning_curves.png", self.settings.rule)
            write_whole(self.out / METRICS, json.dumps(metrics, indent=1) + "\n")
        self.log.close()
        return metrics


def _tensors(x: Any, y: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.as_tensor(x, device=device), torch.as_tensor(y, device=device)


def _sample(x: torch.Tensor, y: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same ``count`` presentations in every run; not the first, files are often sorted by class."""
    index = torch.from_numpy(np.random.default_rng(0).permutation(len(x))[:count])
    return x[index], y[index]


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def stands_at(out: Path) -> bool:
    """Whether anything stands there already; an empty folder, or half-written files, do not count."""
    if not out.is_dir():
        return out.exists()
    return any(path.suffix != ".part" and path.name != LOCK for path in out.iterdir())


def train(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """Train as set, into the directory ``out``; returns the content of ``metrics.json``.

    Raises
    ------
    RunError
        If ``out`` holds something already, or with ``resume`` no run, or one with other settings.
    """
    if resume:
        settings = _resumed(settings, out)
    elif stands_at(out) and distributed.place()[0] == 0:
        raise RunError(f"--out {out}: something stands there; give a new directory, or --resume to go on")
    run = Run(settings, out)
    return run.resume() if resume else run.start()


def _resumed(settings: Settings, out: Path) -> Settings:
    saved = saved_settings(out)
    for name, value in settings.as_dict().items():
        if name not in _FREE_ON_RESUME and value != getattr(saved, name):
            raise RunError(
                f"--resume {out}: {name} is {getattr(saved, name)!r} in run.yaml, {value!r} now; "
                "leave it out, or start a new run"
            )
    recorded = yaml_text.read_file(str(out / RUN), out / RUN, RunError).get("environment")
    if recorded != environment(settings):
        _log.warning("resumed in another environment; the result need not be the same bit for bit")
    return replace(saved, threads=settings.threads, device=settings.device)


def saved_settings(out: Path) -> Settings:
    """Settings of the run in ``out``.

    Raises
    ------
    RunError
        If there is no run in it.
    """
    if not (out / RUN).is_file():
        raise RunError(f"{out}: no run there (no {RUN}); start one with train --out {out}")
    return Settings(**from_file(out / RUN))
