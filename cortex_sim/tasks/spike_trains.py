"""Spike trains of sources, drawn from rates by time bin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortex_sim.checks import require_count, require_positive
from cortex_sim.errors import DataError


def poisson_spikes(
    rates: ArrayLike, seed: int = 0, *, bin_ms: float = 10.0, dt_ms: float = 1.0, hz: float = 100.0
) -> NDArray[np.bool_]:
    """Spikes of independent Poisson processes, at most one a step, as `cs.brian2.Spiking` takes them.

    A step has a spike with probability max(0, rate)·hz·dt.

    Parameters
    ----------
    rates : array of shape (presentation, time_bin, unit)
        For example from the tasks of `cortex_sim.tasks`; where they are negative there are no spikes.
    seed : int, default 0
        Draws the spikes.
    bin_ms : float, default 10.0
        Length of a time bin, a whole number of steps.
    dt_ms : float, default 1.0
        Length of a step.
    hz : float, default 100.0
        Spikes/s at a rate of 1.

    Returns
    -------
    bool array of shape (presentation, step, unit)

    Raises
    ------
    DataError
        If rates have another shape or are not finite, a bin is not a whole number of steps, or a step would
        have more than one spike.

    Examples
    --------
    >>> poisson_spikes([[[0.0, 1.0]]], bin_ms=2, hz=1000).tolist()
    [[[False, True], [False, True]]]
    """
    owner = "poisson_spikes"
    require_positive(owner, bin_ms=bin_ms, dt_ms=dt_ms, hz=hz)
    require_count(owner, minimum=0, seed=seed)
    try:
        given = np.asarray(rates, dtype=np.float64)
    except (TypeError, ValueError) as exception:
        raise DataError(
            f"{owner}: rates must be an array of finite numbers of shape (presentation, time_bin, unit) "
            f"({exception})"
        ) from None
    if given.ndim != 3 or not given.size or not np.isfinite(given).all():
        raise DataError(
            f"{owner}: rates must be finite numbers of shape (presentation, time_bin, unit). "
            f"Got {given.shape}"
        )
    each = round(bin_ms / dt_ms)
    if each < 1 or abs(bin_ms / dt_ms - each) > 1e-6:
        raise DataError(f"{owner}: bin_ms must be a multiple of dt_ms={dt_ms:g}. Got {bin_ms:g}")
    chance = np.maximum(given, 0) * hz * dt_ms / 1000
    if chance.max() > 1:
        raise DataError(
            f"{owner}: a rate of {given.max():.4g} at hz={hz:g} is more than one spike in {dt_ms:g} ms; "
            f"use hz of at most {1000 / (dt_ms * given.max()):.4g}"
        )
    by_step = np.repeat(chance, each, axis=1)
    return np.random.default_rng([seed, 11]).random(by_step.shape) < by_step
