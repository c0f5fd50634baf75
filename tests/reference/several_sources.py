"""Networks with several sources of different shape, and what they are shown."""

import numpy as np

import cortex_sim as cs


def eyes(word=None, init="xavier"):
    """Two eyes and a context: at V1, at V1 and the top, at a map."""
    net = cs.Network("eyes")
    net.population("left", shape=(1, 3, 5))
    net.population("context", 2)
    net.population("V1", 11, activation="tanh", tau_ms=7.0)
    net.population("right", 13)
    net.population("V2", 7, activation="tanh")
    net.population("IT", 3)
    for pre, post in [("left", "V1"), ("right", "V1"), ("V1", "V2"), ("context", "V2"), ("V2", "IT")]:
        net.bottom_up(pre, post, cs.Dense(init=init), plasticity="hebbian")
    net.bottom_up("context", "IT", cs.Dense(init=init), plasticity="hebbian")
    net.objective("IT", "cross_entropy")
    return net if word is None else net.with_rule(word)


def stimuli(net, count=5, seed=0):
    """{source: (presentation, *shape)}."""
    rng = np.random.default_rng([seed, 91])
    return {n: 0.5 * rng.normal(size=(count, *net.populations[n].shape)) for n in net.sources}


def labels(net, count=5, seed=0):
    units = net.populations[net.objective_at].size
    return np.random.default_rng([seed, 92]).integers(units, size=count)


def halves(word):
    """Two sources onto V1."""
    net = cs.Network("two")
    net.population("left", shape=(1, 2, 3))
    net.population("right", 5)
    _above(net, ["left", "right"])
    return net.with_rule(word)


def whole(word):
    """The same network with one source, whose units are those of both."""
    net = cs.Network("one")
    net.population("both", 11)
    _above(net, ["both"])
    return net.with_rule(word)


def _above(net, below):
    net.population("V1", 7, activation="tanh")
    net.population("IT", 3)
    for pre in below:
        net.bottom_up(pre, "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")


def side_by_side(x):
    return np.concatenate([x["left"].reshape(len(x["left"]), -1), x["right"]], axis=1)
