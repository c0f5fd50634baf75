"""An image set for inner runs: grey, of one size, standardised, in three parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cortex_sim import data
from cortex_sim.checks import require_count
from cortex_sim.data import ImageSet, named
from cortex_sim.errors import DataError
from cortex_sim.tdca.tasks.batch import PARTS

LUMA = (0.299, 0.587, 0.114)  # of red, green, blue: ITU-R BT.601, which JPEG and Pillow use
VALIDATION = 5000  # held out of a large training set; of a small one, a sixth
BLOCK = 4096  # presentations resized at once


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Images as flat stimuli, with their labels and the part each belongs to.

    Parameters
    ----------
    name : str
        Its name in messages.
    x : float32 tensor of shape (presentation, pixel)
    y : int64 tensor of shape (presentation,)
        Class of each presentation.
    part : int64 tensor of shape (presentation,)
        0, 1 or 2: train, validation or test, see `PARTS`.
    classes : int
        Number of classes.
    """

    name: str
    x: Tensor
    y: Tensor
    part: Tensor
    classes: int

    def __post_init__(self) -> None:
        for part, index in PARTS.items():
            shown = torch.bincount(self.y[self.part == index], minlength=self.classes)
            if not shown.all():
                raise DataError(
                    f"data {self.name}: class {int(shown.argmin())} has no presentation in its {part} part; "
                    "give more presentations, or hold out another number for validation"
                )


def image_source(images: ImageSet, side: int = 14, validation: int | None = None) -> ImageSource:
    """Make the images of a set grey, ``side`` pixels high and wide, and standardised.

    Colours become luminance. Larger images are pooled by area (the mean of each pixel's share),
    smaller ones interpolated bilinearly. Then the mean is removed and the standard deviation made 1,
    both over all pixels of the training part.

    Parameters
    ----------
    images : ImageSet
        Images, or flat stimuli that are square images; its test set becomes the test part.
    side : int, default 14
        Pixels along each side.
    validation : int, optional
        Presentations of the training set that become the validation part, the last of a fixed
        permutation; by default 5000, or a sixth where that is less.
    """
    require_count("image_source", side=side)
    trained = len(images.x_train)
    held = min(VALIDATION, trained // 6) if validation is None else validation
    require_count("image_source", validation=held)
    if held >= trained:
        raise DataError(
            f"data {images.name}: validation={held} leaves none of the {trained} training presentations; "
            f"give fewer than {trained}"
        )
    part = torch.full((trained + len(images.x_test),), PARTS["test"])
    part[:trained] = PARTS["train"]
    part[torch.from_numpy(np.random.default_rng(0).permutation(trained)[trained - held :])] = PARTS[
        "validation"
    ]
    x = torch.cat([_resized(images.name, each, side) for each in (images.x_train, images.x_test)])
    y = torch.from_numpy(np.concatenate([images.y_train, images.y_test]))
    return ImageSource(images.name, _standardised(x, part == PARTS["train"]), y, part, images.n_classes)


def load_source(
    name: str,
    data_dir: str | Path | None = None,
    *,
    side: int = 14,
    validation: int | None = None,
    limit: int | None = None,
) -> ImageSource:
    """`image_source` of a data set by name, see `cortex_sim.data.named`, or of a file or folder.

    ``limit`` keeps this many presentations of its training set, and of its test set.
    """
    if name in named.NAMED:
        return image_source(named.load_named(name, data_dir, limit=limit, grey=True), side, validation)
    if limit is not None:
        raise DataError(
            f"data {name}: limit={limit} is only for sets with a name ({', '.join(named.NAMED)}); "
            "leave it out"
        )
    return image_source(data.load(name), side, validation)


def _resized(name: str, x: NDArray[np.float32], side: int) -> Tensor:
    """Grey images of shape (presentation, side · side)."""
    if x.ndim == 2:
        edge = math.isqrt(x.shape[1])
        if edge * edge != x.shape[1]:
            raise DataError(
                f"data {name}: {x.shape[1]} values per presentation do not form a square image; "
                "give images of shape (channel, y, x)"
            )
        x = x.reshape(-1, 1, edge, edge)
    flat = torch.empty(len(x), side * side)
    for start in range(0, len(x), BLOCK):
        block = torch.from_numpy(x[start : start + BLOCK])
        flat[start : start + BLOCK] = _to_side(_grey(block), side).flatten(1)
    return flat


def _grey(images: Tensor) -> Tensor:
    """Luminance of images (presentation, channel, y, x), with one channel."""
    if images.shape[1] == 1:
        return images
    return torch.einsum("pcyx,c->pyx", images, torch.tensor(LUMA))[:, None]


def _to_side(images: Tensor, side: int) -> Tensor:
    if min(images.shape[2:]) >= side:
        return functional.adaptive_avg_pool2d(images, side)
    return functional.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


def _standardised(x: Tensor, train: Tensor) -> Tensor:
    trained = x[train].double()
    sd, mean = torch.std_mean(trained, correction=0)
    return ((x - mean.float()) / (sd.float() if sd > 0 else 1.0)).contiguous()
