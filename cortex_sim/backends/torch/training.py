"""Training a model: batches in a fixed order, any torch optimiser and schedule, one loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.credit_in_steps import reach_remarks
from cortex_sim.backends.torch.modes import only_looking
from cortex_sim.backends.torch.optimising import (
    Optimiser,
    Setting,
    make_optimiser,
    make_schedule,
    schedule_remarks,
)
from cortex_sim.backends.torch.showing import InMemory, as_source, batch_size_for, batches, shown
from cortex_sim.backends.torch.timed import rows
from cortex_sim.checks import require_count
from cortex_sim.errors import CortexSimError, DataError, RunError
from cortex_sim.uncredited import uncredited_remarks

__all__ = ["Diverged", "Optimiser", "Setting", "Trainer", "evaluate", "has_classes"]
__all__ += ["batches", "make_optimiser", "make_schedule"]

_log = logging.getLogger(__name__)


class Diverged(RunError):
    """The objective became infinite or NaN; a smaller rate or a regulariser may help."""

    @classmethod
    def at(cls, trainer: Trainer, what: str) -> Diverged:
        """An error with the position and learning rate of a training run."""
        rate = f"the learning rate is {trainer.rate:.3g}"
        way_out = "" if ";" in what else "; try a lower one or an orthogonality regulariser"
        return cls(f"training diverged at step {trainer.step}, {rate}: {what}{way_out}")


@dataclass
class Trainer:
    """One training run: its state, and the next step.

    Parameters
    ----------
    model : Core
    x : Tensor, Presentations or Source
        Stimuli (presentation, *shape), by source where there are several, or what yields them with labels.
    y : Tensor or None
        Labels or target rates; None with a source.
    epochs, batch_size : int
        A batch is split evenly over ranks. A size larger than the data is reduced.
    optimiser, schedule : str or dict
        See `make_optimiser` and `make_schedule`.
    """

    model: Core
    x: Any
    y: Any
    epochs: int
    batch_size: int
    optimiser_setting: Optimiser | None = "Adam"
    schedule_setting: Setting | None = None
    step: int = 0
    losses: list[float] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_count("training", epochs=self.epochs, batch_size=self.batch_size)
        self.source = as_source(self.x, self.y)
        self.checked = isinstance(self.source, InMemory)
        if self.checked:  # once, so that no step checks values again
            x, y = self.source.x, self.source.y
            y = y if self.model.net.objective_function is None else self.model.target_tensor(y)
            if isinstance(y, Tensor) and len(y) and not len(rows(y, self.model.unrolled)):
                raise DataError(
                    f"training: every time bin of every target is NaN, so {self.model.top} has no target at "
                    "all; give target rates in at least one time bin"
                )
            self.source = InMemory(self.model.presentations(x), y)
        self.rank, self.ranks = distributed.place()
        self.batch_size, said = batch_size_for(len(self.source), self.batch_size, self.ranks)
        if self.batch_size % self.ranks:
            raise RunError(
                f"training: batch size {self.batch_size} cannot be split evenly over {self.ranks} ranks"
            )
        self.first_epoch = self.model.epochs_done
        self.optimiser = make_optimiser(self.model, self.optimiser_setting, self.total_steps)
        self.schedule = make_schedule(self.optimiser, self.schedule_setting, self.total_steps)
        net = self.model.net
        scheduled = schedule_remarks(self.schedule, self.total_steps)
        y = self.source.y if self.checked else None
        missing = [*uncredited_remarks(net), *reach_remarks(net, self.model.unrolled, y)]
        for remark in [*said, *scheduled, *missing]:
            self.remark(remark)
        self.parallel = distributed.wrap(self.model)

    def remark(self, said: str) -> None:
        """Warn in the log, once, and keep it for the summary."""
        if said not in self.remarks:
            self.remarks.append(said)
            if self.rank == 0:
                _log.warning("%s", said)

    @property
    def presentations(self) -> int:
        """Presentations in one epoch."""
        return len(self.source) - len(self.source) % self.ranks

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one epoch; the last may have fewer presentations than the others."""
        return -(-self.presentations // self.batch_size)

    @property
    def total_steps(self) -> int:
        """Updates in the whole run."""
        return self.epochs * self.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def rate(self) -> float:
        """Learning rate of the next update."""
        return float(self.optimiser.param_groups[0]["lr"])

    def train_epoch(self, after_step: Callable[[], None] | None = None) -> float:
        """Continue to the end of the present epoch; mean objective of its presentations before each update.

        Raises
        ------
        Diverged
            If the objective is not finite; the model is left as it was after that update.
        """
        self.model.train()
        done = self.step % self.steps_per_epoch
        self.losses = self.losses[:done]
        epoch = self.first_epoch + self.epoch
        order = batches(self.model.seed, epoch, len(self.source), self.batch_size)
        for number, index in enumerate(order):
            shared = len(index) - len(index) % self.ranks  # every rank takes equally many
            if number < done or not shared:
                continue
            self.update(torch.from_numpy(index[:shared][self.rank :: self.ranks]))
            if after_step is not None:
                after_step()
        self.require_inverses()
        self.model.epochs_done = epoch + 1
        return self._mean_loss()

    def _mean_loss(self) -> float:
        """Mean over presentations: the last batch may hold fewer."""
        if not self.losses:
            return float("nan")
        whole = [self.batch_size] * self.steps_per_epoch
        whole[-1] = self.presentations - self.batch_size * (self.steps_per_epoch - 1)
        return float(np.average(self.losses, weights=whole[-len(self.losses) :]))

    def update(self, index: Tensor) -> None:
        """One update from the presentations at ``index``."""
        epoch = self.first_epoch + self.epoch
        pending = self.model.feedback.pending()
        try:
            total = self.parallel(*shown(self.source, index.numpy(), epoch), checked=self.checked)
        except CortexSimError:
            # The other ranks wait for this one's numbers.
            distributed.means(torch.full((1 + len(pending),), float("nan"), device=self.model.device))
            raise
        # The only transfer from the device; an objective that is not finite on one rank is so on all.
        loss, *failed = distributed.means(torch.cat([self.model.last_objective.reshape(1), pending]))
        self._require_inverses(failed)
        if not np.isfinite(loss):
            raise Diverged.at(self, f"the objective is {loss}")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        with self.model.feedback.deferring():  # whether inverses exist is read with the next objective
            self.optimiser.step()
        if self.schedule is not None and self.step + 1 < self.total_steps:
            self.schedule.step()
        self.step += 1
        self.losses.append(loss)

    def require_inverses(self) -> None:
        """Raise `Diverged` if weights can no longer be inverted, before they are saved."""
        self._require_inverses(self.model.feedback.pending().tolist())

    def _require_inverses(self, failed: list[float]) -> None:
        try:
            self.model.feedback.require(failed)
        except RunError as exception:
            raise Diverged.at(self, str(exception)) from None


@torch.no_grad()
@only_looking
def evaluate(model: Core, x: Any, y: Any = None, batch: int = 1000) -> tuple[float | None, float]:
    """Share of presentations whose most active top unit is the label, and the mean objective.

    The share is None where there are no classes: target rates other than one-hot ones. Of an unrolled network
    it is that of time bins with a target.

    Parameters
    ----------
    model : Core
    x, y : Tensor, x by source where there are several; or a `Source` in place of both
    batch : int, default 1000
        Presentations settled at once.
    """
    source = as_source(x if y is None else model.presentations(x), y)
    right, judged, total, classes = 0, 0, 0.0, True
    for start in range(0, len(source), batch):
        part, goal = shown(source, np.arange(start, min(start + batch, len(source))), model.epochs_done)
        part = model.presentations(part)
        if goal is None and model.net.objective_function is None:  # neither labels nor an objective
            return None, 0.0
        goal = model.target_tensor(goal)
        _, rates = model.settle(part, credit=False)
        if model.net.objective_function is not None:
            total += float(model.objective_value(rates[model.top], goal)) * len(part)
        found = model.judged(rates[model.top], goal)
        classes, judged = classes and has_classes(found.y), judged + len(found.y)
        label = found.y if found.y.dim() == 1 else found.y.argmax(1)
        right += int((found.r.argmax(1) == label).sum())
    return right / judged if classes and judged else None, total / len(source)


def has_classes(y: Tensor) -> bool:
    """Whether these are labels or one-hot target rates."""
    if y.dim() == 1:
        return True
    targets = y.flatten(1)
    one_hot = ((targets == 0) | (targets == 1)).all() and (targets.sum(1) == 1).all()
    return targets.shape[1] > 1 and bool(one_hot)
