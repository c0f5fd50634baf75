"""Learning curves: accuracy, objective, and the angle of each update to backpropagation's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from cortex_sim.viz.panels import COLOURS, new_figure, plain, save_figure

Lines = Sequence[Mapping[str, Any]]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Evaluations of a run, from its metrics.jsonl."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _angles(axes: Axes, lines: Lines, named: Mapping[str, str]) -> None:
    for name, colour in named.items():
        points = [
            (line["epoch"], line["angle_to_bp_deg"][name])
            for line in lines
            if line["angle_to_bp_deg"].get(name) is not None
        ]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker="o", ms=3, label=name)
    axes.axhline(90, color="0.6", lw=1, ls=":")
    axes.set_ylim(-3, max(95, axes.get_ylim()[1]))
    plain(axes, "epoch", "angle to backpropagation (deg)")


def tested_on(lines: Lines) -> str:
    """Part of the data on which a run was evaluated: "validation" if some were held out, else "test"."""
    return "validation" if "validation_loss" in lines[0] else "test"


def learning_curves(lines: Lines, path: Path, rule: str | None) -> None:
    """One run: accuracy, objective, angle and orthogonality by epoch, saved at ``path``.

    ``rule`` is named in the title: rule and regularisers.
    """
    part = tested_on(lines)
    figure = new_figure(11, 6.5)
    accuracy, objective, angle, orthogonality = figure.subplots(2, 2).flat
    epochs = [line["epoch"] for line in lines]
    accuracy.plot(epochs, [line[f"{part}_accuracy"] for line in lines], color=COLOURS[0], label=part)
    accuracy.plot(
        epochs,
        [line["train_accuracy"] for line in lines],
        color=COLOURS[1],
        ls="--",
        label="training",
    )
    plain(accuracy, "epoch", "accuracy")
    accuracy.set_ylim(0, 1.02)
    accuracy.legend(frameon=False, loc="lower right")
    objective.plot(epochs, [line[f"{part}_loss"] for line in lines], color=COLOURS[0], label=part)
    trained = [(line["epoch"], line["train_loss"]) for line in lines if line["train_loss"] is not None]
    if trained:
        objective.plot(*zip(*trained, strict=True), color=COLOURS[1], ls="--", label="training")
    plain(objective, "epoch", "objective")
    objective.legend(frameon=False)
    names = list(lines[0]["orthogonality_deviation"])
    named = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    _angles(angle, lines, {n: c for n, c in named.items() if n in lines[0]["angle_to_bp_deg"]})
    for name, colour in named.items():
        values = [line["orthogonality_deviation"][name] for line in lines]
        orthogonality.plot(epochs, values, color=colour, label=name)
    orthogonality.legend(frameon=False, fontsize=8, loc="best")
    plain(orthogonality, "epoch", "orthogonality deviation")
    orthogonality.set_ylim(bottom=0)
    figure.suptitle(f"learning by {rule}" if rule else "learning as declared")
    save_figure(figure, path)


def compare_rules(curves: Mapping[str, Lines], path: Path) -> None:
    """Several rules on one network: accuracy together, angles of each projection side by side.

    Projections whose updates equal backpropagation's under every rule (the top one's) get no panel.
    """
    names = list(next(iter(curves.values()))[0]["angle_to_bp_deg"])
    found = {name: [_angle_points(lines, name) for lines in curves.values()] for name in names}
    distinct = [n for n in names if any(angle > 0.01 for points in found[n] for _, angle in points)]
    same = [n for n in names if n not in distinct]
    figure = new_figure(5.2 * (1 + len(distinct)), 4.2)
    panels = figure.subplots(1, 1 + len(distinct), squeeze=False)[0]
    for i, (rule, lines) in enumerate(curves.items()):
        # The first rule, the reference, is drawn broad so that it stays visible under other curves.
        style = {"color": COLOURS[i % len(COLOURS)], "lw": 2 if i else 6, "alpha": 1 if i else 0.4}
        epochs = [line["epoch"] for line in lines]
        accuracy = [line["test_accuracy"] for line in lines]
        panels[0].plot(epochs, accuracy, label=rule.replace("_", " "), **style)
        for axes, name in zip(panels[1:], distinct, strict=True):
            if found[name][i]:
                axes.plot(*zip(*found[name][i], strict=True), **style)
    plain(panels[0], "epoch", "test accuracy")
    panels[0].set_ylim(0, 1.02)
    panels[0].legend(frameon=False, loc="lower right")
    for axes, name in zip(panels[1:], distinct, strict=True):
        axes.axhline(90, color="0.6", lw=1, ls=":")
        highest = max((angle for points in found[name] for _, angle in points), default=90)
        axes.set_ylim(-3, max(95, highest + 3))
        axes.set_title(name)
        plain(axes, "epoch", "angle to backpropagation (deg)")
    if same:
        figure.supxlabel(f"0 degrees under every rule: {', '.join(same)}", fontsize=9, color="0.4")
    save_figure(figure, path)


def _angle_points(lines: Lines, name: str) -> list[tuple[float, float]]:
    angles = ((line["epoch"], line["angle_to_bp_deg"].get(name)) for line in lines)
    return [(epoch, angle) for epoch, angle in angles if angle is not None]
