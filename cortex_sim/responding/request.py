"""What is recorded of a candidate, and how."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_sim.responding.in_time import InTime


@dataclass(frozen=True)
class Request:
    """The part of a call of `respond_to` on which, with network and stimuli, the recorded numbers depend.

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
