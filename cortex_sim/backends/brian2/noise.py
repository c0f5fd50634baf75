"""Noise as a pure function of seed, trial, name and step: it has no state, and is the same in any batch."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from cortex_sim.protocol.plan import Shown

_STAGES = {"trial": 0, "probe": 1}


class TrialNoise:
    """Standard normal numbers of the presentations of one `Shown`, drawn step by step."""

    def __init__(self, seed: int, shown: Shown) -> None:
        self._keys = [(seed, _STAGES[shown.stage], shown.block, trial) for trial in shown.trials]
        self._streams: dict[str, list[np.random.Generator]] = {}

    def draw(self, name: str, units: int) -> np.ndarray:
        """The next numbers of the stream ``name``, (presentation, unit)."""
        streams = self._streams.get(name)
        if streams is None:
            entropy = crc32(name.encode())
            streams = [np.random.default_rng([*key, entropy]) for key in self._keys]
            self._streams[name] = streams
        return np.stack([stream.standard_normal(units) for stream in streams])


def fluctuate(xi: np.ndarray, drawn: np.ndarray, sd: float, step: float, method: str) -> np.ndarray:
    """Advance a fluctuation ξ by one step, in place, and return the input that makes a drive follow it.

    ξ is an Ornstein–Uhlenbeck process, advanced exactly: ξ' = e^(−dt/τ) ξ + sd √(1 − e^(−2dt/τ)) n. One step
    of a drive is a ← k a + (1 − k)·input, so the input (ξ' − kξ)/(1 − k) adds ξ to it: a resting drive has
    this standard deviation and the autocorrelation e^(−Δ/τ), whatever the step and the method.

    Parameters
    ----------
    xi : array
        The fluctuation; changed.
    drawn : array
        Standard normal numbers n.
    sd : float
        Standard deviation of a resting drive.
    step : float
        dt/τ, positive; below 2 for "euler".
    method : {"euler", "exponential_euler"}
        How the drive is integrated, which decides k: 1 − dt/τ, or e^(−dt/τ).
    """
    kept, gain = (1 - step, step) if method == "euler" else (np.exp(-step), -np.expm1(-step))
    before = xi.copy()
    xi *= np.exp(-step)
    xi += sd * np.sqrt(-np.expm1(-2 * step)) * drawn
    return (xi - kept * before) / gain
