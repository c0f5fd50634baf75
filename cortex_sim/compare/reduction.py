"""Fewer coordinates for wide populations: an exact change of coordinates, and principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortex_sim.compare.responses import Array

WIDEST = 1000  # features beyond which a population is reduced to principal components
EXACT = 4000  # stimuli and features beyond which components are found by randomised projection
NEGLIGIBLE = 1e-12  # variance, relative to the largest, below which a direction is rounding


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of training stimuli, x − mean = U diag(s) Vᵀ.

    Parameters
    ----------
    mean : array of shape (feature,)
    axes : array of shape (feature, component)
        V, orthonormal; the component with the largest variance comes first.
    sizes : array of shape (component,)
        s, singular values.
    left : array of shape (stimulus, component)
        U, orthonormal: the training stimuli's scores divided by s.
    """

    mean: Array
    axes: Array
    sizes: Array
    left: Array

    def scores(self, x: Array) -> Array:
        """Coordinates of other stimuli, shape (stimulus, component)."""
        return (x - self.mean) @ self.axes


def principal_components(x: Array, most: int | None = None, seed: int = 0) -> Components:
    """Principal components of x (stimulus, feature): at most ``most``, and at most stimuli − 1.

    By the eigenvectors of the smaller of xᵀx and xxᵀ. Directions with less than 1e-12 of the largest
    variance are rounding, and are left out. Beyond 4000 stimuli and features, and if ``most`` is given,
    by randomised projection (`sklearn.decomposition.PCA`), seeded.
    """
    mean = x.mean(0)
    centred = x - mean
    most = min(x.shape) if most is None else min(most, *x.shape)
    if most < min(x.shape) and min(x.shape) > EXACT:
        return _randomised(x, most, seed)
    wide = x.shape[1] > x.shape[0]
    variances, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    kept = np.flatnonzero(variances > NEGLIGIBLE * max(variances[-1], np.finfo(float).tiny))[::-1][:most]
    sizes, vectors = np.sqrt(variances[kept]), vectors[:, kept]
    if wide:
        return Components(mean, (centred.T @ vectors) / sizes, sizes, vectors)
    return Components(mean, vectors, sizes, (centred @ vectors) / sizes)


def _randomised(x: Array, most: int, seed: int) -> Components:
    from sklearn.decomposition import PCA

    found = PCA(most, svd_solver="randomized", iterated_power=4, random_state=seed).fit(x)
    axes = found.components_.T
    return Components(found.mean_, axes, found.singular_values_, found.transform(x) / found.singular_values_)


def coordinates(x: Array) -> Array:
    """The stimuli in at most as many coordinates as there are stimuli, shape (stimulus, coordinate).

    A rotation of the features and a common shift: all differences between stimuli, and the angles between
    differences, are preserved. Whatever is computed from centred, unscaled features, such as ridge
    regression, PLS, and principal components of some of the stimuli, stays the same, and costs less. Nothing
    is fitted, so nothing leaks from stimuli that are held out. Narrow populations are returned unchanged,
    and so are those with more than 4000 stimuli, where this would take longer than it saves.
    """
    if x.shape[1] <= len(x) or len(x) > EXACT:
        return x
    found = principal_components(x)
    return found.left * found.sizes
