"""The smallest network that needs credit below the top: 64-64-10, for the 8x8 `digits`."""

import cortex_sim as cs


def digits_mlp(hidden: int = 64, classes: int = 10) -> cs.Network:
    """Two plastic projections up; one inverse down (IT->V1), which a protocol can cut."""
    net = cs.Network("digits_mlp")
    retina = net.population("retina", 64)
    v1 = net.population("V1", hidden, activation="leaky_relu")
    it = net.population("IT", classes, activation="linear")
    net.bottom_up(retina, v1, cs.Dense(init="orthogonal"), plasticity=cs.GaitProp())
    up = net.bottom_up(v1, it, cs.Dense(init="orthogonal"), plasticity=cs.GaitProp())
    net.top_down(it, v1, feedback=cs.Inverse(of=up))
    net.objective(it, cs.CrossEntropy())
    return net
