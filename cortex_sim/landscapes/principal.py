"""Variance that the first principal components explain, of a trajectory and of a random walk."""

from __future__ import annotations

import numpy as np

from cortex_sim.errors import DeclarationError

Array = np.ndarray


def explained(trajectory: Array, components: int = 2) -> Array:
    """Shares of variance of the first principal components, (component,), of points (time, parameter)."""
    points = np.asarray(trajectory, dtype=float)
    points = points - points.mean(0)
    return _shares(points @ points.T, components)


def explained_of_random_walk(lengths: Array, components: int = 2) -> Array:
    """The same of a random walk with steps of these lengths (time,), in a space of very many dimensions.

    Steps are then orthogonal, so that x_s · x_t is the sum of the squared lengths of the steps before both
    times. For many steps of equal length component k explains 6/(πk)²: 61 %, 15 %, 7 %, …

    References
    ----------
    Antognini and Sohl-Dickstein (2018), arXiv 1806.08805.
    """
    lengths = np.asarray(lengths, dtype=float)
    travelled = np.concatenate(([0.0], np.cumsum(np.square(lengths))))
    gram = np.minimum(travelled[:, None], travelled[None])
    rows = gram.mean(0)
    return _shares(gram - rows[:, None] - rows[None] + gram.mean(), components)


def _shares(gram: Array, components: int) -> Array:
    """Largest eigenvalues of a centred Gram matrix, relative to their sum."""
    total = np.trace(gram)
    if not total > 0:
        raise DeclarationError("trajectory: its points are all the same; give one that moves")
    return np.linalg.eigvalsh(gram)[::-1][:components] / total
