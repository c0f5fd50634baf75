"""Partial least squares for many neuroids: the components of scikit-learn's PLSRegression, found faster."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cortex_sim.checks import require_count
from cortex_sim.compare.folds import Numbers
from cortex_sim.compare.reduction import Components, principal_components
from cortex_sim.compare.responses import Array

TOLERANCE = 1e-10  # of a singular vector: residual relative to the singular value
EXHAUSTED = 1e-10  # scores (relative to the stimuli) or covariances (to the first) below this are rounding
BLOCK, BLOCKS = 8, 12  # directions that are searched at once; blocks before the search restarts
RESTARTS = 100
SMALL = 120  # features or neuroids up to which a full decomposition is faster than a search


@dataclass(frozen=True, eq=False)
class FittedPLS:
    """Directions in the features, and the responses that follow from them.

    Parameters
    ----------
    centre : array of shape (feature,)
        Mean of the training stimuli.
    rotations : array of shape (feature, component)
        R = W(PᵀW)⁻¹, so that the scores of centred stimuli are XR.
    loadings : array of shape (neuroid, component)
        Q.
    mean : array of shape (neuroid,)
        Mean response to the training stimuli.
    reduced : Components, optional
        Principal components on which it was fitted; the features are then their scores.
    """

    centre: Array
    rotations: Array
    loadings: Array
    mean: Array
    reduced: Components | None = None

    @property
    def components(self) -> int:
        """Number of components found."""
        return self.rotations.shape[1]

    def predict(self, x: Array) -> Array:
        """Predicted responses, shape (stimulus, neuroid)."""
        features = x if self.reduced is None else self.reduced.scores(x)
        return (features - self.centre) @ self.rotations @ self.loadings.T + self.mean


@dataclass(frozen=True)
class PLS:
    """Partial least squares regression of all neuroids at once (PLS2), centred and not scaled.

    Component a is the direction w_a that has the largest covariance with the responses: the first left
    singular vector of E_aᵀY, where E_a is what is left of X after regressing out the scores t_1 … t_(a−1);
    t_a = E_a w_a. Predictions are those of `sklearn.cross_decomposition.PLSRegression(scale=False)` as its
    tolerance goes to 0 (with its default, 1e-6, predictions differ by up to 4e-4 of the largest).

    Neither E_a nor the residual of Y is formed: with orthonormal T, E_aᵀY = XᵀY − Σ p_b q_bᵀ, where
    p_b = Xᵀt_b and q_b = Yᵀt_b, so that a component costs two products with X, and a few with a matrix
    (feature, neuroid) to find w_a by block Lanczos iterations, started from what the component before found.

    Parameters
    ----------
    components : int, default 25
        As in Brain-Score. Fewer are found where stimuli or features do not have as many dimensions, or the
        responses are fitted exactly; none, where all training stimuli give the same responses.
    most : int, optional
        Principal components of each training set on which it is fitted; by default the features themselves.

    References
    ----------
    Wold, Sjöström & Eriksson (2001), Chemometr. Intell. Lab. 58, doi:10.1016/S0169-7439(01)00155-1; the
    deflation of the covariance alone: Dayal & MacGregor (1997), J. Chemometrics 11.
    """

    components: int = 25
    most: int | None = None
    name: str = field(default="pls", init=False)

    def __post_init__(self) -> None:
        require_count(self, components=self.components)

    def fit(self, x: Array, y: Array, inner: Numbers | None = None) -> FittedPLS:
        """Fit to training stimuli.

        Parameters
        ----------
        x : array of shape (stimulus, feature)
        y : array of shape (stimulus, neuroid)
        inner : array of shape (stimulus,), optional
            Not used: the number of components is given.
        """
        reduced = None if self.most is None else principal_components(x, self.most)
        features = x if reduced is None else reduced.left * reduced.sizes
        centre, mean = features.mean(0), y.mean(0)
        w, p, q = _components(features - centre, y - mean, self.components)
        return FittedPLS(centre, w @ np.linalg.inv(p.T @ w), q, mean, reduced)


def _components(x: Array, y: Array, most: int) -> tuple[Array, Array, Array]:
    """Weights W, and loadings P = XᵀT and Q = YᵀT of orthonormal scores T, one column per component."""
    covariance = x.T @ y
    limit, extent = EXHAUSTED * np.linalg.norm(covariance), EXHAUSTED * np.linalg.norm(x)
    w, t = np.empty((x.shape[1], most)), np.empty((len(x), most))
    p, q = np.empty((x.shape[1], most)), np.empty((y.shape[1], most))
    search, found = _Search(covariance), 0
    while found < min(most, *x.shape):
        direction, size = search.leading(covariance)
        score = x @ direction
        for _ in range(2):  # once is not enough where x is ill-conditioned
            score -= t[:, :found] @ (t[:, :found].T @ score)
        length = np.linalg.norm(score)
        if size <= limit or length <= extent:
            break  # nothing is left of the responses, or of the features
        w[:, found], t[:, found] = direction / length, score / length
        p[:, found], q[:, found] = x.T @ t[:, found], y.T @ t[:, found]
        covariance -= np.outer(p[:, found], q[:, found])
        found += 1
    return w[:, :found], p[:, :found], q[:, :found]


class _Search:
    """The first left singular vector of a matrix that changes a little from call to call.

    Block Lanczos on MᵀM, started from the runner-up directions of the previous call, near the next result.
    """

    def __init__(self, matrix: Array) -> None:
        self.rng = np.random.default_rng(0)  # for start vectors; fixed, so the same data give the same result
        self.start = self.rng.normal(size=(min(matrix.shape), BLOCK))

    def leading(self, matrix: Array) -> tuple[Array, float]:
        """Left vector, shape (row,), and singular value."""
        if min(matrix.shape) <= SMALL:
            left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
            return left[:, 0], float(sizes[0])
        if matrix.shape[1] > matrix.shape[0]:  # search in the smaller space
            vector, size = self._right(matrix.T)
            return vector, size
        vector, size = self._right(matrix)
        left = matrix @ vector
        return left / max(size, np.finfo(float).tiny), size

    def _right(self, matrix: Array) -> tuple[Array, float]:
        """First right singular vector of a matrix with at least as many rows as columns."""
        n = matrix.shape[1]
        basis, normal = np.empty((n, BLOCK * BLOCKS)), np.empty((n, BLOCK * BLOCKS))
        block = self.start
        for _ in range(RESTARTS):
            for used in range(BLOCK, BLOCK * BLOCKS + 1, BLOCK):
                new = slice(used - BLOCK, used)
                basis[:, new] = _orthonormal(block, basis[:, : used - BLOCK])
                normal[:, new] = block = matrix.T @ (matrix @ basis[:, new])
                small = basis[:, :used].T @ normal[:, :used]
                values, vectors = np.linalg.eigh((small + small.T) / 2)
                first = vectors[:, -1]
                residual = normal[:, :used] @ first - values[-1] * (basis[:, :used] @ first)
                found = np.linalg.norm(residual) <= TOLERANCE * values[-1] or values[-1] <= 0
                if found:
                    break
            ritz = basis[:, :used] @ vectors[:, : -BLOCK - 2 : -1]
            if found:
                break
            block = ritz[:, :BLOCK]
        fresh = self.rng.normal(size=(n, BLOCK + 1 - ritz.shape[1]))  # one is short after a single block
        self.start = np.hstack([ritz[:, 1:], fresh])
        return ritz[:, 0], float(np.sqrt(max(values[-1], 0.0)))


def _orthonormal(block: Array, basis: Array) -> Array:
    """Orthonormal columns that span a block outside a basis."""
    for _ in range(2):
        block = block - basis @ (basis.T @ block)
        block = np.linalg.qr(block)[0]
    return block
