"""Alternatives timed side by side in one process: interleaved steps, medians over blocks of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Step = Callable[[], object]


@dataclass(frozen=True)
class Side:
    """One alternative.

    Parameters
    ----------
    step : callable
        One step of it.
    length : int
        Steps of a block: whole cycles, so that what acts every n-th step acts equally often in each block.
    """

    step: Step
    length: int = 8


@dataclass(frozen=True)
class Timed:
    """Seconds of one step, by side and block."""

    seconds: Mapping[str, list[float]]

    def median(self, side: str) -> float:
        """Median over blocks."""
        return statistics.median(self.seconds[side])

    def over(self, ours: str, baseline: str) -> dict[str, Any]:
        """Ratio of two sides' medians, the quartiles of their ratios block by block, and the medians."""
        ratios = [a / b for a, b in zip(self.seconds[ours], self.seconds[baseline], strict=True)]
        return {
            "ratio": self.median(ours) / self.median(baseline),
            "ratio_quartiles": statistics.quantiles(ratios, n=4) if len(ratios) > 1 else None,
            "ours_s": self.median(ours),
            "baseline_s": self.median(baseline),
            "blocks": len(ratios),
        }


def clock(threads: int) -> str:
    """Clock by which steps are timed: ``cpu`` with one thread, else ``wall``.

    With one thread, processor time is the time of a step on an otherwise idle machine: time that other
    processes take does not count.
    """
    return "cpu" if threads == 1 else "wall"


def seconds_of(name: str) -> Callable[[], float]:
    """Function that reads the clock of this name."""
    return time.process_time if name == "cpu" else time.perf_counter


def interleaved(
    sides: Mapping[str, Side], blocks: int, threads: int, warm_up: int = 1, by: str | None = None
) -> Timed:
    """Time every side in ``blocks`` blocks; ``warm_up`` rounds do not count.

    Within a round of blocks the sides take turns step by step, so that what slows the machine down for a
    while slows all of them; which comes first rotates from round to round. ``by`` names another `clock`.
    """
    now = seconds_of(by or clock(threads))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    names, turns = list(sides), max(side.length for side in sides.values())
    for block in range(-warm_up, blocks):
        first = block % len(names)
        took = dict.fromkeys(names, 0.0)
        for turn in range(turns):
            for name in names[first:] + names[:first]:
                for _ in range(_steps(turn, sides[name].length, turns)):
                    began = now()
                    sides[name].step()
                    took[name] += now() - began
        if block >= 0:
            for name, side in sides.items():
                seconds[name].append(took[name] / side.length)
    return Timed(seconds)


def _steps(turn: int, length: int, turns: int) -> int:
    """Steps of a side in one of so many turns: ``length`` in all, evenly spread."""
    return (turn + 1) * length // turns - turn * length // turns
