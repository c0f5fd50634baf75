"""A small ventral stream: four convolutions, 32-64-128-256 channels, for 32x32 colour images."""

from typing import Any

import cortex_sim as cs
from cortex_sim.chains import VARIANCE_KEPT, join

AREAS = [("V1", 32, 1), ("V2", 64, 2), ("V4", 128, 2), ("IT", 256, 2)]  # name, channels, stride


def conv4(classes: int = 10, reads: Any = None) -> cs.Network:
    """Receptive fields of 3x3 units; sides 32, 16, 8, 4; every unit of IT projects to the readout.

    ``reads`` is how synapses read pre rates, such as ``Decorrelated(group="fit")``; by default unchanged.
    """
    net = cs.Network("conv4")
    below = net.population("retina", shape=(3, 32, 32))
    for name, channels, stride in AREAS:
        connector = cs.Conv2d(kernel=3, stride=stride, padding=1, init=VARIANCE_KEPT)
        side = connector.post_side(below.shape[1])
        above = net.population(name, shape=(channels, side, side), activation="leaky_relu")
        below = join(net, below, above, connector)
    readout = net.population("readout", classes, activation="linear")
    join(net, below, readout, cs.Dense(init=VARIANCE_KEPT))
    net.objective(readout, cs.CrossEntropy())
    return net.with_reads(reads)
