"""Training a model: batches in a fixed order, any torch optimiser and schedule, one loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.model import Model
from cortex_sim.checks import listed, look_up, require_count
from cortex_sim.errors import CortexSimError, RunError

Setting = str | Mapping[str, Any]

# Those that need a closure, sparse gradients, functions or other schedules cannot be told in words.
_NOT_OFFERED = {"Optimizer", "LBFGS", "SparseAdam", "LRScheduler", "ReduceLROnPlateau"}
_NOT_OFFERED |= {"LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler"}
_OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    name: cls
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and name not in _NOT_OFFERED
}
_SCHEDULES: dict[str, Any] = {
    name: cls
    for name, cls in vars(torch.optim.lr_scheduler).items()
    if isinstance(cls, type)
    and issubclass(cls, torch.optim.lr_scheduler.LRScheduler)
    and name not in _NOT_OFFERED
    and not name.startswith("_")
}


class Diverged(RunError):
    """The objective became infinite or NaN; a smaller rate or a regulariser may help."""

    def __init__(self, trainer: Trainer, what: str) -> None:
        rate = f"the learning rate is {trainer.rate:.3g}"
        way_out = "" if ";" in what else "; try a lower one or an orthogonality regulariser"
        super().__init__(f"training diverged at step {trainer.step}, {rate}: {what}{way_out}")


def make_optimiser(model: Model, optimiser: Setting) -> torch.optim.Optimizer:
    """Any optimiser of torch.optim by name, with its settings; attached to the model.

    Parameters
    ----------
    optimiser : str or dict
        "Adam", or ``{"name": "SGD", "lr": 0.1, "momentum": 0.9}``.
    """
    settings = _settings(optimiser)
    name = settings.pop("name", "")
    cls: Any = look_up("optimiser", name, _OPTIMISERS, RunError)
    _known_settings(f"optimiser {name}", cls, settings)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise RunError(f"network {model.net.name}: nothing to train, no projection has plasticity")
    try:
        made: torch.optim.Optimizer = cls(parameters, **settings)
    except (TypeError, ValueError, IndexError) as error:
        raise RunError(f"optimiser {name}: {error}") from None
    model.attach(made)
    return made


def make_schedule(optimiser: torch.optim.Optimizer, schedule: Setting | None, steps: int) -> Any:
    """Any schedule of torch.optim.lr_scheduler by name, stepped after every update; or None.

    The number of updates (``total_steps``, ``T_max``) and the peak (``max_lr``) are filled in.
    """
    if schedule is None:
        return None
    settings = _settings(schedule)
    name = settings.pop("name", "")
    cls = look_up("schedule", name, _SCHEDULES, RunError)
    known = _known_settings(f"schedule {name}", cls, settings)
    rate = optimiser.param_groups[0]["lr"]
    for key, value in (
        ("total_steps", steps),
        ("T_max", steps),
        ("total_iters", steps),
        ("max_lr", rate),
    ):
        said_otherwise = key in settings or (key == "total_steps" and "epochs" in settings)
        if key in known and not said_otherwise:
            settings[key] = value
    try:
        made = cls(optimiser, **settings)
    except ZeroDivisionError:  # OneCycleLR where pct_start is just one update
        raise RunError(
            f"schedule {name}: {steps} updates are too few for it; train longer, or schedule=null"
        ) from None
    except (TypeError, ValueError, IndexError) as error:
        raise RunError(f"schedule {name}: {error}") from None
    if getattr(made, "total_steps", steps) < steps:
        raise RunError(
            f"schedule {name}: ends after {made.total_steps} updates, the run has {steps}; "
            "leave its length out, it is filled in"
        )
    return made


def _settings(given: Setting) -> dict[str, Any]:
    return {"name": given} if isinstance(given, str) else dict(given)


def _known_settings(owner: str, cls: Any, settings: Mapping[str, Any]) -> set[str]:
    known = set(inspect.signature(cls).parameters) - {"self", "params", "optimizer"}
    for setting in settings:
        if setting not in known:
            raise RunError(f"{owner}: unknown setting {setting!r}; known: {listed(known)}")
    return known


def batches(seed: int, epoch: int, count: int, size: int) -> Iterator[np.ndarray]:
    """Indices of each batch of an epoch: a pure function of seed and epoch; a last part-batch is left out."""
    order = np.random.default_rng([seed, 1 + epoch]).permutation(count)
    for start in range(0, count - size + 1, size):
        yield order[start : start + size]


@dataclass
class Trainer:
    """One training run: where it stands, and the step from there.

    Parameters
    ----------
    model : Model
    x, y : Tensor
        Stimuli (presentation, *shape) and labels or target rates.
    epochs, batch_size : int
        A batch is split evenly over ranks where there are several.
    optimiser, schedule : str or dict
        See `make_optimiser` and `make_schedule`.
    """

    model: Model
    x: Tensor
    y: Tensor
    epochs: int
    batch_size: int
    optimiser_setting: Setting = "Adam"
    schedule_setting: Setting | None = None
    step: int = 0
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_count("training", epochs=self.epochs, batch_size=self.batch_size)
        if len(self.x) < self.batch_size:
            raise RunError(
                f"training: batch size {self.batch_size} exceeds the {len(self.x)} training presentations; "
                "give a smaller one"
            )
        self.rank, self.ranks = distributed.place()
        if self.batch_size % self.ranks:
            raise RunError(
                f"training: batch size {self.batch_size} cannot be split evenly over {self.ranks} ranks"
            )
        self.first_epoch = self.model.epochs_done
        self.optimiser = make_optimiser(self.model, self.optimiser_setting)
        self.schedule = make_schedule(self.optimiser, self.schedule_setting, self.total_steps)
        self.parallel = distributed.wrap(self.model)

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one epoch."""
        return len(self.x) // self.batch_size

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
        """Go on to the end of the present epoch; mean objective of the updates made.

        Raises
        ------
        Diverged
            If the objective is not finite; the model is left as it was after that update.
        """
        self.model.train()
        done = self.step % self.steps_per_epoch
        self.losses = self.losses[:done]
        epoch = self.first_epoch + self.epoch
        for number, index in enumerate(batches(self.model.seed, epoch, len(self.x), self.batch_size)):
            if number < done:
                continue
            self.update(torch.from_numpy(index[self.rank :: self.ranks]))
            if after_step is not None:
                after_step()
        self.model.epochs_done = epoch + 1
        return float(np.mean(self.losses)) if self.losses else float("nan")

    def update(self, index: Tensor) -> None:
        """One update from the presentations at ``index``."""
        total = self.parallel(self.x[index], self.y[index])
        loss = float(self.model.error)
        if not np.isfinite(loss):
            raise Diverged(self, f"the objective is {loss}")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        try:
            self.optimiser.step()
        except CortexSimError as error:  # weights that can no longer be inverted
            raise Diverged(self, str(error)) from None
        if self.schedule is not None and self.step + 1 < self.total_steps:
            self.schedule.step()
        self.step += 1
        self.losses.append(loss)


@torch.no_grad()
def evaluate(model: Model, x: Tensor, y: Tensor, batch: int = 1000) -> tuple[float | None, float]:
    """Share of presentations whose most active top unit is the label, and the mean objective.

    The share is None where there are no classes: target rates other than one-hot ones.
    """
    right, error = 0, 0.0
    for start in range(0, len(x), batch):
        part = model.stimulus_tensor(x[start : start + batch])
        goal = model.target_tensor(y[start : start + batch])
        _, rates = model.settle(part, credit=False)
        top = (
            rates[model.top].flatten(1).float() if model.precision == "bf16" else rates[model.top].flatten(1)
        )
        label = goal if goal.dim() == 1 else goal.argmax(1)
        right += int((top.argmax(1) == label).sum())
        if model.net.error is not None:
            error += float(model.objective_value(top, goal)) * len(part)
    return right / len(x) if has_classes(y) else None, error / len(x)


def has_classes(y: Tensor) -> bool:
    """Whether these are labels, or target rates that are one at a single one of several units."""
    if y.dim() == 1:
        return True
    targets = y.flatten(1)
    one_hot = ((targets == 0) | (targets == 1)).all() and (targets.sum(1) == 1).all()
    return targets.shape[1] > 1 and bool(one_hot)
