"""Warnings about data that are rarely intended: copies of neuroids or repeats, silent presentations."""

from __future__ import annotations

import logging

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.neural.spikes import ENOUGH

log = logging.getLogger(__name__)


def warn_of_copies(source: str, data: xr.Dataset) -> None:
    """Log a warning for each; ``data`` are responses that were checked."""
    rate = data["rate"].values
    twins = _equal_neuroids(rate)
    if twins:
        names = data["neuroid_id"].values.astype(str)
        pairs = [f"{names[one]} and {names[other]}" for one, other in twins[:3]]
        log.warning(
            "neural data %s: %d of %d neuroids copy another exactly in every presentation, such as %s; "
            "they count twice in scores, so leave copies out",
            *(source, len(twins), rate.shape[1], listed(pairs)),
        )
    if _repeats_are_copies(rate, data["stimulus_id"].values):
        log.warning(
            "neural data %s: all repeats of every stimulus are identical, so the reliability is 1 "
            "whatever the noise; if these are means, save them once, as response_mean",
            source,
        )


def warn_of_silence(source: str, data: xr.Dataset) -> None:
    """Log a warning where no neuroid spikes in a presentation; ``data`` are counts or rates of spikes.

    Trials that were not recorded are often left at 0. One spike's rate is the smallest above 0.
    """
    rate = data["rate"].values.reshape(data.sizes["presentation"], -1)
    silent = ~np.isnan(rate).all(1) & ~(rate > 0).any(1)
    one = float(np.min(rate, where=rate > 0, initial=np.inf))
    if silent.any() and np.nansum(rate[~silent]) / (one * max((~silent).sum(), 1)) > ENOUGH:
        log.warning(
            "neural data %s: no neuroid spikes in %d of %d presentations, such as presentation %d, where "
            "others have many spikes; leave out trials that were not recorded, or mark them with NaN",
            *(source, int(silent.sum()), len(silent), int(np.argmax(silent))),
        )


def _equal_neuroids(rate: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (first, copy) of neuroids that vary and have the same responses."""
    first: dict[bytes, int] = {}
    found = []
    for number in range(rate.shape[1]):
        column = np.ascontiguousarray(rate[:, number])
        if np.fmin.reduce(column, axis=None) < np.fmax.reduce(column, axis=None):
            earlier = first.setdefault(column.tobytes(), number)
            if earlier != number:
                found.append((earlier, number))
    return found


def _repeats_are_copies(rate: NDArray[np.float64], ids: NDArray[np.str_]) -> bool:
    _, first, stimulus = np.unique(ids, return_index=True, return_inverse=True)
    again = np.setdiff1d(np.arange(len(ids)), first)
    if not len(again):
        return False
    same = rate[again] == rate[first[stimulus[again]]]
    known = ~np.isnan(rate[again]) & ~np.isnan(rate[first[stimulus[again]]])
    return bool(known.any() and (same | ~known).all())
