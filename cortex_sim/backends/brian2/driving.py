"""Drives that change within a phase: time series, noise, and sums with them, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cortex_sim.backends.brian2.noise import TrialNoise
from cortex_sim.backends.brian2.phase import constant_part
from cortex_sim.backends.brian2.steps import whole_steps
from cortex_sim.protocol.plan import Input, Series, White, parts_of


def changes(given: Input | None) -> bool:
    """Whether a drive changes within a phase."""
    return any(isinstance(part, (Series, White)) for part in parts_of(given))


class Driving:
    """The drive of one population during one phase, or the credit injected into it.

    Parameters
    ----------
    what : str
        "drive" or "drive_credit"; each has its own noise.
    population : str
    given : Input
    images : sequence of int
        Index of each presentation's image.
    units : int
        Size of the population.
    dt_ms : float
    noise : TrialNoise
    """

    def __init__(
        self,
        what: str,
        population: str,
        given: Input,
        images: Sequence[int],
        units: int,
        dt_ms: float,
        noise: TrialNoise,
    ) -> None:
        self._images, self._units, self._dt_ms, self._noise = np.asarray(images, int), units, dt_ms, noise
        self._constant = constant_part(given, self._images)
        self._series = [part for part in parts_of(given) if isinstance(part, Series)]
        self._white = [part for part in parts_of(given) if isinstance(part, White)]
        self._held: list[np.ndarray] = [np.zeros(1)] * len(self._white)
        owner = f"{what} of {population}: hold_ms"
        held = [dt_ms if part.hold_ms is None else part.hold_ms for part in self._white]
        self._hold = [whole_steps(owner, ms, dt_ms) for ms in held]
        self._streams = [f"{what} {population}{f' {k}' if k else ''}" for k in range(len(self._white))]

    def at(self, step: int) -> np.ndarray:
        """Value at a step of the phase; call it for each step in turn."""
        total = self._constant
        for series in self._series:
            total = total + series.shown(series.bin_at(step, self._dt_ms), self._images)
        for k, white in enumerate(self._white):
            if step % self._hold[k] == 0:
                self._held[k] = white.of(self._noise.draw(self._streams[k], self._units))
            total = total + self._held[k]
        return total
