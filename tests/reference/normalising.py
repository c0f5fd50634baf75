"""Normalised drives and the credit that passes back through them, from the equations, in float64.

Drives that share a mean are a set of N values: x̂ = (a − mean)/√(variance + eps), n = gain · x̂ + bias. In
it ∂x̂_i/∂a_j = (δ_ij − 1/N − x̂_i x̂_j/N)/√(variance + eps), here as a matrix over all drives of a batch.
"""

import numpy as np
import torch

import cortex_sim as cs

EPS = 1e-5
MAPS = (4, 3, 2)
NORMALISERS = {
    "batch": cs.BatchNorm(),
    "group": cs.GroupNorm(2),
    "layer": cs.LayerNorm(),
}


def sets(kind, count, shape):
    """Which set every drive (presentation, *shape) belongs to."""
    presentation = np.arange(count).reshape(-1, *[1] * len(shape))
    channel = np.arange(shape[0]).reshape(1, -1, *[1] * (len(shape) - 1))
    label = {
        "batch": channel,
        "group": 2 * presentation + channel // (shape[0] // 2),
        "layer": presentation,
    }[kind]
    return np.broadcast_to(label, (count, *shape)).reshape(-1)


def standardised(kind, a):
    """x̂ (presentation, *shape), and the matrix ∂x̂/∂a over all of its values."""
    flat, label = a.reshape(-1), sets(kind, len(a), a.shape[1:])
    normal, jacobian = np.zeros_like(flat), np.zeros((flat.size, flat.size))
    for one in np.unique(label):
        at = np.flatnonzero(label == one)
        values, n = flat[at], len(at)
        size = np.sqrt(((values - values.mean()) ** 2).mean() + EPS)
        normal[at] = (values - values.mean()) / size
        jacobian[np.ix_(at, at)] = (np.eye(n) - 1 / n - np.outer(normal[at], normal[at]) / n) / size
    return normal.reshape(a.shape), jacobian


def by_channel(values, shape):
    return values.reshape(-1, *[1] * (len(shape) - 1))


def network(kind, rule="backprop", *, second="batch", dropout=0.0, top="cross_entropy", **feedback):
    """Dense onto maps and onto units, both normalised; a linear top."""
    net = cs.Network("normalised")
    net.population("retina", 13)
    net.population("V1", shape=MAPS, activation="tanh", normaliser=NORMALISERS[kind], dropout=dropout)
    net.population("V2", 6, activation="softplus", normaliser=NORMALISERS[second])
    net.population("IT", 3)
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "IT")):
        net.bottom_up(pre, post, cs.Dense(init=cs.Orthogonal()), plasticity="backprop")
    net.objective("IT", top)
    return net.with_rule(rule, **feedback)


def stimuli(count=5, seed=3):
    """Stimuli (presentation, 13) and labels."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 13)), rng.integers(3, size=count)


def credited(kind, second, w, b, gain, down, x, y, direct=False):
    """Changes of weights, biases and gains by name; ``down`` is B by population, from V2 or IT, c = u Bᵀ.

    With ``direct`` every population takes its credit from the top's.
    """
    n1, j1 = _layer(kind, x @ w["retina->V1"].T, MAPS, gain["V1"], b["V1"])
    r1 = np.tanh(n1["n"]).reshape(len(x), -1)
    n2, j2 = _layer(second, r1 @ w["V1->V2"].T, (6,), gain["V2"], b["V2"])
    r2 = np.log1p(np.exp(n2["n"]))
    r3 = r2 @ w["V2->IT"].T + b["IT"]
    grown = np.exp(r3 - r3.max(1, keepdims=True))
    c3 = np.eye(3)[y] - grown / grown.sum(1, keepdims=True)
    c2 = c3 @ down["V2"].T
    behind2 = c2 / (1 + np.exp(-n2["n"]))
    u2 = _back(j2, behind2, gain["V2"])
    c1 = (c3 if direct else u2) @ down["V1"].T
    behind1 = c1.reshape(n1["n"].shape) * (1 - np.tanh(n1["n"]) ** 2)
    u1 = _back(j1, behind1, gain["V1"])
    mean = 1 / len(x)
    return {
        "retina->V1": mean * u1.T @ x,
        "V1->V2": mean * u2.T @ r1,
        "V2->IT": mean * c3.T @ r2,
        "V1": mean * behind1.sum((0, 2, 3)),
        "V2": mean * behind2.sum(0),
        "IT": mean * c3.sum(0),
        "V1:gain": mean * (behind1 * n1["normal"]).sum((0, 2, 3)),
        "V2:gain": mean * (behind2 * n2["normal"]).sum(0),
    }


def _layer(kind, a, shape, gain, bias):
    a = a.reshape(len(a), *shape)
    normal, jacobian = standardised(kind, a)
    n = by_channel(gain, shape) * normal + by_channel(bias, shape)
    return {"n": n, "normal": normal}, jacobian


def _back(jacobian, behind, gain):
    """Jᵀ of signals behind the normaliser, (presentation, unit)."""
    signal = by_channel(gain, behind.shape[1:]) * behind
    return (jacobian.T @ signal.reshape(-1)).reshape(len(behind), -1)


def built(net, seed=0, **settings):
    """A model whose biases, gains and statistics are not at their start."""
    model = cs.torch.build(net, seed=seed, precision="64", **settings)
    rng = np.random.default_rng([seed, 5])
    with torch.no_grad():
        for name, bias in model.biases.items():
            bias.copy_(bias.new_tensor(0.3 * rng.normal(size=bias.shape)))
            normaliser = model.population(name).normaliser
            for value in normaliser.kept().values() if normaliser is not None else ():
                value.copy_(value.new_tensor(rng.uniform(0.5, 1.5, size=value.shape)))
    return model


def changed(model, x, y):
    """Changes in training mode, by the names that `updates` has for them."""
    model.train()
    model(x, y).backward()
    found = {n: -p.grad for n, p in (*model.weights.items(), *model.biases.items())}
    gains = {n: model.population(n).normaliser for n in ("V1", "V2")}
    return found | {f"{n}:gain": -one.gain.grad for n, one in gains.items()}
