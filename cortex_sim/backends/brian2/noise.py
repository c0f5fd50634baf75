"""Noise as a pure function of seed, trial, name and step: nothing to keep, the same in any batch."""

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


def noise_size(step: float, method: str) -> float:
    """Standard deviation of the noise, drawn every step, that gives a resting drive that of one.

    One step of the drive is a ← ρ a + g noise, whose stationary variance is g² size² / (1 − ρ²). So size is
    √(1 − ρ²)/g exactly, at any step; √(2τ/dt) is its limit for short ones.

    Parameters
    ----------
    step : float
        dt/τ, positive; below 2 for "euler".
    method : {"euler", "exponential_euler"}
        How the drive is integrated.
    """
    kept, gain = (1 - step, step) if method == "euler" else (np.exp(-step), -np.expm1(-step))
    return float(np.sqrt(1 - kept**2) / gain)
