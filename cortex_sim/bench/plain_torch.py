"""The networks of the benchmarks as a user would write them in plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


def dense(inputs: int = 3072, width: int = 1024, depth: int = 6, classes: int = 10) -> nn.Module:
    """A chain of areas with leaky ReLU; by default gait_cifar_deep."""
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise([inputs, *[width] * depth]):
        layers += [nn.Linear(before, after), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def conv4(classes: int = 10) -> nn.Module:
    """conv4."""
    layers: list[nn.Module] = []
    for before, after, stride in [(3, 32, 1), (32, 64, 2), (64, 128, 2), (128, 256, 2)]:
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4096, classes))


def gait_imagenet(classes: int = 1000) -> nn.Module:
    """gait_imagenet, for images of 224 x 224 pixels."""
    layers: list[nn.Module] = []
    before = 3
    for after, kernel, stride in [
        (24, 9, 4),
        (24, 3, 2),
        (48, 5, 2),
        (48, 3, 2),
        (96, 3, 1),
        (96, 3, 2),
        (192, 3, 1),
    ]:
        layers += [nn.Conv2d(before, after, kernel, stride, kernel // 2), nn.LeakyReLU(0.1)]
        before = after
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(192 * 4 * 4, classes))


def vgg_like(channels: Sequence[int] = (16, 32, 64), convolutions: int = 2, classes: int = 10) -> nn.Module:
    """vgg_like."""
    layers: list[nn.Module] = []
    before = 3
    for after in channels:
        for _ in range(convolutions):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


class Block(nn.Module):
    """A residual block."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.inner_norm = nn.BatchNorm2d(after)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.residual = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.residual_norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Rates of the block."""
        y = torch.relu(self.inner_norm(self.inner(x)))
        return torch.relu(self.residual_norm(self.residual(y)) + self.skip(x))


def resnet_like(channels: Sequence[int] = (16, 32, 64), blocks: int = 1, classes: int = 10) -> nn.Module:
    """resnet_like with the small stem."""
    before = channels[0]
    layers: list[nn.Module] = [nn.Conv2d(3, before, 3, 1, 1, bias=False), nn.BatchNorm2d(before), nn.ReLU()]
    for stage, after in enumerate(channels):
        for number in range(blocks):
            layers.append(Block(before, after, 2 if stage and not number else 1))
            before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def optimiser(net: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """The optimiser of these settings over all parameters."""
    given = {name: value for name, value in settings.items() if name not in ("name", "decay")}
    made: torch.optim.Optimizer = getattr(torch.optim, settings["name"])(net.parameters(), **given)
    return made
