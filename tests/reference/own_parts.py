"""A connector, an activation that normalises, and a stimulus source of a user's own, one class each.

`network` declares a small network of them, and `forward` has its equations.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from networks import Spread

import cortex_sim as cs
from cortex_sim.arrays import array_namespace
from cortex_sim.operators import Tied

PRE, MAPS, TOP = (8,), (2, 1, 5), 3
SMALL = 1e-5


@dataclass(frozen=True)
class Sliding:
    """One kernel a channel, slid along a row of units."""

    width: int = 4
    init: Spread = Spread(0.5, 1.0)
    plastic: ClassVar[bool] = True

    def weight_shape(self, pre, post):
        return (post[0], self.width)

    def check(self, name, pre, post):
        if post[1:] != (1, pre[0] - self.width + 1):
            raise cs.DeclarationError(f"projection {name}: does not fit")

    def draw(self, rng, pre, post):
        return self.init.draw(rng, post[0], self.width)

    def operator(self, pre, post):
        return Tied(pre, post, np.arange(post[2])[:, None] + np.arange(self.width))


@dataclass(frozen=True)
class Standardised:
    """r = tanh((a − mean)/√variance), by running mean and variance of the drive."""

    per: str = "channel"
    share: float = 0.2
    invertible: ClassVar[bool] = True
    lowest: ClassVar[float] = -1.0
    parameters: ClassVar[dict[str, float]] = {"mean": 0.1, "variance": 2.0}
    rate_text: ClassVar[str] = f"tanh((a - mean) / sqrt(variance + {SMALL}))"
    gain_text: ClassVar[str] = f"(1 - ({rate_text})**2) / sqrt(variance + {SMALL})"

    def rate(self, a, *, mean, variance):
        return array_namespace(a).tanh((a - mean) / (variance + SMALL) ** 0.5)

    def gain(self, a, *, mean, variance):
        return (1 - self.rate(a, mean=mean, variance=variance) ** 2) / (variance + SMALL) ** 0.5

    def drive(self, r, *, mean, variance):
        return mean + array_namespace(r).atanh(r) * (variance + SMALL) ** 0.5

    def adapted(self, a, *, mean, variance):
        middle = a.mean(-2)
        spread = ((a - middle[..., None, :]) ** 2).mean(-2)
        new = {"mean": (mean, middle), "variance": (variance, spread)}
        return {name: (1 - self.share) * old + self.share * now for name, (old, now) in new.items()}


@dataclass(frozen=True)
class Gratings:
    """Gratings of random phase, drawn when they are asked for; one label for each of three frequencies."""

    count: int = 30

    def __len__(self):
        return self.count

    def batch(self, indices, epoch=0):
        frequency = np.asarray(indices) % TOP
        phase = np.stack([np.random.default_rng([epoch, i]).uniform(0, 1) for i in indices])
        place = np.arange(PRE[0]) / PRE[0]
        waves = np.sin(2 * np.pi * ((1 + frequency[:, None]) * place + phase[:, None]))
        return waves.astype(np.float32), frequency


def network(word="backprop", per="channel"):
    net = cs.Network("own")
    net.population("retina", shape=PRE)
    net.population("V1", shape=MAPS, activation=Standardised(per))
    net.population("V2", 4, activation=Standardised())
    net.population("IT", TOP)
    net.bottom_up("retina", "V1", Sliding(), plasticity="backprop")
    net.bottom_up("V1", "V2", cs.Dense(init=Spread(0.5, 1.0)), plasticity="backprop")
    net.bottom_up("V2", "IT", cs.Dense(init=Spread(0.5, 1.0)), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(word)


def built(word="backprop", per="channel", adapted=True):
    """A model whose statistics are no longer those it began with."""
    model = cs.torch.build(network(word, per), seed=0, precision="64")
    if adapted:
        model.train()(*shown(9))
    return model


def shown(count=6):
    x, y = Gratings().batch(np.arange(count))
    return x.astype(np.float64), y


def statistics(model):
    return {name: tensor.clone() for name, tensor in model.named_buffers() if "transfer_" in name}


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


def standardised(a, mean, variance):
    return torch.tanh((a - mean) / (variance + SMALL).sqrt())


def dense_of(w):
    """The sliding kernel as a matrix, one entry at a time."""
    full = torch.zeros(10, 8, dtype=torch.float64)
    for channel, place, step in np.ndindex(2, 5, 4):
        full[channel * 5 + place, place + step] += w[channel, step]
    return full


def forward(model, x, weights):
    """The network's equations, with the statistics it has."""
    kept = dict(model.named_buffers())
    v1 = {v: kept[f"populations.V1.transfer_{v}"] for v in ("mean", "variance")}
    v1 = {v: values.repeat_interleave(10 // len(values)) for v, values in v1.items()}
    v2 = {v: kept[f"populations.V2.transfer_{v}"] for v in ("mean", "variance")}
    first, second, third = weights
    a1 = torch.as_tensor(x) @ dense_of(first).T
    a2 = standardised(a1, **v1) @ second.T
    return a1, a2, standardised(a2, **v2) @ third.T
