"""A trained network's accuracy and objective on labelled data: its run's own, or any that fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cortex_sim.backends import torch as backend
from cortex_sim.backends.torch.measuring import measure
from cortex_sim.data.streamed.pixels import StreamedPixels
from cortex_sim.errors import DataError, RunError
from cortex_sim.responding.candidates import candidate
from cortex_sim.responding.labelled import in_order_of_training, labelled


def score(
    run: str | Path, data: str | None = None, part: str = "test", *, device: str = "cpu"
) -> dict[str, Any]:
    """Accuracy, top-5 accuracy with more than five classes, objective, and accuracy by class.

    Stimuli are shown through the preprocessing of the network's training.

    Parameters
    ----------
    run : path
        A run directory (its last checkpoint), or a state: a run's ``best.safetensors`` or
        ``averaged.safetensors``, or a file of `cortex_sim.save`.
    data : str, optional
        Name of a data set, or a path; by default the run's own.
    part : {"test", "validation", "train"}
        Part of the data.

    Returns
    -------
    dict
        ``accuracy``, ``top5_accuracy`` (None with five classes or fewer), ``loss``, ``presentations``, and
        ``per_class``: class to ``accuracy`` and ``presentations``, of those that occur.

    Raises
    ------
    DataError, RunError
        If there is no such network or data, or they do not fit.
    """
    shown = candidate(run)
    if not shown.trained:
        raise RunError(f"evaluate {run}: this model is untrained; give a run directory or a state file")
    stimuli = in_order_of_training(labelled(shown, data, part), shown)
    model = backend.load(run, device=device)
    units = model.net.populations[model.top].size
    if stimuli.labels is None or stimuli.classes is None:
        raise DataError(f"evaluate {run}: data {stimuli.name} have no labels; give labelled data")
    if len(stimuli.classes) > units:
        raise DataError(
            f"evaluate {run}: data {stimuli.name} have {len(stimuli.classes)} classes, but population "
            f"{model.top} has {units} units; give data with the classes that the network was trained on"
        )
    if isinstance(stimuli.pixels, StreamedPixels):  # a picture that cannot be read is replaced and reported
        stimuli = replace(stimuli, x=replace(stimuli.pixels, strict=False))
    scores = measure(model, stimuli.shown_through(shown.preprocessing))
    return {
        "run": str(run),
        "data": stimuli.name,
        "accuracy": scores.accuracy,
        "top5_accuracy": scores.top5_accuracy,
        "loss": scores.loss,
        "presentations": len(stimuli),
        "per_class": {
            stimuli.classes[label]: {"accuracy": found / count, "presentations": count}
            for label, (found, count) in scores.per_class.items()
        },
    }
