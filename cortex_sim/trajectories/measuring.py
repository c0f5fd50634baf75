"""What an experimenter observes of a population: some of its units, with measurement noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from cortex_sim.checks import require_count, require_known, require_positive
from cortex_sim.trajectories.statistics import Matrix


def gaussian(x: Matrix, snr: float) -> Matrix:
    """Standard deviation of noise, the same for all entries: sd(x) / √SNR."""
    return np.full_like(x, x.std() / snr**0.5)


def poisson_like(x: Matrix, snr: float) -> Matrix:
    """Standard deviation of noise whose variance is proportional to |x|, as that of spike counts is.

    On average over entries its variance is that of `gaussian`, var(x) / SNR.
    """
    sizes = np.abs(x)
    mean = sizes.mean()
    return np.sqrt(sizes / mean * x.var() / snr) if mean > 0 else np.zeros_like(x)


NOISES: dict[str, Callable[[Matrix, float], Matrix]] = {"gaussian": gaussian, "poisson_like": poisson_like}


@dataclass(frozen=True)
class Condition:
    """A way to observe: how many units, and with how much noise.

    Noise is drawn independently for every entry and snapshot; its size follows the variance of what is
    measured, at that snapshot. Observed units are the same at all snapshots, as in a chronic recording.

    Parameters
    ----------
    name : str
    units : int, optional
        Units observed of each population, and inputs of their weights; all by default. A population (or
        input) with fewer is observed as a whole.
    snr : float, optional
        Signal-to-noise ratio: variance of the observable over the noise's mean variance. No noise by default.
    noise : {"gaussian", "poisson_like"}
        Normal in both: with the same variance for all entries, or with variance proportional to |x|.
    """

    name: str
    units: int | None = None
    snr: float | None = None
    noise: str = "gaussian"

    def __post_init__(self) -> None:
        require_known("noise", self.noise, NOISES)
        if self.units is not None:
            require_count(f"condition {self.name}", minimum=2, units=self.units)
        if self.snr is not None:
            require_positive(f"condition {self.name}", snr=self.snr)

    def observed(self, available: int, rng: np.random.Generator) -> np.ndarray:
        """Indices of the observed units, or inputs, out of those available."""
        if self.units is None or self.units >= available:
            return np.arange(available)
        return np.sort(rng.choice(available, self.units, replace=False))

    def measured(self, x: Matrix, rng: np.random.Generator) -> Matrix:
        """The values with noise."""
        if self.snr is None:
            return x
        return x + rng.normal(size=x.shape) * NOISES[self.noise](x, self.snr)


#: All units exactly; fewer units; noise; and both.
FULL = Condition("full")
CONDITIONS = (
    FULL,
    *(Condition(f"units_{n}", units=n) for n in (5, 10, 25, 50)),
    *(Condition(f"snr_{snr:g}", snr=snr) for snr in (10.0, 1.0, 0.1)),
    Condition("poisson_like_1", snr=1.0, noise="poisson_like"),
    Condition("units_25_snr_1", units=25, snr=1.0),
)


def stream(seed: int, *names: str) -> np.random.Generator:
    """Independent generators by seed and names, so that no choice depends on the order of work."""
    return np.random.default_rng([seed, *(crc32(name.encode()) for name in names)])
