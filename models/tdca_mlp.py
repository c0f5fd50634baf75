"""The network that a credit network is trained on: 196-64-10, images pooled to 14x14 (arXiv 2208.01416)."""

from collections.abc import Sequence
from typing import Any

import cortex_sim as cs
from cortex_sim.chains import areas


def tdca_mlp(
    inputs: int = 196,
    hidden: Sequence[int] = (64,),
    classes: int = 10,
    activation: str = "relu",
    objective: str = "cross_entropy",
    reads: Any = None,
) -> cs.Network:
    """A chain of dense projections, under backpropagation unless changed by `with_rule`.

    ``reads`` is how synapses read pre rates, such as "decorrelated"; by default unchanged.
    """
    net = cs.Network("tdca_mlp")
    below = net.population("retina", inputs)
    for name, size in zip(areas(len(hidden)), hidden, strict=True):
        above = net.population(name, size, activation=activation)
        net.bottom_up(below, above, cs.Dense(init="he"), plasticity=cs.Backprop())
        below = above
    it = net.population("IT", classes, activation="linear")
    net.bottom_up(below, it, cs.Dense(init=cs.He(gain=0.5**0.5)), plasticity=cs.Backprop())
    net.objective(it, objective)
    return net.with_rule("backprop").with_reads(reads)
