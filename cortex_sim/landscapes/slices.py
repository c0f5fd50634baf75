"""Random directions in which slices of different networks can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def filter_normalised(weights: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    """A random direction, in which every unit's incoming weights have the length that they have at the point.

    d ← d ‖w‖ / ‖d‖ for each row of each array (post, …), from Gaussian d: so the scale of weights, which a
    rectifying network does not depend on, does not change how steep a slice looks. Biases do not move: leave
    them out.

    References
    ----------
    Li, Xu, Taylor, Studer and Goldstein (2018), arXiv 1712.09913, section 4.
    """
    found = []
    for w in weights:
        rows = w.reshape(len(w), -1)
        d = rng.normal(size=rows.shape)
        d *= (np.linalg.norm(rows, axis=1) / np.linalg.norm(d, axis=1))[:, None]
        found.append(d.reshape(w.shape))
    return found
