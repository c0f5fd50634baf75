"""A recurrent ventral stream like CORnet-RT (Kubilius et al. 2018, doi 10.1101/408385): V1, V2, V4 and IT."""

from collections.abc import Sequence

import cortex_sim as cs
from cortex_sim.chains import RELU_VARIANCE_KEPT, read_out_means

AREAS = ("V1", "V2", "V4", "IT")


def cornet_like(
    channels: Sequence[int] = (16, 32, 64, 64),
    classes: int = 10,
    side: int = 32,
    groups: int = 8,
    recurrent: bool = True,
) -> cs.Network:
    """Four areas, each with half the side of the one below, driven by it and by itself one step earlier.

    It is trained unrolled in steps of one time constant, with the same weights in all steps; a signal takes
    one step per projection, so the readout responds after six. By default 2.8 million multiplications per
    image and step.
    """
    net = cs.Network("cornet_like")
    below = net.population("retina", shape=(3, side, side))
    for area, maps in zip(AREAS, channels, strict=True):
        connector = cs.Conv2d(3, stride=2, padding=1, init=RELU_VARIANCE_KEPT)
        across = connector.post_side(below.shape[1])
        field = (maps, across, across)
        above = net.population(area, shape=field, activation="relu", normaliser=cs.GroupNorm(groups))
        net.bottom_up(below, above, connector, plasticity="backprop")
        if recurrent:
            net.recurrent(
                above, above, cs.Conv2d(3, padding=1, init=RELU_VARIANCE_KEPT), plasticity="backprop"
            )
        below = above
    read_out_means(net, below, classes)
    return net.with_rule("gait_prop", rescale=True)
