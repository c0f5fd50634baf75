"""Declared augmentation: crops, flips and views of pictures, by name in YAML and on the command line.

Random numbers are a pure function of (seed, epoch, index), so that a presentation looks alike whichever
process prepares it, in whatever order, on however many ranks.
"""

from __future__ import annotations

from cortex_sim.augmentation.chain import Chain, declared
from cortex_sim.augmentation.crops import CentreCrop, RandomCrop, RandomResizedCrop
from cortex_sim.augmentation.flips import Flip
from cortex_sim.augmentation.normalising import Normalise
from cortex_sim.augmentation.resizing import Resize

__all__ = [
    "CentreCrop",
    "Chain",
    "Flip",
    "Normalise",
    "RandomCrop",
    "RandomResizedCrop",
    "Resize",
    "declared",
]
