"""A training run in its directory: started, interrupted, resumed, finished."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cortex_sim import yaml_text
from cortex_sim.backends import torch as backend
from cortex_sim.backends.torch import checkpoint, distributed, noticing
from cortex_sim.backends.torch.memory import require_room
from cortex_sim.backends.torch.training import Diverged, Trainer
from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.preprocessing import by_source
from cortex_sim.runs import directory
from cortex_sim.runs.directory import CHECKPOINT, LOCK, METRICS, RUN, stands_at
from cortex_sim.runs.environment import machine, warn_if_another
from cortex_sim.runs.files import write_text
from cortex_sim.runs.log import RunLog
from cortex_sim.state import State, as_state
from cortex_sim.state import load as load_state
from cortex_sim.training.choosing import has_stopped, measure_of
from cortex_sim.training.evaluating import Evaluation, final
from cortex_sim.training.keeping import keep
from cortex_sim.training.naming import rule_label, settings_remarks
from cortex_sim.training.presented import Presented, load_data
from cortex_sim.training.settings import Settings, from_file, is_code, network, read_yaml
from cortex_sim.training.starting import fitted, other_classes

__all__ = ["CHECKPOINT", "LOCK", "METRICS", "RUN", "Run", "load_data", "saved_settings", "stands_at", "train"]

_log = logging.getLogger(__name__)

_FREE_ON_RESUME = ("threads", "device", "workers")
_CLOCK_SECONDS = 300.0


class _Stopped(Exception):
    """Training ends early, within an epoch."""


class Run:
    """One run directory and the training that fills it.

    Parameters
    ----------
    settings : Settings
    out : Path
        A new directory; if it already exists, `start` refuses.
    """

    def __init__(self, settings: Settings, out: Path) -> None:
        self.settings, self.out = settings, out
        self.rank, _ = distributed.place()
        self.seconds = 0.0

    def start(self) -> dict[str, Any]:
        """Train from the beginning; returns the final metrics."""
        return self._run(resume=False)

    def resume(self) -> dict[str, Any]:
        """Continue from the last checkpoint; a finished run only returns its metrics again."""
        metrics = directory.finished(self.out)
        return self._run(resume=True) if metrics is None else metrics

    # -- preparing --------------------------------------------------------------------------------

    def _prepare(self, net: Network, saved: State | None) -> Trainer:
        """Build the trainer, with all checks that may refuse the run, before anything is written."""
        settings = self.settings
        torch.set_num_threads(settings.threads)
        presented = Presented(settings, net)
        self.data, images = presented.digest(), presented.images
        self.classes = list(images.classes)
        fresh = saved is None and settings.start is not None
        start, self.said = None, None
        if fresh:
            start, redrawn = fitted(as_state(settings.start), net, settings.seed)
            moved = other_classes(Path(settings.start or ""), images.name, self.classes)
            self.said = redrawn or moved
        before = saved or start
        kept = {} if before is None else by_source(net, before.preprocessing)
        shown = presented.preprocessing(kept.get(net.sources[0]))
        units = net.populations[net.objective_at].size if net.objective_at else images.n_classes
        if images.n_classes > units:
            raise RunError(
                f"data {images.name} has {images.n_classes} classes, but population {net.objective_at} has "
                f"{units} units; use a model with at least {images.n_classes}"
            )
        model = backend.build(
            net,
            settings.seed,
            precision=settings.precision,
            device=settings.device,
            settling=_settling(settings.settling),
        )
        if start is not None:
            model.load_state(start)
        model.preprocessing = shown
        self.evaluation = Evaluation(images, shown, model, settings.workers)
        self.source = presented.training(shown)
        x, y = self.evaluation.train if self.source is None else (self.source, None)
        trainer = Trainer(
            model,
            x,
            y,
            settings.epochs,
            settings.batch_size,
            settings.optimiser,
            settings.schedule,
            updating=settings.updating,
        )
        for remark in [*settings_remarks(settings, net), *([self.said] if self.said else [])]:
            trainer.remark(remark)
        planned = trainer.forecast()
        _log.info("training takes %s", planned)
        require_room(planned, model.device, net.name)
        return trainer

    def _run(self, resume: bool) -> dict[str, Any]:
        at = self.out / CHECKPOINT
        resume = resume and at.is_file()
        # The checkpoint's network is data: resuming never runs a file that run.yaml names.
        saved = load_state(at) if resume else None
        net = network(self.settings) if saved is None else saved.network
        if saved is not None:
            self._require_own(saved, at)
        trainer = self._prepare(net, saved)
        with self._alone():
            return self._go_on(trainer, resume)

    def _require_own(self, saved: State, at: Path) -> None:
        """Raise if the checkpoint holds another network than run.yaml declares; user code is not run."""
        if is_code(self.settings.model) or self.settings.credit is not None:
            return
        declared = network(self.settings)
        if declared != saved.network:
            raise RunError(
                f"checkpoint {at}: holds network {saved.network.name}, which is not what {RUN} declares "
                f"({rule_label(self.settings.rule, declared)} on {declared.name}); put this run's own "
                "checkpoint back, or start a new run"
            )

    def _require_same_data(self, before: str | None) -> None:
        """Raise, on every rank, if ranks have different data or the run was started with other data."""
        found = set(distributed.merged({str(self.rank): self.data}).values())
        if len(found) > 1:
            raise RunError(
                f"data {self.settings.data}: is not the same on all ranks; give every machine the same data"
            )
        if before not in (None, *found):  # None in checkpoints of earlier versions
            raise RunError(
                f"--resume {self.out}: data {self.settings.data} has changed since the run was started; "
                "restore it, or start a new run"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of the run directory, so that no other process trains in it."""
        with ExitStack() as stack:
            lock = directory.held(self.out, "another process is training in it")
            distributed.on_first(lambda: stack.enter_context(lock))
            yield

    def _go_on(self, trainer: Trainer, resume: bool) -> dict[str, Any]:
        at = self.out / CHECKPOINT
        self.log = RunLog(self.out, active=self.rank == 0)
        if resume:
            extra = checkpoint.restore(trainer, at)
            self._require_same_data(extra.get("data"))
            self.said = extra.get("start")
            if self.said:
                trainer.remark(self.said)
            self.seconds = float(extra["seconds"])
            self.evaluation.known_unreadable(extra.get("unreadable") or {})
            distributed.on_first(lambda: self._open(extra["files"]))
        else:
            self._require_same_data(None)
            distributed.on_first(self._begin)
            self._evaluate(trainer, train_loss=None)
            self._save(trainer)
        return self._train(trainer)

    def _begin(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        content = self.settings.as_dict() | {"environment": machine(self.settings.threads)}
        write_text(self.out / RUN, yaml_text.write(content))
        self._open({})

    def _open(self, lengths: dict[str, int]) -> None:
        self.log.cut_back(lengths)
        self.log.open()

    # -- training ---------------------------------------------------------------------------------

    def _train(self, trainer: Trainer) -> dict[str, Any]:
        self._began = self._saved = time.monotonic()
        self._done_before = self.seconds
        checkpoints, evaluations = self.settings.checkpoint_every, self.settings.evaluate_every

        def after_step() -> None:
            self.log.progress(trainer.step, trainer.total_steps, (trainer.losses or [math.nan])[-1])
            within_epoch = trainer.step % trainer.steps_per_epoch
            if evaluations and within_epoch and trainer.step % evaluations == 0:
                trainer.require_inverses()
                self._evaluate(trainer, trainer.mean_loss())
                if self._has_stopped():
                    raise _Stopped
            if not within_epoch:
                return
            if checkpoints and trainer.step % checkpoints == 0:
                self._save(trainer)
            elif self.rank == 0 and time.monotonic() - self._saved > _CLOCK_SECONDS:
                self._write_checkpoint(trainer)  # without the other ranks, whose clocks differ

        with suppress(_Stopped), self._saying_how_to_continue():
            while trainer.step < trainer.total_steps and not self._has_stopped():
                loss = trainer.train_epoch(after_step)
                self._evaluate(trainer, loss)
                self._save(trainer)
        if trainer.step % trainer.steps_per_epoch:
            self._save(trainer)
        return self._finish(trainer)

    @contextmanager
    def _saying_how_to_continue(self) -> Iterator[None]:
        try:
            yield
        except distributed.Lost as exception:
            raise distributed.Lost(
                f"{exception}; the last checkpoint in {self.out} is whole, continue with --resume"
            ) from exception

    def _clock(self) -> float:
        if hasattr(self, "_began"):
            self.seconds = self._done_before + time.monotonic() - self._began
        return self.seconds

    def _evaluate(self, trainer: Trainer, train_loss: float | None) -> None:
        """Write one line of metrics, with the mean objective since the epoch began, ``train_loss``."""
        line = self.evaluation.line(trainer, train_loss, self._clock)
        distributed.on_first(lambda: self._write_line(trainer, line))

    def _write_line(self, trainer: Trainer, line: dict[str, Any]) -> None:
        part = self.evaluation.part
        self.log.write(line)
        loss = line[f"{part}_loss"]
        if not math.isfinite(loss):
            raise Diverged.at(trainer, f"the objective on the {part} set is {loss}")
        self._notice(trainer, over=False)
        keep(self.settings, self.out, trainer, self.log.lines(), self._measure())

    def _measure(self) -> str:
        """Name of the measure by which evaluations are compared."""
        return measure_of(self.log.lines(), self.settings.best_by, self.evaluation.part)

    def _has_stopped(self) -> bool:
        """Whether to end the run early; the same on every rank."""
        patience = self.settings.early_stopping
        if patience is None:
            return False
        return bool(distributed.from_first(lambda: has_stopped(self.log.lines(), self._measure(), patience)))

    def _notice(self, trainer: Trainer, over: bool) -> None:
        """Warn if learning went wrong; reads all lines of metrics, so that a resumed run warns alike."""
        if trainer.model.net.objective_function is None:
            return
        curve, part = self.log.lines(), self.evaluation.part
        said = [noticing.growth(curve, part)]
        if over and curve:
            y = self.evaluation.labels
            said.append(noticing.learned(curve, part, noticing.chance_of(y), len(y)))
        for remark in filter(None, said):
            trainer.remark(remark)

    def _save(self, trainer: Trainer) -> None:
        trainer.require_inverses()
        self.evaluation.share_unreadable()
        distributed.on_first(lambda: self._write_checkpoint(trainer))

    def _write_checkpoint(self, trainer: Trainer) -> None:
        extra = {"seconds": self._clock(), "files": self.log.lengths(), "data": self.data}
        extra["classes"] = self.classes
        if self.evaluation.unreadable:
            extra["unreadable"] = self.evaluation.unreadable
        if self.said:  # for a resumed run, which repeats it without reading the start again
            extra["start"] = self.said
        checkpoint.save(self.out / CHECKPOINT, trainer, extra)
        self._saved = time.monotonic()

    def _finish(self, trainer: Trainer) -> dict[str, Any]:
        self._notice(trainer, over=True)
        metrics = final(self.settings, trainer, self.evaluation, self.log.lines(), self._measure())
        self.evaluation.share_unreadable()
        if self.evaluation.unreadable:
            trainer.remark(self.evaluation.unreadable_said())
            metrics["warnings"] = trainer.remarks
        metrics["seconds"] = round(self._clock(), 3)
        label = rule_label(self.settings.rule, trainer.model.net)
        distributed.on_first(lambda: self._write_end(metrics, label))
        self.log.close()
        return metrics

    def _write_end(self, metrics: dict[str, Any], learned_by: str) -> None:
        from cortex_sim.viz.curves import learning_curves

        learning_curves(self.log.lines(), self.out / "learning_curves.png", learned_by)
        write_text(self.out / METRICS, json.dumps(metrics, indent=1) + "\n")


def _settling(given: dict[str, Any] | None) -> backend.Settling | backend.Unrolled | None:
    if given is None:
        return None
    kind = {"equilibrium": backend.Settling, "unrolled": backend.Unrolled}[given["name"]]
    chosen = {name: value for name, value in given.items() if name != "name"}
    if kind is backend.Unrolled and "steps" not in chosen:
        raise RunError("setting settling: unrolled needs steps, such as settling.steps=20")
    return kind(**chosen)


def train(settings: Settings, out: Path, resume: bool = False) -> dict[str, Any]:
    """Train with these settings into directory ``out``; returns the content of ``metrics.json``.

    Raises
    ------
    RunError
        If ``out`` already exists or, with ``resume``, holds no run or one with other settings.
    """
    if resume:
        settings = _resumed(settings, out)
    else:
        distributed.on_first(lambda: directory.require_new(out))
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
    recorded = read_yaml(out / RUN).get("environment")
    warn_if_another(recorded, settings.threads)
    return replace(saved, **{name: getattr(settings, name) for name in _FREE_ON_RESUME})


def saved_settings(out: Path) -> Settings:
    """Settings of the run in ``out``.

    Raises
    ------
    RunError
        If there is no run in it.
    """
    return Settings(**from_file(directory.require_run(out, "train")))
