"""GAIT-prop's shallow network for CIFAR-10 (Dalm et al. 2021, arXiv 2102.11598)."""

import cortex_sim as cs
from cortex_sim.chains import VARIANCE_KEPT, dense_areas, join


def gait_cifar_shallow(classes: int = 10) -> cs.Network:
    """3072 inputs, three areas of 1024 units, and IT as readout."""
    net = cs.Network("gait_cifar_shallow")
    retina = net.population("retina", shape=(3, 32, 32))
    below = dense_areas(net, retina, count=3, width=1024, init=VARIANCE_KEPT)
    it = net.population("IT", classes, activation="linear")
    join(net, below, it, cs.Dense(init=VARIANCE_KEPT))
    net.objective(it, cs.CrossEntropy())
    return net
