"""Shared by the models in ``models/``: initial weights, adding an area, a readout, area names."""

from __future__ import annotations

from cortex_sim.activations import LeakyRelu
from cortex_sim.checks import require_count
from cortex_sim.connectors import Connector, Dense
from cortex_sim.feedback import Inverse
from cortex_sim.initialisers import Initialiser, Orthogonal
from cortex_sim.network import Network
from cortex_sim.pooling import GlobalAveragePool2d
from cortex_sim.population import Population
from cortex_sim.rules.gait_prop import GaitProp

#: Half of all drives fall on the lower slope, so rates carry (1 + slope²)/2 of the drives' variance
#: and activity would vanish in a deep network. This initial gain, √(2/1.01), compensates for it
#: (measured: it trains better on CIFAR-10). The papers use gain 1, on MNIST.
VARIANCE_KEPT = Orthogonal(gain=(2 / (1 + LeakyRelu().slope ** 2)) ** 0.5)
#: The same for relu, which is silent below 0; with a normaliser any gain will do.
RELU_VARIANCE_KEPT = Orthogonal(gain=2**0.5)

_VENTRAL_STREAM = ("V1", "V2", "V3", "V4", "PIT", "CIT", "AIT")


def join(net: Network, below: Population, above: Population, connector: Connector) -> Population:
    """Return ``above``, now driven by ``below`` under GAIT-prop, with the inverse as feedback.

    There is no inverse to the stimulus population, which needs no credit.
    """
    learns = below.name not in net.sources
    up = net.bottom_up(below, above, connector, plasticity=GaitProp())
    if learns:
        net.top_down(above, below, feedback=Inverse(of=up))
    return above


def dense_areas(net: Network, below: Population, count: int, width: int, init: Initialiser) -> Population:
    """Add ``count`` leaky-ReLU areas, each densely joined to the previous one; return the highest."""
    for name in areas(count):
        above = net.population(name, width, activation="leaky_relu")
        below = join(net, below, above, Dense(init=init))
    return below


def read_out_means(net: Network, below: Population, classes: int) -> None:
    """Add the spatial mean of each feature map of ``below``, and a plastic readout of the classes."""
    mean = net.population("mean", below.shape[0], bias=False)
    net.bottom_up(below, mean, GlobalAveragePool2d())
    readout = net.population("readout", classes)
    net.bottom_up(mean, readout, Dense(init="xavier"), plasticity="backprop")
    net.objective(readout, "cross_entropy")


def areas(count: int) -> tuple[str, ...]:
    """Names of ``count`` hidden areas along the ventral stream; beyond seven, AIT2, AIT3, …."""
    require_count("hidden areas", count=count)
    if count <= 3:
        return ("V1", "V2", "V4")[:count]
    further = (f"AIT{i}" for i in range(2, count))
    return (*_VENTRAL_STREAM, *further)[:count]
