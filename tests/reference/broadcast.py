"""One step of a broadcast rule in a dense tanh chain with a linear top, from its equations; numpy float64.

Weights and biases are lists from below, ``send`` says what the units of a level receive of the top's credit.
"""

import numpy as np


def forward(w, bias, x):
    """Rates of every level, the stimulus first."""
    rates = [np.asarray(x, float)]
    for level, (matrix, b) in enumerate(zip(w, bias, strict=True)):
        drive = rates[-1] @ matrix.T + b
        rates.append(drive if level == len(w) - 1 else np.tanh(drive))
    return rates


def credit_of_labels(top, labels):
    """Minus the gradient of the cross-entropy: one-hot minus softmax."""
    odds = np.exp(top - top.max(1, keepdims=True))
    return np.eye(top.shape[1])[labels] - odds / odds.sum(1, keepdims=True)


def changes(w, bias, x, labels, send):
    """ΔW/η of every projection, from below: the mean over presentations of u r_preᵀ."""
    rates = forward(w, bias, x)
    top = credit_of_labels(rates[-1], labels)
    found = []
    for level, matrix in enumerate(w):
        change = np.zeros_like(matrix)
        for n in range(len(x)):
            u = top[n] if level == len(w) - 1 else send(level, top[n]) * (1 - rates[level + 1][n] ** 2)
            change += np.outer(u, rates[level][n]) / len(x)
        found.append(change)
    return found


def own(model):
    """Weights and biases of a built chain, from below."""
    ups = model.net.bottom_ups
    return [model.weights[p.name].detach().numpy() for p in ups], [
        model.biases[p.post].detach().numpy() for p in ups
    ]
