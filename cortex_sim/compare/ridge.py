"""Ridge regression with a penalty for each neuroid, chosen by cross-validation in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from logging import getLogger

import numpy as np

from cortex_sim.checks import require_positive
from cortex_sim.compare.folds import Numbers
from cortex_sim.compare.reduction import Components, principal_components
from cortex_sim.compare.responses import Array
from cortex_sim.errors import DataError

_log = getLogger(__name__)

#: Multiples of the mean variance of the principal components: two per decade.
PENALTIES: tuple[float, ...] = tuple(float(10.0 ** (e / 2)) for e in range(-8, 9))


@dataclass(frozen=True, eq=False)
class FittedRidge:
    """Weights on principal components, and the penalty of each neuroid.

    Parameters
    ----------
    components : Components
        Of the training stimuli.
    weights : array of shape (component, neuroid)
    mean : array of shape (neuroid,)
        Mean response to the training stimuli.
    penalties : array of shape (neuroid,)
        Chosen multiples of the mean variance of the components.
    at_edge : array of bool of shape (neuroid,)
        Whether the choice lies at an edge of the grid, after it was widened.
    grid : array of shape (penalty,)
        All penalties tried, ascending.
    """

    components: Components
    weights: Array
    mean: Array
    penalties: Array
    at_edge: Array
    grid: Array

    def predict(self, x: Array) -> Array:
        """Predicted responses, shape (stimulus, neuroid)."""
        return self.components.scores(x) @ self.weights + self.mean


@dataclass(frozen=True)
class Ridge:
    """Least squares with a penalty on the squared weights, α‖w‖², with a separate α for each neuroid.

    w = (XᵀX + αI)⁻¹Xᵀy, with X centred and not scaled, and an intercept without penalty.
    Penalties are chosen by the squared error of predictions for stimuli left out of the training set,
    one inner fold at a time, without fitting again: with the singular values s and left singular vectors U
    of X, and n stimuli, the fitted responses are Hy with H = 1/n + U diag(s²/(s² + α)) Uᵀ, and the errors of
    a left-out fold g are (I − H_gg)⁻¹ (y − Hy)_g, exactly.

    Parameters
    ----------
    penalties : sequence of float
        Multiples of Σs²/k, the mean of the k squared singular values, so that they fit any population. Where
        more than ``share`` of the neuroids have their best penalty at an edge, the grid is widened there
        by two decades, repeatedly, up to where only the size of predictions changes (α above 10³ max s²) or
        nothing does (below 10⁻³ min s²).
    share : float, default 0.1
        Share of neuroids at an edge that is accepted.
    most : int, optional
        Principal components kept of each training set; by default all.

    References
    ----------
    Hoerl & Kennard (1970), Technometrics 12; the leave-one-out form: Allen (1974), Technometrics 16.
    """

    penalties: tuple[float, ...] = PENALTIES
    share: float = 0.1
    most: int | None = None
    name: str = field(default="ridge", init=False)

    def __post_init__(self) -> None:
        grid = tuple(sorted({float(p) for p in self.penalties}))
        if not grid:
            raise DataError("Ridge: penalties is empty; give positive numbers, such as (0.1, 1.0, 10.0)")
        require_positive(self, **{f"penalties[{i}]": p for i, p in enumerate(grid)})
        object.__setattr__(self, "penalties", grid)

    def fit(self, x: Array, y: Array, inner: Numbers) -> FittedRidge:
        """Fit to training stimuli.

        Parameters
        ----------
        x : array of shape (stimulus, feature)
        y : array of shape (stimulus, neuroid)
        inner : array of shape (stimulus,)
            Stimuli with the same number are left out together when penalties are compared.
        """
        found, mean = principal_components(x, self.most), y.mean(0)
        unit = float((found.sizes**2).sum()) / max(len(found.sizes), 1)
        projected = found.left.T @ (y - mean)
        grid = np.asarray(self.penalties)
        errors = left_out_errors(found, y - mean, projected, grid * unit, inner)
        grid, errors = self._widened(found, y - mean, projected, inner, unit, grid, errors)
        best = errors.argmin(0)
        chosen = grid[best]
        weights = projected * (found.sizes[:, None] / (found.sizes[:, None] ** 2 + chosen * unit))
        edge = (best == 0) | (best == len(grid) - 1)
        return FittedRidge(found, weights, mean, chosen, edge, grid)

    def _widened(
        self,
        found: Components,
        y: Array,
        projected: Array,
        inner: Numbers,
        unit: float,
        grid: Array,
        errors: Array,
    ) -> tuple[Array, Array]:
        """The grid and its errors, extended while too many neuroids have their best penalty at an edge."""
        if not len(found.sizes):  # all training stimuli give the same responses: the mean is predicted
            return grid, errors
        largest, smallest = found.sizes[0] ** 2, found.sizes[-1] ** 2
        # Below 1e-10 of the largest variance, I − H_gg would be rounding error alone.
        lowest, highest = max(1e-3 * smallest, 1e-10 * largest) / unit, 1e3 * largest / unit
        while True:
            best = errors.argmin(0)
            below = (best == 0).mean() > self.share and grid[0] > lowest
            above = (best == len(grid) - 1).mean() > self.share and grid[-1] < highest
            if not (below or above):
                return grid, errors
            steps = 10.0 ** np.array([0.5, 1.0, 1.5, 2.0])
            more = np.concatenate([grid[0] / steps[::-1] if below else [], grid[-1] * steps if above else []])
            _log.info("ridge: best penalties at the edge of %.1e to %.1e; widened", grid[0], grid[-1])
            added = left_out_errors(found, y, projected, more * unit, inner)
            order = np.argsort(np.concatenate([grid, more]))
            grid = np.concatenate([grid, more])[order]
            errors = np.concatenate([errors, added])[order]


def left_out_errors(found: Components, y: Array, projected: Array, alphas: Array, inner: Numbers) -> Array:
    """Sum of squared errors for stimuli left out by inner fold, shape (penalty, neuroid).

    Parameters
    ----------
    found : Components
        Of all training stimuli.
    y : array of shape (stimulus, neuroid)
        Centred responses.
    projected : array of shape (component, neuroid)
        Uᵀy.
    alphas : array of shape (penalty,)
        Penalties α.
    inner : array of shape (stimulus,)
        Inner fold of each stimulus.
    """
    order = np.argsort(inner, kind="stable")
    edges = np.flatnonzero(np.diff(inner[order])) + 1
    blocks = np.split(order, edges)
    errors = np.zeros((len(alphas), y.shape[1]))
    for a, alpha in enumerate(alphas):
        kept = found.sizes**2 / (found.sizes**2 + alpha)
        residual = y - found.left @ (kept[:, None] * projected)
        for block in blocks:
            left = found.left[block]
            own = np.eye(len(block)) - 1 / len(y) - (left * kept) @ left.T
            errors[a] += (np.linalg.solve(own, residual[block]) ** 2).sum(0)
    return errors
