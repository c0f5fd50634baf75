"""The training loop of a model: batches in a fixed order, any torch optimiser and schedule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch import distributed, execution
from cortex_sim.backends.torch.averaging import Average
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.credit_in_steps import reach_remarks
from cortex_sim.backends.torch.late_reading import LateReading
from cortex_sim.backends.torch.loading import Ahead, naming_lost_workers
from cortex_sim.backends.torch.measuring import evaluate, has_classes
from cortex_sim.backends.torch.memory import Forecast, forecast, saying_what_is_smaller
from cortex_sim.backends.torch.optimising import (
    Optimiser,
    Setting,
    make_optimiser,
    make_schedule,
    schedule_remarks,
)
from cortex_sim.backends.torch.showing import (
    InMemory,
    as_source,
    batch_size_for,
    batches,
    shown,
    update_size_for,
)
from cortex_sim.backends.torch.slow import normalisers, require_several
from cortex_sim.backends.torch.timed import rows
from cortex_sim.checks import require_count
from cortex_sim.errors import CortexSimError, DataError, RunError
from cortex_sim.uncredited import uncredited_remarks
from cortex_sim.updating import Updating

__all__ = ["Diverged", "Optimiser", "Setting", "Trainer", "evaluate", "has_classes"]
__all__ += ["batches", "make_optimiser", "make_schedule"]

_log = logging.getLogger(__name__)


class Diverged(RunError):
    """The objective became infinite or NaN; a lower learning rate or a regulariser may help."""

    @classmethod
    def at(cls, trainer: Trainer, what: str) -> Diverged:
        """The exception at the present update and learning rate of a training run."""
        return cls.after(trainer.step, trainer.rate, what)

    @classmethod
    def after(cls, step: int, rate: float, what: str) -> Diverged:
        """The exception after a number of updates; ``rate`` is the learning rate of the next."""
        way_out = "" if ";" in what else "; try a lower rate, or an orthogonality regulariser"
        return cls(f"training diverged at step {step}, with learning rate {rate:.3g}: {what}{way_out}")


@dataclass
class Trainer:
    """One training run: its state, and the next step.

    Parameters
    ----------
    model : Core
    x : Tensor, Presentations or Source
        Stimuli (presentation, *shape), by source if there are several, or a source of stimuli with labels.
    y : Tensor or None
        Labels or target rates; None with a source.
    epochs, batch_size : int
        A batch is split evenly over ranks. A size larger than the data is reduced.
    optimiser, schedule : str or dict
        See `make_optimiser` and `make_schedule`.
    updating : Updating
        How many batches make an update, and how the update is modified.
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
    updating: Updating = Updating()

    def __post_init__(self) -> None:
        require_count("training", epochs=self.epochs, batch_size=self.batch_size)
        self.source = as_source(self.x, self.y)
        self.checked = isinstance(self.source, InMemory)
        if self.checked:  # values are checked once here, not at every step
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
                f"training: batch size {self.batch_size} cannot be split evenly over {self.ranks} ranks; use "
                f"a multiple of {self.ranks}"
            )
        self.update_size, more = update_size_for(
            self.presentations, self.batch_size, self.updating.accumulate
        )
        smallest = self.presentations % self.batch_size or self.batch_size
        require_several(self.model.populations, smallest // self.ranks)
        self.first_epoch = self.model.epochs_done
        self.optimiser = make_optimiser(self.model, self.optimiser_setting, self.total_steps)
        if self.ranks > 1:
            self.model.divide()
        self.schedule = make_schedule(self.optimiser, self.schedule_setting, self.total_steps)
        net = self.model.net
        scheduled = schedule_remarks(self.schedule, self.total_steps)
        y = self.source.y if self.checked else None
        missing = [*uncredited_remarks(net), *reach_remarks(net, self.model.unrolled, y)]
        for remark in [*said, *more, *scheduled, *missing]:
            self.remark(remark)
        decay = self.updating.ema_decay
        self.average = None if decay is None else Average(self.model, decay)
        self.readings = LateReading(self.model.device)
        self.parallel = distributed.wrap(self.model)
        if self.updating.channels_last:
            execution.require_channels(self.model.net)
        if self.updating.compile:
            self.parallel = execution.compiled(self.parallel)

    def remark(self, said: str) -> None:
        """Log a warning, once, and keep it for the summary."""
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
        return -(-self.presentations // self.update_size)

    @property
    def total_steps(self) -> int:
        """Updates in the whole run."""
        return self.epochs * self.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Number of complete epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def rate(self) -> float:
        """Learning rate of the next update."""
        return float(self.optimiser.param_groups[0]["lr"])

    def train_epoch(self, after_step: Callable[[], None] | None = None) -> float:
        """Train to the end of the present epoch; returns the mean objective, each batch's before its update.

        Raises
        ------
        Diverged
            If the objective is not finite; the model is left in its state after that update. On an
            accelerator this is detected one update later.
        """
        self.model.train()
        done = self.step % self.steps_per_epoch
        self.losses = self.losses[:done]
        epoch = self.first_epoch + self.epoch
        self._look_ahead()
        with naming_lost_workers():
            for index in self._order(epoch, done):
                self.update(index)
                if after_step is not None:
                    after_step()
        self.require_inverses()
        self.model.epochs_done = epoch + 1
        return self.mean_loss()

    def _order(self, epoch: int, done: int = 0) -> Iterator[Tensor]:
        """Presentations of this rank in each update of an epoch, after the first ``done``."""
        order = batches(self.model.seed, epoch, len(self.source), self.update_size)
        for number, index in enumerate(order):
            shared = len(index) - len(index) % self.ranks  # every rank takes equally many
            if number >= done and shared:
                yield torch.from_numpy(index[:shared][self.rank :: self.ranks])

    def _batches(self, index: Tensor) -> tuple[Tensor, ...]:
        """The batches of one update."""
        return index.split(self.batch_size // self.ranks)

    def _look_ahead(self) -> None:
        """Have workers prepare the coming batches, unless they do already."""
        if not isinstance(self.source, Ahead):
            return
        first = next(self._to_come(), None)
        if first is not None and not self.source.expects(*first):
            self.source.expect(self._to_come(), self.batch_size // self.ranks)

    def _to_come(self) -> Iterator[tuple[np.ndarray, int]]:
        done = self.step % self.steps_per_epoch
        for number in range(self.epoch, self.epochs):
            epoch = self.first_epoch + number
            for index in self._order(epoch, done):
                yield from ((part.numpy(), epoch) for part in self._batches(index))
            done = 0

    def mean_loss(self) -> float:
        """Mean objective over the epoch's presentations so far, of which the last update may have fewer."""
        self.readings.pass_on()
        if not self.losses:
            return float("nan")
        whole = [self.update_size] * self.steps_per_epoch
        whole[-1] = self.presentations - self.update_size * (self.steps_per_epoch - 1)
        done = (self.step - 1) % self.steps_per_epoch + 1
        return float(np.average(self.losses, weights=whole[done - len(self.losses) : done]))

    def forecast(self) -> Forecast:
        """Memory that training will take."""
        return forecast(self.model, self.source, self.batch_size // self.ranks, self.optimiser)

    def update(self, index: Tensor) -> None:
        """One update from the presentations at ``index``, batch by batch.

        Raises
        ------
        OutOfMemory
            If memory runs out; the message says what would take less.
        """
        said = saying_what_is_smaller(self.model.net.name, self.batch_size, self.step)
        with (
            distributed.naming_lost_ranks(),
            said,
            execution.saying_what_failed(self.updating.compile, self.model.net.name),
        ):
            self._update(index)

    def _update(self, index: Tensor) -> None:
        epoch = self.first_epoch + self.epoch
        parts = self._batches(index)
        objective: Tensor | float = 0.0
        pending = self.model.feedback.pending()
        for number, part in enumerate(parts):
            with self._gradients_averaged(number == len(parts) - 1):
                share = len(part) / len(index)
                try:
                    x, y = shown(self.source, part.numpy(), epoch)
                    x = execution.channels_last(x) if self.updating.channels_last else x
                    total = self.parallel(x, y, checked=self.checked)
                except CortexSimError:
                    if not self._exchanges():  # the other ranks wait for this one's numbers
                        nothing = torch.full((1 + len(pending),), torch.nan, device=self.model.device)
                        distributed.averaged(nothing)
                    raise
                objective = objective + share * self.model.last_objective.reshape(1)
                if number == len(parts) - 1:
                    # The mean over ranks: if the objective is not finite on one rank, it is not on any.
                    assert isinstance(objective, Tensor)
                    self._read(torch.cat([objective, pending]))
                if number == 0:
                    self.optimiser.zero_grad(set_to_none=True)
                (total if share == 1 else share * total).backward()
        if self.updating.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._learning(), self.updating.clip_norm)
        with self.model.feedback.deferring():  # whether inverses exist is read with the next objective
            self.optimiser.step()
        if self.schedule is not None and self.step + 1 < self.total_steps:
            self.schedule.step()
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)

    def _exchanges(self) -> bool:
        """Whether ranks exchange values in the forward pass, and so notice there that one has ended."""
        model = self.model
        running = any(one.running for one in normalisers(model.populations).values())
        return running or bool(model.adapting or len(model.local.state) or len(model.presynaptic.of))

    def _gradients_averaged(self, last: bool) -> AbstractContextManager[Any]:
        """Context of one batch: ranks exchange gradients only after the last batch of an update."""
        return nullcontext() if last or self.ranks == 1 else self.parallel.no_sync()

    def _learning(self) -> list[Tensor]:
        """All parameters of the optimiser."""
        return [p for group in self.optimiser.param_groups for p in group["params"]]

    def _read(self, values: Tensor) -> None:
        """Read the objective, and whether inverses exist: the only transfer from the device."""
        complaints, step, rate = self.model.feedback.taken(), self.step, self.rate

        def receive(found: list[float]) -> None:
            loss, *failed = found
            self._require_inverses(failed, complaints)
            if not np.isfinite(loss):
                raise Diverged.after(step, rate, f"the objective is {loss}")
            self.losses.append(loss)

        self.readings.send(values, receive)

    def require_inverses(self) -> None:
        """Raise `Diverged` if the objective or inverses are no longer finite, before weights are saved."""
        self.readings.pass_on()
        failed = self.model.feedback.pending().tolist()
        self._require_inverses(failed, self.model.feedback.taken())

    def _require_inverses(self, failed: list[float], complaints: list[str]) -> None:
        try:
            self.model.feedback.require(failed, complaints)
        except RunError as exception:
            raise Diverged.at(self, str(exception)) from None
