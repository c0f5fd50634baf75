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

    ``rule``, the rule and its regularisers, is named in the title.
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


def rule_style(number: int) -> dict[str, Any]:
    """Style of a rule's curve; the first, the reference, is wide so that it stays visible under others."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "lw": 2 if number else 6,
        "alpha": 1 if number else 0.4,
    }


def accuracies(axes: Axes, curves: Mapping[str, Lines]) -> None:
    """Test accuracy of each rule by epoch."""
    for number, (rule, lines) in enumerate(curves.items()):
        epochs, accuracy = [line["epoch"] for line in lines], [line["test_accuracy"] for line in lines]
        axes.plot(epochs, accuracy, label=rule.replace("_", " "), **rule_style(number))
    plain(axes, "epoch", "test accuracy")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, loc="lower right")


def angles_by_rule(axes: Axes, curves: Mapping[str, Lines], name: str) -> None:
    """Angle of a projection's update to backpropagation's, of each rule by epoch."""
    highest = 90.0
    for number, lines in enumerate(curves.values()):
        points = _angle_points(lines, name)
        if points:
            axes.plot(*zip(*points, strict=True), **rule_style(number))
            highest = max(highest, *(angle for _, angle in points))
    axes.axhline(90, color="0.6", lw=1, ls=":")
    axes.set_ylim(-3, max(95, highest + 3))
    axes.set_title(name, fontsize=10)
    plain(axes, "epoch", "angle to backpropagation (deg)")


def _angle_points(lines: Lines, name: str) -> list[tuple[float, float]]:
    angles = ((line["epoch"], line["angle_to_bp_deg"].get(name)) for line in lines)
    return [(epoch, angle) for epoch, angle in angles if angle is not None]
