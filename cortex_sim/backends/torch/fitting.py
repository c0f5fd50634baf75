"""`Model.fit`: train from Python, without a run directory."""

from __future__ import annotations

import sys
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from cortex_sim.backends.torch.model import Model
from cortex_sim.backends.torch.training import Setting, Trainer, evaluate
from cortex_sim.data.images import ImageSet
from cortex_sim.errors import DataError


def fit(
    model: Model,
    train: Any,
    epochs: int = 10,
    *,
    batch_size: int = 64,
    optimiser: Setting = "Adam",
    schedule: Setting | None = None,
    progress: bool | None = None,
) -> list[dict[str, float | None]]:
    """Train a model and return its learning curve.

    A further call goes on with the order of the next epoch (``model.epochs_done`` counts them) and with a
    new optimiser and schedule.

    Parameters
    ----------
    model : Model
    train : ImageSet, or pair (x, y)
        An image set's training part; or stimuli (presentation, *shape) with labels (presentation,)
        or target rates (presentation, unit).
    epochs : int, default 10
    batch_size : int, default 64
    optimiser : str or dict, default "Adam"
        Any of torch.optim, such as ``{"name": "SGD", "lr": 0.1}``.
    schedule : str or dict, optional
        Any of torch.optim.lr_scheduler, stepped after every update.
    progress : bool, optional
        Show a progress bar on standard error; by default where it is a terminal.

    Returns
    -------
    list of dict
        One entry an epoch: ``epoch``, ``train_loss`` (mean over the epoch's updates), and
        ``train_accuracy`` (None for target rates that name no class); with an image set ``test_accuracy``
        and ``test_loss`` too.

    Raises
    ------
    DataError
        If the data do not fit the network.
    """
    images = train if isinstance(train, ImageSet) else None
    pair = (images.x_train, images.y_train) if images is not None else train
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise DataError("fit: give an ImageSet, or (x, y) with as many labels as presentations")
    x, y = model.stimulus_tensor(pair[0]), model.target_tensor(pair[1])
    if len(x) != len(y):
        raise DataError(
            f"fit: {len(y)} labels for {len(x)} presentations; give an ImageSet, or (x, y) with as many "
            "labels as presentations"
        )
    trainer = Trainer(model, x, y, epochs, batch_size, optimiser, schedule)
    shown = sys.stderr.isatty() if progress is None else progress
    console = Console(stderr=True)
    curve = []
    for _ in track(range(epochs), "training", console=console, disable=not shown, transient=True):
        loss = trainer.train_epoch()
        line: dict[str, float | None] = {
            "epoch": trainer.epoch,
            "train_loss": loss,
            "train_accuracy": evaluate(model, x, y)[0],
        }
        if images is not None:
            test = model.stimulus_tensor(images.x_test), torch.as_tensor(images.y_test)
            line["test_accuracy"], line["test_loss"] = evaluate(model, *test)
        curve.append(line)
    return curve
