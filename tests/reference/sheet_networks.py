"""A small network with grouped and dilated convolutions and pooling, and its chain as explicit matrices."""

from dataclasses import dataclass

import numpy as np
from networks import Spread
from sheets import averaging, averaging_all, inverse_by_group, rolled, unrolled, winning

import cortex_sim as cs

RETINA, V1, V2, V4, PIT, IT = (2, 7, 6), (4, 7, 4), (4, 3, 2), (6, 2, 2), (6,), 3
POOLS = {"average": cs.AveragePool2d, "max": cs.MaxPool2d}


SPREAD = Spread()


def sheets(pool="average", init=SPREAD, activation="tanh", objective="cross_entropy", regularisers=()):
    """Grouped 3x5, pooled, grouped with dilation, pooled over all places, and a dense top."""
    net = cs.Network(f"{pool} sheets")
    net.population("retina", shape=RETINA)
    for name, shape in (("V1", V1), ("V2", V2), ("V4", V4), ("PIT", PIT)):
        net.population(name, shape=shape, activation=activation)
    net.population("IT", IT)
    learning = {"plasticity": "backprop", "regulariser": regularisers}
    net.bottom_up("retina", "V1", cs.Conv2d((3, 5), padding=1, groups=2, init=init), **learning)
    net.bottom_up("V1", "V2", POOLS[pool]((3, 2), stride=2, padding=(0, 0)))
    net.bottom_up("V2", "V4", cs.Conv2d(2, stride=2, padding=1, groups=2, init=init), **learning)
    net.bottom_up("V4", "PIT", cs.GlobalAveragePool2d())
    net.bottom_up("PIT", "IT", cs.Dense(init=init), **learning)
    net.objective("IT", objective)
    return net


def shown(count=5):
    rng = np.random.default_rng(11)
    return rng.normal(size=(count, *RETINA)), rng.integers(IT, size=count)


@dataclass
class Chain:
    """Settled by explicit matrices, float64; ``down`` gives Bᵀ of each plastic convolution as a kernel."""

    net: cs.Network
    weights: dict  # by projection, in the declared shape
    biases: dict

    def matrix(self, p, weights, rates):
        """Of a projection (post unit, pre unit); of max pooling at ``rates``, by presentation."""
        pre, post = self.net.ends(p)
        match p.connector:
            case cs.Conv2d():
                return unrolled(p.connector, pre, post, weights[p.name])
            case cs.AveragePool2d():
                return averaging(p.connector, pre, post)
            case cs.GlobalAveragePool2d():
                return averaging_all(pre, post)
            case cs.MaxPool2d():
                return winning(p.connector, pre, post, rates[p.pre])
            case _:
                return weights[p.name]

    def settle(self, x):
        rates, drives = {"retina": x.reshape(len(x), -1)}, {}
        for p in self.net.bottom_ups:
            m = self.matrix(p, self.weights, rates)
            drive = np.einsum("nij,nj->ni", np.broadcast_to(m, (len(x), *m.shape[-2:])), rates[p.pre])
            bias = self.biases.get(p.post, np.zeros(1))
            drives[p.post] = drive + np.repeat(bias, drive.shape[1] // len(bias))
            linear = p.post == "IT"
            rates[p.post] = drives[p.post] if linear else np.tanh(drives[p.post])
        return rates, drives

    def changes(self, x, labels, down=None):
        """Changes of every plastic projection and bias, with credit through ``down`` (by default W)."""
        rates, drives = self.settle(x)
        back = self.weights | (down or {})
        top = np.exp(rates["IT"] - rates["IT"].max(1, keepdims=True))
        c = np.eye(IT)[labels] - top / top.sum(1, keepdims=True)
        found = {}
        for p in reversed(self.net.bottom_ups):
            u = c if p.post == "IT" else c / np.cosh(drives[p.post]) ** 2
            if p.plasticity is not None:
                dm = u.T @ rates[p.pre] / len(x)
                pre, post = self.net.ends(p)
                shape = self.weights[p.name].shape
                conv = isinstance(p.connector, cs.Conv2d)
                found[p.name] = rolled(p.connector, pre, post, dm, shape) if conv else dm
                size = len(self.biases[p.post])
                found[p.post] = u.reshape(len(u), size, -1).sum(2).mean(0)
            m = self.matrix(p, back, rates)
            c = np.einsum("ni,nij->nj", u, np.broadcast_to(m, (len(x), *m.shape[-2:])))
        return found


def chain_of(model):
    """The chain with a built model's numbers."""
    numbers = (
        {n: w.detach().double().numpy().copy() for n, w in d.items()} for d in (model.weights, model.biases)
    )
    return Chain(model.net, *numbers)


def inverses(net, weights, damping=0.0, rescale=False):
    """Bᵀ of every plastic projection, each group's by itself."""
    groups = {p.name: getattr(p.connector, "groups", 1) for p in net.bottom_ups}
    return {n: inverse_by_group(w, groups[n], damping, rescale) for n, w in weights.items()}
