"""Figures of square matrices: representational dissimilarities, and the recovery of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from cortex_sim.errors import DataError
from cortex_sim.viz.panels import finished, new_figure

if TYPE_CHECKING:
    from cortex_sim.compare.responses import Dissimilarities


def rdm_panels(rdms: Mapping[str, Dissimilarities], path: str | Path | None = None) -> Figure:
    """Representational dissimilarity matrices side by side, as ranks, so that all share one scale.

    Parameters
    ----------
    rdms : mapping of str to Dissimilarities
        RDMs of each panel, by its title; several RDMs under one name are averaged.
    path : path, optional
        File to write (PNG, SVG, PDF).
    """
    if not rdms:
        raise DataError("figure of RDMs: none given; give a name and Dissimilarities for each panel")
    columns = min(len(rdms), 5)
    lines = -(-len(rdms) // columns)
    figure = new_figure(2.3 * columns + 0.6, 2.5 * lines + 0.2)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, data) in zip(grid.flat, rdms.items(), strict=False):
        shown = axes.imshow(_ranks(data), vmin=0, vmax=100, cmap="viridis", interpolation="nearest")
        axes.set_title(name, fontsize=9)
    bar = figure.colorbar(shown, ax=grid, shrink=0.7, label="dissimilarity (percentile)")
    bar.outline.set_visible(False)
    return finished(figure, path)


def _ranks(data: Dissimilarities) -> np.ndarray:
    from scipy.stats import rankdata

    mean = np.nanmean(data.values, axis=0)
    ranks = np.full(mean.shape, np.nan)
    known = np.isfinite(mean)
    ranks[known] = 100 * (rankdata(mean[known]) - 1) / max(known.sum() - 1, 1)
    n = len(data)
    full = np.full((n, n), np.nan)
    rows, columns = np.triu_indices(n, 1)
    full[rows, columns] = full[columns, rows] = ranks
    return full


def recovery_matrix(
    confusion: ArrayLike, names: Sequence[str], path: str | Path | None = None, level: float = 0.8
) -> Figure:
    """How often each model scored best (columns) for data simulated from each model (rows).

    Parameters
    ----------
    confusion : array of shape (simulated, chosen)
        Shares between 0 and 1; rows sum to 1.
    names : sequence of str
    path : path, optional
        File to write (PNG, SVG, PDF).
    level : float, default 0.8
        Share of recovery below which no winner is named; diagonal entries below it are marked.
    """
    matrix = np.asarray(confusion, dtype=float)
    if matrix.shape != (len(names), len(names)):
        raise DataError(
            f"figure of recovery: needs a matrix with one row and column for each of {len(names)} models. "
            f"Got shape {matrix.shape}"
        )
    side = 0.62 * len(names) + 2.2
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    shown = axes.imshow(matrix, vmin=0, vmax=1, cmap="Blues")
    for row, column in np.ndindex(matrix.shape):
        weak = row == column and matrix[row, column] < level
        axes.text(
            column,
            row,
            f"{matrix[row, column]:.2f}".lstrip("0") + ("*" if weak else ""),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if matrix[row, column] > 0.6 else "black",
        )
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="scored best", ylabel="data simulated from")
    axes.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axes, shrink=0.7, label="share of simulations")
    if (np.diag(matrix) < level).any():
        axes.set_title(f"* recovered in under {level:.0%} of simulations: no winner is named", fontsize=8)
    return finished(figure, path)
