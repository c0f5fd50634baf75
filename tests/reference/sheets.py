"""Convolutions with groups and pooling as dense matrices, one unit at a time, and the rules on them.

Float64, written from the equations; a chain of such projections is settled and changed by explicit matrices
(post unit, pre unit), of which a kernel's change is the sum over its places.
"""

from math import prod

import numpy as np


def two(value):
    return value if isinstance(value, tuple) else (value, value)


def synapses(connector, pre, post):
    """Every synapse of a convolution: weight (o, c, i, j), post unit, pre unit."""
    (k1, k2), (s1, s2) = two(connector.kernel), two(connector.stride)
    (p1, p2), (d1, d2) = two(connector.padding), two(connector.dilation)
    ins, outs = pre[0] // connector.groups, post[0] // connector.groups
    for o, row, column in np.ndindex(*post):
        for c, i, j in np.ndindex(ins, k1, k2):
            y, x = row * s1 + i * d1 - p1, column * s2 + j * d2 - p2
            if 0 <= y < pre[1] and 0 <= x < pre[2]:
                channel = (o // outs) * ins + c
                above = (o * post[1] + row) * post[2] + column
                yield (o, c, i, j), above, (channel * pre[1] + y) * pre[2] + x


def unrolled(connector, pre, post, w):
    """The matrix of a convolution."""
    m = np.zeros((prod(post), prod(pre)))
    for weight, above, below in synapses(connector, pre, post):
        m[above, below] += w[weight]
    return m


def rolled(connector, pre, post, dm, shape):
    """Change of a kernel from that of its matrix: every synapse adds to its weight."""
    dw = np.zeros(shape)
    for weight, above, below in synapses(connector, pre, post):
        dw[weight] += dm[above, below]
    return dw


def windows(connector, pre, post):
    """Pre units in the window of every post unit, padding left out."""
    (k1, k2), (s1, s2), (p1, p2) = two(connector.kernel), two(connector.stride), two(connector.padding)
    for above, (c, row, column) in enumerate(np.ndindex(*post)):
        places = [
            (c * pre[1] + row * s1 + i - p1) * pre[2] + column * s2 + j - p2
            for i, j in np.ndindex(k1, k2)
            if 0 <= row * s1 + i - p1 < pre[1] and 0 <= column * s2 + j - p2 < pre[2]
        ]
        yield above, places, k1 * k2


def averaging(connector, pre, post):
    """The matrix of average pooling, with silent padding."""
    m = np.zeros((prod(post), prod(pre)))
    for above, places, size in windows(connector, pre, post):
        m[above, places] = 1 / size
    return m


def averaging_all(pre, post):
    """The matrix of global average pooling."""
    m = np.zeros((prod(post), prod(pre)))
    each = pre[1] * pre[2]
    for c in range(pre[0]):
        m[c, c * each : (c + 1) * each] = 1 / each
    return m


def winning(connector, pre, post, r):
    """For each presentation the matrix that takes the first largest rate of every window."""
    found = np.zeros((len(r), prod(post), prod(pre)))
    for above, places, _ in windows(connector, pre, post):
        for n, rates in enumerate(r):
            found[n, above, places[int(np.argmax(rates[places]))]] = 1
    return found


def inverse_by_group(w, groups, damping=0.0, rescale=False):
    """Bᵀ in the kernel's shape, each group's B = Wᵀ(WWᵀ + αI)⁻¹, times its own s² + α with ``rescale``."""
    found = []
    for one in np.split(w.reshape(len(w), -1), groups):
        u, s, v = np.linalg.svd(one, full_matrices=False)
        inverse = (u * (s / (s**2 + damping))) @ v
        found.append(inverse * (np.mean(s**2) + damping if rescale else 1))
    return np.concatenate(found).reshape(w.shape)
