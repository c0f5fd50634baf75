"""Alternatives timed side by side in one process: interleaved blocks, medians over blocks."""

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

    With one thread the time that the processor gave to this process is the time of a step on a machine left
    alone; what other processes take meanwhile does not count.
    """
    return "cpu" if threads == 1 else "wall"


def seconds_of(name: str) -> Callable[[], float]:
    """What reads a clock."""
    return time.process_time if name == "cpu" else time.perf_counter


def interleaved(
    sides: Mapping[str, Side], blocks: int, threads: int, warm_up: int = 1, by: str | None = None
) -> Timed:
    """Time every side in ``blocks`` blocks; which comes first rotates. ``warm_up`` rounds do not count.

    ``by`` names another `clock`.
    """
    now = seconds_of(by or clock(threads))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for block in range(-warm_up, blocks):
        first = block % len(names)
        for name in names[first:] + names[:first]:
            side = sides[name]
            began = now()
            for _ in range(side.length):
                side.step()
            if block >= 0:
                seconds[name].append((now() - began) / side.length)
    return Timed(seconds)
