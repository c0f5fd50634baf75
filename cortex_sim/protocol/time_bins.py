"""Time bins within a trial: those that all trials of a plan have."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.plan import Shown


def time_bins(
    shown: Shown, every_ms: float, count: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start and end of each bin, in ms within the trial, and the phase in which it ends.

    Bins are ``every_ms`` long; the rest of the trial after the last whole bin has none. ``count`` keeps
    only the first bins.
    """
    # 1e-9: durations such as 3 * 0.1 must not lose their last bin.
    whole = math.floor(shown.duration_ms / every_ms + 1e-9)
    count = whole if count is None else min(whole, count)
    start = every_ms * np.arange(count)
    end = every_ms * np.arange(1, count + 1)
    ends_of_phases = np.cumsum([phase.duration_ms for phase in shown.phases])
    within = np.searchsorted(ends_of_phases, end - 1e-9 * every_ms).clip(max=len(shown.phases) - 1)
    return start, end, np.asarray([shown.phases[i].name for i in within], dtype=str)


def bins_of_all(shown: Sequence[Shown], every_ms: float) -> int:
    """Number of bins in the shortest trial, during which all trials must be in the same phases.

    Raises
    ------
    DeclarationError
        If trials of different length are in different phases at the same time.
    """
    courses = {tuple((phase.name, phase.duration_ms) for phase in one.phases): one for one in shown}
    different = sorted(courses.values(), key=lambda one: one.duration_ms)
    shortest, *others = different
    _, _, phases = time_bins(shortest, every_ms)
    for other in others:
        theirs = time_bins(other, every_ms, len(phases))[2]
        if (phases != theirs).any():
            at = int(np.flatnonzero(phases != theirs)[0])
            raise DeclarationError(
                f"Record: every_ms needs time bins that all trials share, but {(at + 1) * every_ms:g} ms "
                f"after their start one trial is in phase {phases[at]} and another in {theirs[at]}; record "
                "one sample a trial (every_ms=None, phase=...), or let only the last phase or interval_ms "
                "differ in length"
            )
    return len(phases)
