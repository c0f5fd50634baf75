"""Figures of inner runs on functions: share solved over evaluations, trajectories on a landscape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from cortex_sim.tdca.functions.tasks import Tasks


def solved_over(cells: Sequence[Mapping[str, Any]], evaluations: int) -> np.ndarray:
    """Share of tasks solved after 0, 1, …, ``evaluations`` evaluations."""
    at = np.array([np.inf if a is None else a for cell in cells for a in cell["solved_at"]])
    return (at[:, None] <= np.arange(evaluations + 1)).mean(0)


def draw_shares(
    axes: Any,
    per_life: Mapping[str, Any],
    dimensions: Sequence[int],
    groups: Mapping[str, Sequence[str]],
    evaluations: int,
) -> None:
    """Share solved over evaluations: a colour for each number of variables, a line style for each group."""
    for number, n in enumerate(dimensions):
        for (group, names), style in zip(groups.items(), ("-", "--"), strict=False):
            cells = [per_life[f"n{n} {name}"] for name in names]
            if cells:
                shares = solved_over(cells, evaluations)
                axes.plot(shares, style, color=f"C{number}", lw=1.2, label=f"n = {n}, {group}")
    axes.set(xlabel="evaluations", ylabel="share of tasks solved", ylim=(0, 1), xlim=(0, evaluations))
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def draw_landscape(axes: Any, tasks: Tasks, paths: Sequence[np.ndarray], title: str) -> None:
    """The first task's function of two variables, log₁₀ of values above the minimum, and paths of points.

    Parameters
    ----------
    axes : matplotlib axes
    tasks : Tasks
        Functions of two variables.
    paths : sequence of array of shape (step, 2)
    title : str
    """
    ticks = torch.linspace(-1.3, 1.3, 241, dtype=tasks.shift.dtype)
    x = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1).reshape(1, -1, 2)
    above = tasks.measure(x.expand(tasks.count, -1, -1))[0][0].reshape(len(ticks), -1) / tasks.median[0]
    levels = np.log10(above.clamp(min=1e-3).numpy())
    axes.contourf(ticks, ticks, levels, 24, cmap="Greys_r")
    axes.plot(*tasks.shift[0].numpy(), "*", color="C3", ms=11, mec="w", zorder=5)
    for number, path in enumerate(paths):
        axes.plot(*path.T, "-", color=f"C{number % 3}", lw=0.9)
        axes.plot(*path[0], "o", color=f"C{number % 3}", ms=4, mec="w")
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xticks=[], yticks=[], aspect="equal")
    axes.set_title(title, fontsize=9)
