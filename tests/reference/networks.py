"""Small networks of every form; sizes are distinct primes, so a transposed axis cannot pass."""

from dataclasses import dataclass

import numpy as np

import cortex_sim as cs


@dataclass(frozen=True)
class Spread:
    """Random orthogonal directions, singular values spread evenly over [low, high]."""

    low: float = 0.5
    high: float = 2.0

    def draw(self, rng, post, fan_in):
        u, _, v = np.linalg.svd(rng.normal(size=(post, fan_in)), full_matrices=False)
        return u * np.linspace(self.low, self.high, min(post, fan_in)) @ v


def _start(name, shape):
    net = cs.Network(name)
    net.population("retina", shape=shape)
    return net


def _joined(net, pre, post, connector, rule="backprop"):
    net.bottom_up(pre, post, connector, plasticity=rule if connector.plastic else None)


def dense_chain(
    sizes,
    activation="tanh",
    init=Spread(),
    *,
    top="linear",
    objective="cross_entropy",
    name="chain",
):
    net = _start(name, (sizes[0],))
    below = "retina"
    for level, size in enumerate(sizes[1:], start=1):
        last = level == len(sizes) - 1
        area = "IT" if last else f"V{level}"
        net.population(area, size, activation=top if last else activation)
        _joined(net, below, area, cs.Dense(init=init))
        below = area
    net.objective("IT", objective)
    return net


def chain(activation="tanh", init=Spread(), **settings):
    return dense_chain((13, 11, 7, 3), activation, init, **settings)


def widening(activation="tanh", init=Spread(), **settings):
    return dense_chain((5, 3, 7, 11, 2), activation, init, name="widening", **settings)


def conv(activation="tanh", init=Spread(), objective="cross_entropy"):
    """Stride, padding, a kernel of 1 with more channels out than in, and a dense top."""
    net = _start("conv", (2, 7, 5))
    net.population("V1", shape=(5, 4, 3), activation=activation)
    net.population("V2", shape=(7, 4, 3), activation=activation)
    net.population("V4", shape=(3, 3, 2), activation=activation)
    net.population("IT", 11)
    _joined(net, "retina", "V1", cs.Conv2d(3, stride=2, padding=1, init=init))
    _joined(net, "V1", "V2", cs.Conv2d(1, init=init))
    _joined(net, "V2", "V4", cs.Conv2d(2, init=init))
    _joined(net, "V4", "IT", cs.Dense(init=init))
    net.objective("IT", objective)
    return net


def several_inputs(activation="tanh", init=Spread(), objective="cross_entropy"):
    net = _start("several inputs", (13,))
    net.population("dorsal", 11, activation=activation)
    net.population("ventral", 7, activation=activation)
    net.population("V4", 5, activation=activation)
    net.population("IT", 3)
    for pre, post in (("retina", "dorsal"), ("retina", "ventral"), ("dorsal", "ventral")):
        _joined(net, pre, post, cs.Dense(init=init))
    for pre, post in (("dorsal", "V4"), ("ventral", "V4"), ("V4", "IT")):
        _joined(net, pre, post, cs.Dense(init=init))
    net.objective("IT", objective)
    return net


def fan_out(activation="tanh", init=Spread(), objective="cross_entropy"):
    net = _start("fan out", (13,))
    net.population("V1", 11, activation=activation)
    net.population("dorsal", 7, activation=activation)
    net.population("ventral", 5, activation=activation)
    net.population("IT", 3)
    for pre, post in (("retina", "V1"), ("V1", "dorsal"), ("V1", "ventral")):
        _joined(net, pre, post, cs.Dense(init=init))
    for pre, post in (("dorsal", "IT"), ("ventral", "IT")):
        _joined(net, pre, post, cs.Dense(init=init))
    net.objective("IT", objective)
    return net


def onto_maps(activation="tanh", init=Spread(), objective="cross_entropy"):
    """Dense projections onto populations with channels, whose bias is one per channel."""
    net = _start("onto maps", (31,))
    net.population("V1", shape=(3, 4, 2), activation=activation)
    net.population("V2", shape=(5, 3, 1), activation=activation)
    net.population("V4", shape=(2, 3, 1), activation=activation)
    net.population("IT", 7)
    _joined(net, "retina", "V1", cs.Dense(init=init))
    _joined(net, "V1", "V2", cs.Conv2d(2, init=init))
    _joined(net, "V1", "V4", cs.Dense(init=init))
    for pre in ("V2", "V4"):
        _joined(net, pre, "IT", cs.Dense(init=init))
    net.objective("IT", objective)
    return net


def residual(activation="tanh", init=Spread(), objective="cross_entropy"):
    """V1 is reached by ways of two lengths, and hands credit on."""
    net = _start("residual", (13,))
    net.population("LGN", 11, activation=activation)
    net.population("V1", 7, activation=activation)
    net.population("V2", 5, activation=activation)
    net.population("V4", 7, activation=activation)
    net.population("IT", 3)
    _joined(net, "retina", "LGN", cs.Dense(init=init))
    _joined(net, "LGN", "V1", cs.Dense(init=init))
    _joined(net, "V1", "V2", cs.Dense(init=init))
    _joined(net, "V2", "V4", cs.Dense(init=init))
    _joined(net, "V1", "V4", cs.Identity())
    _joined(net, "V4", "IT", cs.Dense(init=init))
    net.objective("IT", objective)
    return net


def conv_residual(activation="tanh", init=Spread(), objective="cross_entropy"):
    net = _start("conv residual", (2, 5, 5))
    for name in ("V1", "V2", "V4"):
        net.population(name, shape=(3, 5, 5), activation=activation)
    net.population("IT", 7)
    _joined(net, "retina", "V1", cs.Conv2d(3, padding=1, init=init))
    _joined(net, "V1", "V2", cs.Conv2d(3, padding=1, init=init))
    _joined(net, "V2", "V4", cs.Conv2d(3, padding=1, init=init))
    _joined(net, "V1", "V4", cs.Identity())
    _joined(net, "V4", "IT", cs.Dense(init=init))
    net.objective("IT", objective)
    return net


ALL = {
    net.__name__: net
    for net in (chain, widening, conv, several_inputs, fan_out, onto_maps, residual, conv_residual)
}


def built(net, seed=0, precision="64", **settings):
    """The model, its biases random too: a bias that is forgotten must show."""
    model = cs.torch.build(net, seed=seed, precision=precision, **settings)
    rng = np.random.default_rng([seed, 77])
    for bias in model.biases.values():
        drawn = rng.normal(scale=0.1, size=bias.shape)
        bias.data.copy_(bias.new_tensor(drawn))
    model.renew_feedback()
    return model


def shown(net, count=5, seed=0):
    """Stimuli (presentation, *shape) and labels (presentation,)."""
    rng = np.random.default_rng([seed, 78])
    shape = net.populations[net.stimulated[0]].shape
    x = 0.5 * rng.normal(size=(count, *shape))
    return x, rng.integers(net.populations[net.objective_at].size, size=count)
