"""A residual network like ResNet-18 (He et al. 2016, arXiv 1512.03385): two convolutions and a skip."""

from collections.abc import Sequence
from typing import Any

import cortex_sim as cs
from cortex_sim.chains import RELU_VARIANCE_KEPT, read_out_means
from cortex_sim.population import Population

AREAS = ("V1", "V2", "V4", "IT")  # one per stage


def resnet_like(
    channels: Sequence[int] = (16, 32, 64),
    blocks: int = 1,
    classes: int = 10,
    side: int = 32,
    large_stem: bool = False,
    normaliser: str | None = "batch_norm",
    reads: Any = None,
) -> cs.Network:
    """Stages of residual blocks, each after the first at half the side; means of the last maps are read out.

    By default 12.5 million multiplications per image. ResNet-18 has 64, 128, 256 and 512 channels, two blocks
    per stage, side 224 and the large stem: a 7x7 convolution at stride 2, then max pooling. ``reads`` is how
    synapses read pre rates, such as "decorrelated"; by default unchanged.
    """
    net = cs.Network("resnet_like")

    def convolve(
        pre: Population, name: str, maps: int, kernel: int, stride: int, activation: str
    ) -> Population:
        connector = cs.Conv2d(kernel, stride, padding=kernel // 2, init=RELU_VARIANCE_KEPT)
        across = connector.post_side(pre.shape[1])
        post = net.population(
            name, shape=(maps, across, across), activation=activation, normaliser=normaliser
        )
        net.bottom_up(pre, post, connector, plasticity="backprop")
        return post

    def block(pre: Population, name: str, maps: int, stride: int) -> Population:
        inner = convolve(pre, f"{name} inner", maps, 3, stride, "relu")
        residual = convolve(inner, f"{name} residual", maps, 3, 1, "linear")
        skipped = pre
        if pre.shape != residual.shape:
            skipped = convolve(pre, f"{name} skip", maps, 1, stride, "linear")
        post = net.population(name, shape=residual.shape, activation="relu", bias=False)
        net.bottom_up(residual, post, cs.Identity())
        net.bottom_up(skipped, post, cs.Identity())
        return post

    retina = net.population("retina", shape=(3, side, side))
    below = convolve(retina, "LGN", channels[0], *((7, 2) if large_stem else (3, 1)), "relu")
    if large_stem:
        pool = cs.MaxPool2d(3, 2, padding=1)
        rows, columns = pool.post_sides(*below.shape[1:])
        pooled = net.population("LGN pooled", shape=(channels[0], rows, columns), bias=False)
        net.bottom_up(below, pooled, pool)
        below = pooled
    for stage, maps in enumerate(channels):
        for number in range(blocks):
            name = f"{AREAS[stage]}-{number + 1}"
            below = block(below, name, maps, 2 if stage and not number else 1)
    read_out_means(net, below, classes)
    return net.with_rule("gait_prop", rescale=True).with_reads(reads)
