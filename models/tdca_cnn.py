"""A small convolutional network to train with a credit network: two convolutions on 14x14 images."""

from collections.abc import Sequence
from typing import Any

import cortex_sim as cs


def tdca_cnn(
    side: int = 14,
    maps: Sequence[int] = (8, 16),
    classes: int = 10,
    activation: str = "relu",
    reads: Any = None,
) -> cs.Network:
    """Receptive fields of 3x3 units at stride 2, then the classes, by default under backpropagation.

    ``reads`` is how synapses read pre rates, such as "decorrelated"; by default unchanged.
    """
    net = cs.Network("tdca_cnn")
    below = net.population("retina", shape=(1, side, side))
    for name, channels in zip(("V1", "V2"), maps, strict=True):
        connector = cs.Conv2d(kernel=3, stride=2, padding=1, init="he")
        across = connector.post_side(below.shape[1])
        above = net.population(name, shape=(channels, across, across), activation=activation)
        net.bottom_up(below, above, connector, plasticity=cs.Backprop())
        below = above
    it = net.population("IT", classes, activation="linear")
    net.bottom_up(below, it, cs.Dense(init=cs.He(gain=0.5**0.5)), plasticity=cs.Backprop())
    net.objective(it, cs.CrossEntropy())
    return net.with_rule("backprop").with_reads(reads)
