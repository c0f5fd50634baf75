"""GAIT-prop's finite form in float64, from arXiv 2006.06438 and 2102.11598.

`published` is a chain of dense layers, literally as printed:

    t_{l-1} = W~^-1 (f^-1((1 - gamma f'^2) r_l + gamma f'^2 t_l) - b_l),

with W~ = [W; A] square and auxiliary targets at their own activity; its local error is (t - r)/pi.
`credits` is the same on any acyclic graph (differences of drives in place of drives, so that a
population may have several inputs).
"""

import numpy as np
from graphs import ACTIVATIONS


def step(c, pi, gamma, kappa):
    """gamma per presentation: fixed, or kappa sqrt(N) / |t - r| where gamma is None."""
    if gamma is not None:
        return np.full((len(c), 1), gamma)
    return kappa * np.sqrt(c.shape[1]) / np.linalg.norm(pi * c, axis=1, keepdims=True)


def complement(w):
    """Rows that make w square and span what its own rows do not."""
    basis = np.linalg.svd(w)[2]
    return basis[len(w) :]


def published(layers, x, c_top_of, *, gamma=None, kappa=1e-7):
    """Errors (t - r)/pi of each layer, bottom first; ``layers`` are (W, b, activation name, A)."""
    drives, rates = [], [x]
    for w, b, activation, _ in layers:
        drives.append(rates[-1] @ w.T + b)
        rates.append(ACTIVATIONS[activation][0](drives[-1]))
    pi = np.ones((len(x), 1))
    target = rates[-1] + c_top_of(rates[-1])
    errors = [target - rates[-1]]
    for level in range(len(layers) - 1, 0, -1):
        w, b, activation, auxiliary = layers[level]
        _, gain, drive = ACTIVATIONS[activation]
        r, slope = rates[level + 1], gain(drives[level])
        size = step((target - r) / pi, pi, gamma, kappa)
        nearby = drive((1 - size * slope**2) * r + size * slope**2 * target) - b
        below = rates[level]
        square = np.concatenate([w, auxiliary])
        full = np.concatenate([nearby, below @ auxiliary.T], axis=1)
        target = np.linalg.solve(square, full.T).T
        pi = size * pi
        errors.insert(0, (target - below) / pi)
    return errors


def credits(graph, drives, rates, c_top, *, gamma=None, kappa=1e-7, auxiliary=None):
    """Credit by population; ``auxiliary`` maps a link's name to its rows A."""
    auxiliary = auxiliary or {}
    found, pi = {graph.top: c_top}, {graph.top: np.ones((len(c_top), 1))}
    for name in reversed(graph.order[1:]):
        if name not in found:
            continue
        r, a = rates[name], drives[name]
        _, gain, drive = ACTIVATIONS[graph.activation[name]]
        size, slope = step(found[name], pi[name], gamma, kappa), gain(a)
        target = r + pi[name] * found[name]
        moved = drive((1 - size * slope**2) * r + size * slope**2 * target) - a
        for link in graph.links:
            if link.post != name or link.pre == graph.stimulus:
                continue
            w = link.matrix
            if link.name in auxiliary:
                w = np.concatenate([w, auxiliary[link.name]])
            b = np.linalg.pinv(w)[:, : len(link.matrix)]
            brought = link.scatter(moved, b, graph.sizes[link.pre]) / (size * pi[name])
            found[link.pre] = found.get(link.pre, 0) + brought
            asked = size * pi[name]
            pi[link.pre] = np.minimum(pi.get(link.pre, asked), asked)
    return found


def changes(graph, x, c_top_of, **settings):
    """Changes by link and population; ``c_top_of(r_top)`` is the objective's credit."""
    drives, rates = graph.settle(x)
    found = credits(graph, drives, rates, c_top_of(rates[graph.top]), **settings)
    return graph.changes(found, drives, rates)
