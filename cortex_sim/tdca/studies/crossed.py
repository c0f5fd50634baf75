"""Differences between arms, with both outer loops and inner runs as random effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cortex_sim.checks import require_count
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class Crossed:
    """Mean paired difference, with an interval that generalises to other outer seeds and other inner runs.

    Parameters
    ----------
    mean, low, high : float
        Difference and bounds of its interval, in units of accuracy.
    freedom : float
        Degrees of freedom of its variance, by Satterthwaite's approximation.
    p : float
        Two-sided p value, uncorrected.
    seeds, runs : int
        Outer seeds, and inner runs, the same under each.
    """

    mean: float
    low: float
    high: float
    freedom: float
    p: float
    seeds: int
    runs: int


def crossed_difference(
    ours: Mapping[int, np.ndarray], theirs: Mapping[int, np.ndarray], comparisons: int = 1
) -> Crossed | None:
    """Ours minus theirs, paired by outer seed and inner run, both taken as random; None without two seeds.

    Under each of the S seeds of either arm the same R inner runs are tested, so that the difference d_sr of
    seed s and inner run r has a part due to the seed, one due to the inner run, and one due to both. The
    variance of the mean is (MS_s + MS_r − MS_sr) / (S R), from the mean squares of that two-way table; it is
    taken no smaller than from seeds or from inner runs alone.

    Parameters
    ----------
    ours, theirs : mapping of int to array of shape (run,)
        Accuracies by outer seed.
    comparisons : int, default 1
        Size of the family: the interval has level 1 − 0.05/comparisons (Bonferroni), so that all intervals of
        a family cover at once with a probability of at least 95 %.

    Raises
    ------
    DataError
        If numbers of inner runs differ, or a difference is not finite.

    References
    ----------
    Satterthwaite (1946), Biometrics Bulletin 2, doi:10.2307/3002019.
    """
    require_count("crossed_difference", comparisons=comparisons)
    common = sorted(ours.keys() & theirs.keys())
    if len(common) < 2:
        return None
    counts = {len(side[seed]) for seed in common for side in (ours, theirs)}
    if len(counts) > 1:
        raise DataError(f"arms have {sorted(counts)} inner runs; test both on the same ones")
    d = np.array([ours[seed] - theirs[seed] for seed in common])
    if d.ndim != 2 or not np.isfinite(d).all():
        raise DataError(
            "arms hold NaN or infinity, or more than one number per inner run; give accuracies (run,)"
        )
    seeds, runs = d.shape
    if runs < 2:
        return None
    mean = float(d.mean())
    of_seed, of_run = d.mean(1) - mean, d.mean(0) - mean
    rest = d - mean - of_seed[:, None] - of_run[None, :]
    squares = np.array(
        [
            runs * (of_seed**2).sum() / (seeds - 1),
            seeds * (of_run**2).sum() / (runs - 1),
            (rest**2).sum() / ((seeds - 1) * (runs - 1)),
        ]
    )
    freedoms = np.array([seeds - 1, runs - 1, (seeds - 1) * (runs - 1)])
    total, freedom = _variance(squares, freedoms)
    error = np.sqrt(total / d.size)
    if not error:
        return Crossed(mean, mean, mean, freedom, float(mean == 0), seeds, runs)
    half = float(stats.t.ppf(1 - 0.025 / comparisons, freedom) * error)
    p = float(2 * stats.t.sf(abs(mean) / error, freedom))
    return Crossed(mean, mean - half, mean + half, freedom, p, seeds, runs)


def _variance(squares: np.ndarray, freedoms: np.ndarray) -> tuple[float, float]:
    """Mean square of the mean and its degrees of freedom, from those of seeds, runs and the rest."""
    total = squares[0] + squares[1] - squares[2]
    larger = int(squares[:2].argmax())
    if total <= squares[larger]:
        return float(squares[larger]), float(freedoms[larger])
    return float(total), float(total**2 / (squares**2 / freedoms).sum())
