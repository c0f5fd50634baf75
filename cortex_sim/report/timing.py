"""How time is treated on both sides of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortex_sim.compare.course import Course, TimeBin
from cortex_sim.errors import DataError
from cortex_sim.report.comparing import Neural
from cortex_sim.report.entries import Entry
from cortex_sim.report.neural_side import require_time


@dataclass(frozen=True)
class Time:
    """How time is treated.

    Parameters
    ----------
    over_time : bool, default False
        Compare bin by bin, where the data or a model have time bins.
    window_ms, model_window_ms : (start, end), optional
        Window of the data, in ms, that is averaged, or, with ``over_time``, compared bin by bin; and window
        of the models' recordings that is averaged.
    bin_ms : float, optional
        Width of the bins, in ms, into which spike times are counted with ``over_time``.
    """

    over_time: bool = False
    window_ms: TimeBin | None = None
    model_window_ms: TimeBin | None = None
    bin_ms: float | None = None

    def check(self, entries: Sequence[Entry], data: Mapping[str, Neural | Course]) -> None:
        """Refuse settings that would have no effect."""
        members = [member for entry in entries for member in entry.members]
        if self.over_time:
            require_time(data, any(member.bins for member in members))
        if self.model_window_ms is not None and not any(member.windowed for member in members):
            raise DataError("--model-window-ms: no recording of a model has time bins; leave it out")
