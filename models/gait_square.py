"""GAIT-prop's network of fixed width, 784 throughout (Ahmad et al. 2020, arXiv 2006.06438).

The published output has 784 units too, of which all but ten have their own rate as target; here only
the ten are declared, and ``Inverse(auxiliary=True)`` adds the others if required.
"""

import cortex_sim as cs
from cortex_sim.chains import dense_areas, join


def gait_square(hidden: int = 4, classes: int = 10) -> cs.Network:
    """``hidden`` areas of 784 units, each as wide as the retina, and IT as readout."""
    net = cs.Network("gait_square")
    retina = net.population("retina", shape=(1, 28, 28))
    below = dense_areas(net, retina, count=hidden, width=784, init=cs.Orthogonal())
    it = net.population("IT", classes, activation="linear")
    join(net, below, it, cs.Dense(init="orthogonal"))
    net.objective(it, cs.CrossEntropy())
    return net
