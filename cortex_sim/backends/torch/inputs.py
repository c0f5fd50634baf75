"""Stimuli, labels and target rates as tensors, checked against the network they are shown to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.errors import DataError

if TYPE_CHECKING:
    from cortex_sim.backends.torch.model import Model


def _tensor(what: str, given: Any) -> Tensor:
    if isinstance(given, Tensor):
        return given
    try:
        return torch.as_tensor(np.asarray(given))
    except (TypeError, ValueError, RuntimeError):
        raise DataError(
            f"{what} must be an array of numbers, such as images.x_test of an ImageSet. "
            f"Got {type(given).__name__}"
        ) from None


def stimulus_tensor(model: Model, x: Any) -> Tensor:
    """Stimuli as (presentation, *shape) on the model's device.

    Raises
    ------
    DataError
        If there is no presentation, or the values of one do not fill the stimulated population.
    """
    shape = model.net.populations[model.stimulus].shape
    tensor = _tensor("stimuli", x)
    if tensor.dim() < 2 or len(tensor) == 0 or tensor[0].numel() != math.prod(shape):
        raise DataError(
            f"stimuli have shape {tuple(tensor.shape)}, but population {model.stimulus} expects "
            f"(presentation, {', '.join(map(str, shape))}) with at least one presentation"
        )
    return tensor.to(model.device, model.compute).reshape(-1, *shape)


def target_tensor(model: Model, y: Any) -> Tensor:
    """Labels (presentation,) or target rates (presentation, unit) on the model's device.

    Raises
    ------
    DataError
        If they do not fit the top population.
    """
    tensor = _tensor("targets", y).to(model.device)
    units = model.net.populations[model.top].size
    if tensor.dim() == 1 and not tensor.is_floating_point():
        if len(tensor) and not 0 <= int(tensor.min()) <= int(tensor.max()) < units:
            raise DataError(
                f"labels run from {int(tensor.min())} to {int(tensor.max())}, but population "
                f"{model.top} has {units} units: give labels from 0 to {units - 1}"
            )
        return tensor.long()
    if tensor.dim() != 2 or tensor.shape[1] != units:
        raise DataError(
            f"targets have shape {tuple(tensor.shape)}; population {model.top} takes whole-number "
            f"labels (presentation,) or rates (presentation, {units})"
        )
    return tensor
