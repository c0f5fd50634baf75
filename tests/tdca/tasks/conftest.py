"""Small sources whose every pixel tells where it comes from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from cortex_sim.tdca.tasks import ImageSource

PIXELS = 7


@pytest.fixture
def source() -> Callable[..., ImageSource]:
    """Makes a source of shuffled images with unequally many of each class and part; no pixel twice."""

    def make(name: str, classes: int, seed: int = 0) -> ImageSource:
        generator = torch.Generator().manual_seed(seed)
        y = torch.cat([torch.full((2 + c,), c) for c in range(classes)]).repeat(3)
        part = torch.arange(3).repeat_interleave(len(y) // 3)
        extra = torch.arange(classes)  # the training part is the largest
        y, part = torch.cat([y, extra]), torch.cat([part, torch.zeros_like(extra)])
        order = torch.randperm(len(y), generator=generator)
        x = torch.randperm(len(y) * PIXELS, generator=generator).view(-1, PIXELS).float() + 1000 * seed
        return ImageSource(name, x, y[order], part[order], classes)

    return make
