"""Credit handed down link by link, c_pre = sum over what it drives of B u: float64, from the equation.

B = W^T is backpropagation (Rumelhart et al. 1986), any other B feedback alignment (Lillicrap et al.
2016, eq. 4), B = W^+ GAIT-prop's limit form.
"""

import numpy as np
from graphs import ACTIVATIONS


def credits(graph, drives, c_top, down):
    """Credit by population; ``down(link)`` is B (fan_in, output) of one place."""
    found = {graph.top: c_top}
    for name in reversed(graph.order[1:]):
        if name not in found:
            continue
        u = found[name] * ACTIVATIONS[graph.activation[name]][1](drives[name])
        for link in graph.links:
            if link.post == name and link.pre != graph.stimulus:
                brought = link.scatter(u, down(link), graph.sizes[link.pre])
                found[link.pre] = found.get(link.pre, 0) + brought
    return found


def transposed(link):
    return link.matrix.T


def inverted(link):
    return np.linalg.pinv(link.matrix)


def damped(damping, rescale=False):
    """(W^T W + alpha I)^-1 W^T, by the normal equations, perhaps times s^2 + alpha."""

    def down(link):
        w = link.matrix
        if not link.plastic:
            return w.T
        gram = w.T @ w + damping * np.eye(w.shape[1])
        gain = (w**2).sum() / min(w.shape) + damping if rescale else 1.0
        return gain * np.linalg.solve(gram, w.T)

    return down


def changes(graph, x, c_top_of, down):
    """Changes by link and population; ``c_top_of(r_top)`` is the objective's credit."""
    drives, rates = graph.settle(x)
    found = credits(graph, drives, c_top_of(rates[graph.top]), down)
    return graph.changes(found, drives, rates)
