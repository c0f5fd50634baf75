"""The figure of an outer loop, redrawn while it runs: its objective, and at the end test accuracies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim.runs.files import whole
from cortex_sim.tdca.evolving.kinds import OuterProblem

Metrics = dict[str, Any]


def progress_figure(
    lines: list[dict[str, Any]], path: Path, settings: OuterProblem, metrics: Metrics | None
) -> None:
    """Draw the figure into ``path``; the file is written whole or not at all.

    Parameters
    ----------
    lines : list of dict
        Lines of metrics.jsonl.
    path : Path
        PNG file to write.
    settings : OuterProblem
    metrics : dict or None
        Metrics of the finished run; its outcome is then drawn too.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _objective(left, lines, settings)
    if not (metrics and settings.draw(right, metrics)):
        _measured(right, lines)
    with whole(path) as part:
        figure.savefig(part, format="png", dpi=110)


def _objective(axes: Any, lines: list[dict[str, Any]], settings: OuterProblem) -> None:
    seen = [(line["step"], line["loss"]) for line in lines if line.get("loss") is not None]
    if seen:
        axes.plot(*np.array(seen).T, color="C0", linewidth=1.2)
    axes.set(xlabel="outer update", ylabel="objective of inner runs", xlim=(0, settings.iterations))
    found = settings.described()
    axes.set_title(f"{found['rule']['name']}, {found['searcher']['name']}", fontsize=10)
    axes.grid(alpha=0.3)


def _measured(axes: Any, lines: list[dict[str, Any]]) -> None:
    seen = [(line["step"], line["gradient_norm"]) for line in lines if line.get("gradient_norm")]
    if seen:
        axes.semilogy(*np.array(seen).T, color="C1", linewidth=1.0)
    axes.set(xlabel="outer update", ylabel="norm of the outer gradient")
    axes.grid(alpha=0.3)


def draw_accuracy(axes: Any, metrics: Mapping[str, Any]) -> bool:
    """Draw test accuracy over the length of inner runs, by data set; False if there is none."""
    if not metrics.get("test_accuracy"):
        return False
    for number, (label, cells) in enumerate(metrics["test_accuracy"].items()):
        steps = np.array([int(n) for n in cells])
        mean, sd = np.array(list(cells.values())).T
        axes.errorbar(steps, mean, sd, marker="o", markersize=3, capsize=2, color=f"C{number}", label=label)
    axes.set_xscale("log")
    axes.minorticks_off()
    ticks = sorted({int(n) for cells in metrics["test_accuracy"].values() for n in cells})
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.set(xlabel="length of inner runs (inner steps)", ylabel="test accuracy", ylim=(None, 1.0))
    axes.set_title("each length with its own schedule", fontsize=9)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return True
