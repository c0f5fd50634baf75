"""The pixels themselves as a model: what can be predicted linearly from the image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.responses import Array, Responses
from cortex_sim.data.stimuli import StimulusSet

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as used to fit stimuli to a network
BATCH = 64


def pixels(images: NDArray[Any]) -> Array:
    """Every value of every channel as a feature, shape (image, feature).

    Parameters
    ----------
    images : array of shape (image, channel, y, x), (image, y, x) or (image, value)
    """
    return np.asarray(images, dtype=np.float64).reshape(len(images), -1)


def pixel_responses(stimuli: StimulusSet) -> Responses:
    """The model ``pixels`` for a set of stimuli; 8-bit values become 0 to 1."""
    assert stimuli.ids is not None
    return Responses("pixels", stimuli.ids, pixels(all_of(stimuli)))


def all_of(stimuli: StimulusSet) -> NDArray[np.float32]:
    """Every stimulus as the networks would receive it."""
    starts = range(0, len(stimuli), BATCH)
    batches = (np.arange(start, min(start + BATCH, len(stimuli))) for start in starts)
    return np.concatenate([stimuli.batch(batch)[0] for batch in batches])
