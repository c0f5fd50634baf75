"""Parts of the figures of studies: curves of an arm with its spread, and heat maps that show failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cortex_sim.tdca.studies.compare import accuracies_by_seed, difference, spread
from cortex_sim.tdca.studies.jobs import Folders

NOT_YET = "not run yet"
RANGE = 5.0  # percentage points at the ends of a map's colours; values beyond have the end's colour


def curve(
    axes: Any, folders: Folders, name: str, label: str, steps: Sequence[int], title: str, **style: Any
) -> None:
    """Accuracy of an arm over inner steps: mean over all inner runs, and one standard deviation as a band."""
    cells = [(n, spread(accuracies_by_seed(folders, name, label, n))) for n in steps]
    seen = np.array([(n, *cell) for n, cell in cells if cell is not None])
    if not len(seen):
        return
    at, mean, sd = seen.T
    (line,) = axes.plot(at, mean, marker="o", markersize=3, lw=1.4, label=title, **style)
    axes.fill_between(at, mean - sd, mean + sd, color=line.get_color(), alpha=0.15, lw=0)


def finish_curves(axes: Any, steps: Sequence[int], title: str) -> None:
    """Logarithmic axis of steps, with labels; a note if nothing was drawn."""
    from cortex_sim.viz.panels import plain

    plain(axes, "inner steps", "test accuracy")
    axes.set_title(title, fontsize=10)
    axes.set_xscale("log")
    axes.set_xticks(steps, [str(n) for n in steps], minor=False)
    axes.minorticks_off()
    if not axes.lines:
        axes.text(0.5, 0.5, NOT_YET, transform=axes.transAxes, ha="center", color="0.4")


def heat(
    axes: Any,
    folders: Folders,
    ours: str,
    theirs: str,
    rows: Sequence[str],
    columns: Sequence[object],
    cells: Sequence[Sequence[tuple[str, int]]],
) -> Any:
    """Accuracy of ours minus theirs in percentage points, red where ours is worse; seed 0.

    ``cells[i][j]`` is label and steps. A cell that failed or was not run is grey and labelled. Each cell also
    shows the accuracy of ``ours``, below the difference.
    """
    values = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(cells):
        for j, (label, steps) in enumerate(row):
            mine, other = (accuracies_by_seed(folders, name, label, steps, (0,)) for name in (ours, theirs))
            found, level = difference(mine, other), spread(mine)
            if found is None or level is None:
                axes.text(
                    j,
                    i,
                    _why(folders, (ours, theirs), label),
                    ha="center",
                    va="center",
                    fontsize=6,
                    color="0.4",
                )
                continue
            values[i, j] = 100 * found.mean
            ink = "w" if abs(values[i, j]) > 0.7 * RANGE else "k"
            text = f"{values[i, j]:+.1f}\n{100 * level[0]:.0f} %"
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5, color=ink)
    shown = axes.imshow(values, cmap="RdBu", vmin=-RANGE, vmax=RANGE, aspect="auto")
    axes.set_facecolor("0.9")
    axes.set_xticks(range(len(columns)), [str(c) for c in columns], fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    return shown


def _why(folders: Folders, names: Sequence[str], label: str) -> str:
    results = [folders.kept(f"{name}-0") for name in names]
    ran = all(result is not None and label in result["per_life"] for result in results)
    return "failed" if ran else NOT_YET
