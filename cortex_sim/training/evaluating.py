"""Measurements of a training run at an evaluation: one line of metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.diagnostics import diagnose
from cortex_sim.backends.torch.loading import Ahead
from cortex_sim.backends.torch.measuring import Scores
from cortex_sim.backends.torch.measuring import measure as scores_of
from cortex_sim.backends.torch.memory import evaluated_at_once
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.data.images import ImageSet
from cortex_sim.data.streamed.image_set import StreamedSet
from cortex_sim.preprocessing import Preprocessing
from cortex_sim.training.choosing import Lines, best
from cortex_sim.training.naming import regularisers_of
from cortex_sim.training.settings import Settings

_HELD = 256  # presentations on which angles, credit norms and dead units are measured
_GLIMPSE = 10_000  # training presentations on which accuracy is followed during a run
_STREAMED = 1000  # the same for pictures on disk, which are decoded each time


class Evaluation:
    """The parts of the data that a run is evaluated on.

    Settings are chosen on held-out training presentations where there are any: the test set stays unseen.

    Attributes
    ----------
    part : str
        "validation" if there is such a part, else "test".
    train, test : pair of Tensor, or of Source and None
        Stimuli and labels of the training part (of 10,000 if they are pictures on disk), and of ``part``.
    labels : Tensor of shape (presentation,)
        Labels of ``part``.
    """

    def __init__(
        self, images: ImageSet | StreamedSet, shown: Preprocessing, model: Core, workers: int = 0
    ) -> None:
        device, few = model.device, evaluated_at_once(model, _HELD)
        self.part = images.parts[1]
        self._record = images.unreadable if isinstance(images, StreamedSet) else None
        self.train: tuple[Any, Any]
        self.test: tuple[Any, Any]
        self._glimpse: tuple[Any, Any]
        if isinstance(images, StreamedSet):
            train, test = images.shown("train", shown), images.shown(self.part, shown)
            self.train = Ahead(train.chosen(_some(len(train), _GLIMPSE)), workers), None
            self._glimpse = Ahead(train.chosen(_some(len(train), _STREAMED)), workers), None
            self.test, self.labels = (Ahead(test, workers), None), torch.as_tensor(test.labels)
            self._held = _tensors(*test.batch(_some(len(test), few)), device)
        else:
            images = images.shown_through(shown)
            self.train = _tensors(images.x_train, images.y_train, device)
            tested = images.part(self.part)
            self.test = _tensors(tested.x, tested.labels, device)
            self._glimpse, self._held = _sample(*self.train, _GLIMPSE), _sample(*self.test, few)
            self.labels = self.test[1].cpu()

    @property
    def unreadable(self) -> dict[str, str]:
        """Pictures that could not be read, with the reasons."""
        return {} if self._record is None else dict(self._record.reasons)

    def share_unreadable(self) -> None:
        """Exchange between ranks which pictures could not be read; every rank must call this."""
        if self._record is not None:
            self.known_unreadable(distributed.merged(self._record.reasons))

    def known_unreadable(self, found: dict[str, str]) -> None:
        """Add pictures found unreadable earlier or on another rank, which are in the log already."""
        if self._record is not None:
            self._record.reasons.update(found)

    def unreadable_said(self) -> str:
        """Sentence of a summary about unreadable pictures; empty if there are none."""
        return (self._record.sentence() if self._record is not None else None) or ""

    def line(
        self, trainer: Trainer, train_loss: float | None, seconds: Callable[[], float]
    ) -> dict[str, Any]:
        """Position in the run, scores, and on rank 0 diagnostics; all ranks call this and share the work."""
        model = trainer.model
        line: dict[str, Any] = {
            "step": trainer.step,
            "epoch": trainer.epoch
            if trainer.step % trainer.steps_per_epoch == 0
            else round(trainer.step / trainer.steps_per_epoch, 4),
            "rate": trainer.rate,
            "train_loss": train_loss,
            "train_accuracy": scores_of(model, *self._glimpse, divided=True).accuracy,
            **self.scored(scores_of(model, *self.test, divided=True)),
            **self.unseen(),
        }
        if trainer.average is not None:
            averaged = self.scored(scores_of(trainer.average.model, *self.test, divided=True))
            line |= {f"ema_{name}": value for name, value in averaged.items()}
        if trainer.rank == 0:
            line |= diagnose(model, *self._held)
        return {**line, "seconds": round(seconds(), 3)}

    def scored(self, scores: Scores) -> dict[str, float | None]:
        """Scores by the names that they have in metrics."""
        found = {f"{self.part}_accuracy": scores.accuracy, f"{self.part}_loss": scores.loss}
        if scores.top5_accuracy is not None:
            found[f"{self.part}_top5_accuracy"] = scores.top5_accuracy
        return found

    def unseen(self) -> dict[str, None]:
        """Test measures, as None, of a run that is evaluated on a validation part; else nothing."""
        return {} if self.part == "test" else {"test_accuracy": None, "test_loss": None}


def _tensors(x: Any, y: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.as_tensor(x, device=device), torch.as_tensor(y, device=device)


def _sample(x: torch.Tensor, y: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same ``count`` presentations in every run; not the first, as files are often sorted by class."""
    index = torch.from_numpy(_some(len(x), count))
    return x[index], y[index]


def _some(total: int, count: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(total)[:count]


def final(
    settings: Settings, trainer: Trainer, evaluation: Evaluation, lines: Lines, measure: str
) -> dict[str, Any]:
    """The result of a run, as in ``metrics.json``; ``seconds`` is still 0."""
    part, last = evaluation.part, lines[-1] if lines else {}
    metrics = {
        "model": settings.model,
        "rule": settings.rule,
        "regulariser": regularisers_of(trainer.model.net),
        f"{part}_accuracy": last.get(f"{part}_accuracy"),
        "train_accuracy": scores_of(trainer.model, *evaluation.train, divided=True).accuracy,
        f"{part}_loss": last.get(f"{part}_loss"),
        **evaluation.unseen(),
        **{n: v for n, v in last.items() if n.startswith("ema_") or n == f"{part}_top5_accuracy"},
        "seconds": 0.0,
        "steps": trainer.step,
        "angle_to_bp_deg": last.get("angle_to_bp_deg"),
        "orthogonality_deviation": last.get("orthogonality_deviation"),
        "warnings": trainer.remarks,
    }
    at = best(lines, measure) if settings.keep_best else None
    if at is not None:
        metrics["best"] = {
            "step": lines[at]["step"],
            "epoch": lines[at]["epoch"],
            measure: lines[at][measure],
        }
    if settings.early_stopping is not None:
        metrics["stopped_early"] = trainer.step < trainer.total_steps
    return metrics
