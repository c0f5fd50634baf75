"""GAIT-prop's tower network, 784-784-500-200-10 (Ahmad et al. 2020, arXiv 2006.06438)."""

import cortex_sim as cs


def gait_tower(classes: int = 10) -> cs.Network:
    """Four plastic projections up; three inverses down (nothing below V1 needs credit)."""
    net = cs.Network("gait_tower")
    retina = below = net.population("retina", shape=(1, 28, 28))
    for name, size in [("V1", 784), ("V2", 500), ("V4", 200), ("IT", classes)]:
        activation = "linear" if name == "IT" else "leaky_relu"
        above = net.population(name, size, activation=activation)
        up = net.bottom_up(below, above, cs.Dense(init="orthogonal"), plasticity=cs.GaitProp())
        if below is not retina:
            net.top_down(above, below, feedback=cs.Inverse(of=up))
        below = above
    net.objective(above, cs.CrossEntropy())
    return net
