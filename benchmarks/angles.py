"""Angles to backpropagation during learning, not only at the end of the schedule, where the rate is 0.

At the end of a one-cycle schedule weights hardly change: a learned inverse or a mirror catches up with them,
and they have become orthogonal. An angle measured there says little about the updates during training.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Evaluations = list[dict[str, Any]]
#: Projections whose angles are named one by one.
MANY = 4


def over_training(run: Path) -> Evaluations:
    """Epoch, rate and angles of every evaluation of a run directory; empty where it has none."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{name: line[name] for name in ("epoch", "rate", "angle_to_bp_deg")} for line in lines]


def table(arms: Mapping[str, Sequence[Evaluations]], order: Sequence[str]) -> list[str]:
    """Markdown: for each arm its angles in degrees, mean over its runs; of many projections the range.

    Parameters
    ----------
    arms : dict of str to list of evaluations
        Evaluations of each run of an arm; all runs were evaluated at the same epochs.
    order : list of str
        Projections from the retina up. The last is left out: onto the top every rule is backpropagation.
    """
    arms = {arm: runs for arm, runs in arms.items() if runs}
    if not arms:
        return ["Not run yet."]
    last = max(line["epoch"] for runs in arms.values() for line in runs[0])
    shown = sorted({0, 1, 2, last // 2, last - 1, last})
    during = range(1, last)
    known = next(iter(arms.values()))[0][0]["angle_to_bp_deg"]
    below = [name for name in order if name in known][:-1]
    lines = [
        "| arm | " + " | ".join(f"epoch {e}" for e in shown) + f" | mean of 1 to {last - 1} | seeds |",
        "|" + "---|" * (len(shown) + 3),
    ]
    for arm, runs in arms.items():
        cells = [_cell(runs, [epoch], below) for epoch in shown]
        lines.append(f"| {arm} | {' | '.join(cells)} | {_cell(runs, during, below)} | {len(runs)} |")
    said = ", ".join(below) if len(below) <= MANY else f"lowest and highest of {len(below)} projections"
    return [*lines, "", f"In each cell: {said}."]


def _cell(runs: Sequence[Evaluations], epochs: Sequence[int], below: Sequence[str]) -> str:
    means = [_mean(runs, epochs, projection) for projection in below]
    if len(means) <= MANY:
        return ", ".join("–" if mean is None else f"{mean:.0f}" for mean in means)
    found = [mean for mean in means if mean is not None]
    return f"{min(found):.0f} to {max(found):.0f}" if found else "–"


def _mean(runs: Sequence[Evaluations], epochs: Sequence[int], projection: str) -> float | None:
    found = [line["angle_to_bp_deg"][projection] for run in runs for line in run if line["epoch"] in epochs]
    known = [angle for angle in found if angle is not None]
    return statistics.mean(known) if known else None
