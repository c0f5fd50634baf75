"""A VGG-like network (Simonyan & Zisserman 2015, arXiv 1409.1556): 3x3 convolutions and max pooling."""

from collections.abc import Sequence
from typing import Any

import cortex_sim as cs
from cortex_sim.chains import RELU_VARIANCE_KEPT, read_out_means

AREAS = ("V1", "V2", "V4", "PIT", "AIT")  # one per stage


def vgg_like(
    channels: Sequence[int] = (16, 32, 64),
    convolutions: int = 2,
    classes: int = 10,
    side: int = 32,
    normaliser: str | None = "batch_norm",
    reads: Any = None,
) -> cs.Network:
    """Stages of normalised convolutions and max pooling; means of the last maps are read out.

    By default 9.9 million multiplications per image. ``reads`` is how synapses read pre rates, such as
    "decorrelated"; by default unchanged.
    """
    net = cs.Network("vgg_like")
    below = net.population("retina", shape=(3, side, side))
    for area, maps in zip(AREAS[: len(channels)], channels, strict=True):
        for layer in range(1, convolutions + 1):
            field = (maps, side, side)
            above = net.population(f"{area}-{layer}", shape=field, activation="relu", normaliser=normaliser)
            net.bottom_up(
                below, above, cs.Conv2d(3, padding=1, init=RELU_VARIANCE_KEPT), plasticity="backprop"
            )
            below = above
        side //= 2
        pooled = net.population(f"{area} pooled", shape=(maps, side, side), bias=False)
        net.bottom_up(below, pooled, cs.MaxPool2d(2))
        below = pooled
    read_out_means(net, below, classes)
    return net.with_rule("gait_prop", rescale=True).with_reads(reads)
