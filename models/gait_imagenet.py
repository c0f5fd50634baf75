"""GAIT-prop's seven convolutions for ImageNet at 224x224 (Dalm et al. 2021, arXiv 2102.11598).

Padding is half a kernel on each side, which is our choice: without it, 224 rows shrink to
nothing. The sides are then 56, 28, 14, 7, 7, 4, 4.
"""

import cortex_sim as cs
from cortex_sim.chains import VARIANCE_KEPT, areas, join

#: channels, kernel, stride
CONVOLUTIONS = [(24, 9, 4), (24, 3, 2), (48, 5, 2), (48, 3, 2), (96, 3, 1), (96, 3, 2), (192, 3, 1)]


def gait_imagenet(classes: int = 1000) -> cs.Network:
    """V1 to AIT are convolutions; every unit of AIT projects to the readout."""
    net = cs.Network("gait_imagenet")
    below = net.population("retina", shape=(3, 224, 224))
    for name, (channels, kernel, stride) in zip(areas(7), CONVOLUTIONS, strict=True):
        connector = cs.Conv2d(kernel, stride, padding=kernel // 2, init=VARIANCE_KEPT)
        side = connector.post_side(below.shape[1])
        above = net.population(name, shape=(channels, side, side), activation="leaky_relu")
        below = join(net, below, above, connector)
    readout = net.population("readout", classes, activation="linear")
    join(net, below, readout, cs.Dense(init=VARIANCE_KEPT))
    net.objective(readout, cs.CrossEntropy())
    return net
