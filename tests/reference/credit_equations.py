"""What a credit network tells one presentation, written out unit by unit; python floats.

Parameters are those of ``DenseCredit.shapes()`` or ``SharedCredit.shapes()``; ``d[i]`` is the kernel
(unit, channel) of hidden population i, ``alpha[i]`` its addresses (channel, output).
"""

import math

import numpy as np

TINY = 1e-12


def root_mean_square(values):
    return math.sqrt(sum(v * v for v in values) / len(values) + TINY)


def size_of(base):
    """Root mean square, 0 where nothing stands there."""
    mean = sum(v * v for v in base) / len(base)
    return mean / math.sqrt(mean + TINY)


def applied(w, x):
    return [sum(w[i][j] * x[j] for j in range(len(x))) for i in range(len(w))]


def layer(w, bias, x):
    return [math.tanh(a + b) for a, b in zip(applied(w, x), bias, strict=True)]


def base_of(p, rates, goal, error):
    """The error, or, where a contrast was trained, tanh(αy − βr + γr̄ + δ)."""
    if "contrast" not in p:
        return list(error)
    alpha, beta, gamma, delta = np.ravel(p["contrast"])
    mean = sum(rates) / len(rates)
    return [math.tanh(alpha * y - beta * r + gamma * mean + delta) for y, r in zip(goal, rates, strict=True)]


def read(p, rates, goal, error):
    first = [math.tanh(r / 4) for r in rates] if "contrast" in p else list(error)
    return first, list(goal)


def pooled(d, hidden):
    """Rates around each channel, |D| as weights, mean over populations."""
    channels = len(d[0][0])
    found = [0.0] * channels
    for kernel, rates in zip(d, hidden, strict=True):
        for k in range(channels):
            near = [abs(row[k]) for row in kernel]
            found[k] += sum(n * r for n, r in zip(near, rates, strict=True)) / sum(near) / len(d)
    return found


def finished(top, channels, d):
    """Channels as long as the top's credit, then spread: c_i = Σ_k D_ik g_k."""
    credits = []
    for g, kernel in zip(channels, d, strict=True):
        ratio = root_mean_square(top) / root_mean_square(g)
        credits.append(applied(kernel, [ratio * v for v in g]))
    return top, credits


def dense(p, d, rates, goal, error, hidden=None):
    """Credit of the top, and of each hidden population; set i of channels for population i."""
    base = base_of(p, rates, goal, error)
    first, second = read(p, rates, goal, error)
    seen = first + second + (pooled(d, hidden) if hidden is not None else [])
    h = layer(p["context"], p["context_bias"][0], seen)
    h = layer(p["hidden"], p["hidden_bias"][0], h)
    s = size_of(base)
    top = [b + s * a for b, a in zip(base, applied(p["top"], h), strict=True)]
    channels = []
    for i in range(len(d)):
        broadcast, added = applied(p[f"broadcast_{i}"], base), applied(p[f"channels_{i}"], h)
        channels.append([b + s * a for b, a in zip(broadcast, added, strict=True)])
    return finished(top, channels, d)


def small(p, name, z):
    """ψ(z) = Σ_h out_h tanh(weights_h·z + bias_h)."""
    h = layer(p[name], p[f"{name}_bias"][0], z)
    return sum(o * v for o, v in zip(p[f"{name}_out"][0], h, strict=True))


def shared(p, d, alpha, rates, goal, error):
    base = base_of(p, rates, goal, error)
    e, y = read(p, rates, goal, error)
    s = size_of(base)
    top = [base[j] + s * small(p, "top", [e[j], y[j]]) for j in range(len(base))]
    channels = []
    for addresses in alpha:
        g = []
        for a in addresses:
            parts = [
                a[j] * base[j] + s * small(p, "unit", [a[j], e[j], y[j], a[j] * e[j], a[j] * y[j]])
                for j in range(len(base))
            ]
            g.append(sum(parts) / len(parts))
        channels.append(g)
    return finished(top, channels, d)
