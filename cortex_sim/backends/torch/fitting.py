"""`Model.fit`: train from Python, without a run directory."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from typing import Any

import numpy as np
import torch

from cortex_sim.backends.torch import noticing
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.loading import Ahead
from cortex_sim.backends.torch.optimising import Optimiser, Setting
from cortex_sim.backends.torch.showing import InMemory, shown
from cortex_sim.backends.torch.timed import rows
from cortex_sim.backends.torch.training import Trainer, evaluate
from cortex_sim.data.images import ImageSet
from cortex_sim.data.sources import Source
from cortex_sim.errors import DataError, RunError
from cortex_sim.runs.progress import bar
from cortex_sim.sources import WAY_OUT, only_source
from cortex_sim.updating import Updating

Curve = list[dict[str, float | None]]

_NAMES = (
    *("train", "epochs", "batch_size", "optimiser", "schedule"),
    *("accumulate", "clip_norm", "workers", "progress"),
)
_GLIMPSE = 1000  # presentations on which the objective before training is measured
# Names of settings in other libraries, and what to give here.
_ELSEWHERE = {
    **dict.fromkeys(("lr", "learning_rate", "rate"), 'optimiser={"name": "Adam", "lr": 0.001}'),
    **dict.fromkeys(("momentum", "weight_decay"), 'optimiser={"name": "SGD", "lr": 0.1, "momentum": 0.9}'),
    **dict.fromkeys(("optimizer", "opt", "optim"), 'optimiser="Adam", in British spelling'),
    **dict.fromkeys(("scheduler", "lr_scheduler"), 'schedule="OneCycleLR"'),
    **dict.fromkeys(("batch", "batchsize"), "batch_size=64"),
    **dict.fromkeys(("n_epochs", "num_epochs", "max_epochs"), "epochs=10"),
    **dict.fromkeys(("verbose", "progress_bar"), "progress=True"),
    **dict.fromkeys(("num_workers", "n_jobs"), "workers=2"),
    **dict.fromkeys(("accumulate_grad_batches", "gradient_accumulation_steps"), "accumulate=2"),
    **dict.fromkeys(("gradient_clip_val", "max_norm", "max_grad_norm", "clip_grad_norm"), "clip_norm=1.0"),
    "rule": "a network under that rule: cs.torch.build(net.with_rule(...))",
    "seed": "the seed when the model is built: cs.torch.build(net, seed)",
    "x": "both as one: fit((x, y))",
    "y": "both as one: fit((x, y))",
    "labels": "both as one: fit((x, y))",
    "validation_data": "an ImageSet with a validation part: images.hold_out(500)",
}


def fit(
    model: Core,
    train: Any,
    epochs: int = 10,
    *,
    batch_size: int = 64,
    optimiser: Optimiser | None = None,
    schedule: Setting | None = None,
    accumulate: int = 1,
    clip_norm: float | None = None,
    workers: int = 0,
    progress: bool | None = None,
    **unknown: Any,
) -> Curve:
    """Train a model and return its learning curve.

    A further call continues with the presentation order of the next epoch (``model.epochs_done`` counts them)
    and with a new optimiser and schedule.

    Parameters
    ----------
    model : Core
    train : ImageSet, Source, or pair (x, y)
        An image set, of which the training part is used; a source of presentations with their labels; or
        stimuli (presentation, *shape) with labels (presentation,) or target rates (presentation, unit). If
        several populations have no bottom-up input, x maps the name of each to its stimuli.
    epochs : int, default 10
    batch_size : int, default 64
        The last batch of an epoch may be smaller. A size larger than the data is reduced, with a warning.
    optimiser : str, dict or torch.optim.Optimizer, optional
        Any of torch.optim, such as ``{"name": "SGD", "lr": 0.1}``, or an optimiser of the model's parameters.
        By default "Adam", or under a trained credit network "inner_step", the step it was trained with.
    schedule : str or dict, optional
        Any of torch.optim.lr_scheduler, stepped after every update. An optimiser that was given as an object
        has its own rates again when training ends.
    accumulate : int, default 1
        Batches per update: the change is the mean over all their presentations.
    clip_norm : float, optional
        Largest norm of the whole change; a larger change is scaled down to it.
    workers : int, default 0
        Processes that prepare the batches of a source; the result does not depend on them.
    progress : bool, optional
        Show a bar in a terminal or notebook, and a line each minute in a log; by default if training takes
        long.

    Returns
    -------
    list of dict
        One entry per epoch: ``epoch``, ``train_loss`` (mean over the epoch's presentations, each before its
        update), and ``train_accuracy`` (None for target rates other than one-hot ones). With an image set
        also ``test_accuracy`` and ``test_loss``; if it has a validation part, ``validation_accuracy`` and
        ``validation_loss``, and those of the test part are None, since it stays unseen.

    Raises
    ------
    DataError
        If the data do not fit the network.
    RunError
        If a setting is unknown, or not one of the optimiser or schedule, or if training diverges.
    """
    for name in unknown:
        raise RunError(f"fit: unknown setting {name!r}; {_way_out(name)}")
    source = _source(model, train)
    source = Ahead(source, workers) if workers and not isinstance(source, InMemory) else source
    updating = Updating(accumulate, clip_norm)
    trainer = Trainer(model, source, None, epochs, batch_size, optimiser, schedule, updating=updating)
    images = train if isinstance(train, ImageSet) else None
    before = (
        evaluate(model, *_glimpse(source, model))[1] if model.net.objective_function is not None else None
    )
    curve: Curve = []
    steps = trainer.total_steps - trainer.step
    with bar(steps, "steps", progress is not False) as steps_done:
        for _ in range(epochs):
            said = f"epoch {trainer.epoch + 1}"
            loss = trainer.train_epoch(partial(steps_done.advance, 1, said))
            line: dict[str, float | None] = {
                "epoch": trainer.epoch,
                "train_loss": loss,
                "train_accuracy": evaluate(model, source)[0],
            }
            if images is not None:
                line |= _tested(model, images)
            curve.append(line)
            _notice(trainer, [{"epoch": 0, "train_loss": before}, *curve], over=trainer.epoch == epochs)
    return curve


def what_is_kept(model: Core) -> str:
    """Message of an interruption."""
    return (
        f"network {model.net.name}: fit interrupted; the model in memory has the updates made so far, and "
        "cs.save(model, FILE) keeps them. Runs of `cortex-sim train MODEL --data DATA --out DIR` can be "
        "resumed"
    )


def _way_out(name: str) -> str:
    if name in _ELSEWHERE:
        return f"give {_ELSEWHERE[name]}"
    near = get_close_matches(name, _NAMES, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_NAMES)}"


def _source(model: Core, train: Any) -> Any:
    """The training data as a source; arrays are checked at once, and kept in memory as tensors."""
    if isinstance(train, ImageSet):
        only_source(
            model.net, f"fit: image set {train.name} shows one image per presentation", WAY_OUT, DataError
        )
        train = train.x_train, train.y_train
    elif isinstance(train, Source):
        return train
    forms = (
        "give an ImageSet, or (x, y) with as many labels as presentations, or a source with "
        "batch(indices, epoch)"
    )
    if not isinstance(train, (tuple, list)) or len(train) != 2:
        raise DataError(f"fit: {forms}")
    x, y = model.presentations(train[0]), model.target_tensor(train[1])
    if len(x) != len(y):
        raise DataError(f"fit: {len(y)} labels for {len(x)} presentations; {forms}")
    return InMemory(x, y)


def _glimpse(source: Any, model: Core) -> tuple[Any, Any]:
    return shown(source, np.arange(min(len(source), _GLIMPSE)), model.epochs_done)


def _tested(model: Core, images: ImageSet) -> dict[str, float | None]:
    """Accuracy and objective on the validation part, or else on the test part."""
    part = images.parts[1]
    held = images.part(part)
    x, y = model.presentations(held.x), torch.as_tensor(held.labels)
    found: dict[str, float | None] = {}
    found[f"{part}_accuracy"], found[f"{part}_loss"] = evaluate(model, x, y)
    return found if part == "test" else {**found, "test_accuracy": None, "test_loss": None}


def _notice(trainer: Trainer, curve: Any, over: bool) -> None:
    if trainer.model.net.objective_function is None:
        return
    said = [noticing.growth(curve, "train")]
    if over:
        y = (
            rows(trainer.source.y.cpu(), trainer.model.unrolled)
            if isinstance(trainer.source, InMemory)
            else None
        )
        chance = None if y is None else noticing.chance_of(y)
        said.append(noticing.learned(curve, "train", chance, len(trainer.source)))
    for remark in filter(None, said):
        trainer.remark(remark)
