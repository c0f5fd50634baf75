"""What is recorded of a candidate, and how."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_sim.responding.in_time import InTime


@dataclass(frozen=True)
class Request:
    """Settings of `respond_to` that, together with network and stimuli, determine the recorded numbers.

    Parameters
    ----------
    populations, variables : tuple of str, optional
    in_time : InTime, optional
    batch : int, optional
    """

    populations: tuple[str, ...] | None
    variables: tuple[str, ...] | None
    in_time: InTime | None
    batch: int | None
