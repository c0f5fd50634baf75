"""Random directions in which slices of different networks can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def filter_normalised(weights: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    """A random direction in which each unit's incoming weights are as long as those in ``weights``.

    d ← d ‖w‖ / ‖d‖ for each row of each array (post, …), from Gaussian d. So the scale of the weights, which
    does not matter in a rectifying network, does not change how steep a slice looks. Biases stay fixed in a
    slice: leave them out.

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
