"""Accuracy against distance from orthogonality, and against the angle to backpropagation.

    python benchmarks/orthogonality.py  # draws the figure of docs/results.md from results/vgg_like.json

Accuracy minus backpropagation's with the same seed, for every arm of the study that finished. Deviation is
that of the weights at the end, a mean over the projections whose inverse is used, all but the lowest. The
angle is a mean over the evaluations between the first and the last, and over the projections whose credit
has passed through an inverse, all but the highest, where the angle is 0 under every rule.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import accuracy
import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt

from cortex_sim import library

STUDY = "vgg_like"
FIGURE = accuracy.ROOT / "docs" / "figures" / "orthogonality.png"


def points() -> list[dict[str, Any]]:
    """One row per arm and seed."""
    spec, results = accuracy.study(STUDY), accuracy.load_results(STUDY)
    net = library.model(spec["model"])
    inverted = [p.reverse_name for p in net.top_downs if net.operator(p).weighted]
    lowest = {p.name for p in net.bottom_ups if p.pre in net.sources}
    inverted = [name for name in inverted if name not in lowest]
    below = [p.name for p in net.bottom_ups if net.operator(p).weighted][:-1]
    baseline = accuracy.final_of(spec, results, spec["baseline"])
    rows = []
    for arm, about in spec["arms"].items():
        for seed, metrics in accuracy.final_of(spec, results, arm).items():
            if seed in baseline:
                gained = 100 * (metrics["test_accuracy"] - baseline[seed]["test_accuracy"])
                deviation = statistics.mean(metrics["orthogonality_deviation"][name] for name in inverted)
                angle = _mean_angle(metrics["over_training"], below)
                rows.append({"arm": arm, "rule": about["rule"], "seed": seed, "gained": gained}
                            | {"deviation": deviation, "angle": angle})  # fmt: skip
    return rows


def _mean_angle(over_training: list[dict[str, Any]], names: list[str]) -> float:
    inner = over_training[1:-1]
    return statistics.mean(at["angle_to_bp_deg"][name] for at in inner for name in names)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Both panels: colours are arms, points are seeds; arms with exact gradients have open markers."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    colours = dict(zip(arms, plt.get_cmap("tab20").colors, strict=False))
    for axis, x, label in (
        (axes[0], "deviation", "deviation from orthogonality at the end"),
        (axes[1], "angle", "angle to backpropagation during training (°)"),
    ):
        for arm in arms:
            own = [row for row in rows if row["arm"] == arm]
            exact = own[0]["rule"] == "backprop"
            axis.scatter([row[x] for row in own], [row["gained"] for row in own], s=42, label=arm,
                         facecolors="none" if exact else colours[arm], edgecolors=colours[arm])  # fmt: skip
        axis.axhline(0, color="0.6", linewidth=0.8)
        axis.set_xlabel(label)
    axes[0].set_ylabel("test accuracy minus backpropagation's (points)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    draw(points(), FIGURE)
