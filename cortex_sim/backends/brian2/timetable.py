"""A plan in time steps: segments of constant input, and the steps at which to sample.

A phase is one segment, or one segment for each bin of a time series. All segments and samples begin at
multiples of a *tick*, the greatest common divisor of the intervals between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from cortex_sim.backends.brian2.steps import whole_steps
from cortex_sim.protocol.plan import PhasePlan, Plan, Series, Shown


@dataclass(frozen=True)
class Segment:
    """Steps of one phase in which nothing changes from outside: the first, and how many.

    ``bins`` holds, by driven population, which bin of its time series is presented.
    """

    shown: Shown
    phase: PhasePlan
    start: int
    steps: int
    opens: bool  # whether it opens the trial
    bins: dict[str, int]


@dataclass(frozen=True)
class Timetable:
    """All segments of a plan, and for each trial the steps after which it is sampled.

    Steps count from the beginning of the plan; a sample at step n is taken after n steps.
    """

    segments: Sequence[Segment]
    samples: Sequence[Sequence[int]]

    @property
    def steps(self) -> int:
        """Steps of the whole plan."""
        return self.segments[-1].start + self.segments[-1].steps

    @property
    def tick(self) -> int:
        """Steps of a tick."""
        starts = [segment.start for segment in self.segments]
        return gcd(self.steps, *starts, *(step for steps in self.samples for step in steps))

    def segment_at(self, step: np.ndarray) -> np.ndarray:
        """Indices of the segments that contain these steps."""
        starts = np.array([segment.start for segment in self.segments])
        return np.searchsorted(starts, step, side="right") - 1

    def by_tick(self) -> np.ndarray:
        """Index of the segment that contains each tick."""
        return self.segment_at(np.arange(0, self.steps, self.tick))


def timetable(plan: Plan, dt_ms: float) -> Timetable:
    """Timetable of a plan.

    Raises
    ------
    RunError
        If a duration is not a whole number of steps.
    """
    segments: list[Segment] = []
    samples: list[list[int]] = []
    start = 0
    for shown in plan.shown:
        begin, ends = start, []
        for phase in shown.phases:
            steps = whole_steps(f"phase {phase.name}: duration_ms", phase.duration_ms, dt_ms)
            segments += _segments(shown, phase, start, steps, dt_ms, opens=start == begin)
            start += steps
            if phase.name == plan.wanted.phase:
                ends.append(start)
        if plan.wanted.every_ms is not None:
            every = whole_steps("record: every_ms", plan.wanted.every_ms, dt_ms)
            ends = list(range(begin + every, start + 1, every))[: plan.wanted.bins]
        samples.append(ends)
    return Timetable(segments, samples)


def _segments(
    shown: Shown, phase: PhasePlan, start: int, steps: int, dt_ms: float, *, opens: bool
) -> Iterator[Segment]:
    bins = {
        name: _bins(given, steps, dt_ms) for name, given in phase.drive.items() if isinstance(given, Series)
    }
    changes = np.any([np.diff(by_step, prepend=-1) != 0 for by_step in bins.values()], axis=0)
    firsts = np.flatnonzero(changes) if bins else np.zeros(1, dtype=int)
    for first, last in zip(firsts, [*firsts[1:], steps], strict=True):
        held = {name: int(by_step[first]) for name, by_step in bins.items()}
        yield Segment(shown, phase, start + int(first), int(last - first), opens and first == 0, held)


def _bins(given: Series, steps: int, dt_ms: float) -> np.ndarray:
    """Bin of a series at each step of a phase; the last one is held."""
    return np.array([given.bin_at(step, dt_ms) for step in range(steps)])
