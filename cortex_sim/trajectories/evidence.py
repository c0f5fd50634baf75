"""Evidence for a classifier of rules: features of every run of a study, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import require_known
from cortex_sim.errors import DataError
from cortex_sim.trajectories.measuring import FULL
from cortex_sim.trajectories.statistics import OBSERVABLES

if TYPE_CHECKING:
    import xarray as xr

Features = NDArray[np.float64]  # (run, feature)


@dataclass(frozen=True)
class Evidence:
    """A selection of what was recorded.

    Parameters
    ----------
    observables : sequence of str
        Out of "activity", "weights" and "credit".
    condition : str, default "full"
        A condition of the study: units and noise of the observation.
    snapshots : sequence of int, optional
        Their numbers, from 0; all by default.
    scale_free : bool
        Only statistics that do not depend on the units in which an observable is measured.
    statistics : sequence of str, optional
        By name, out of those of the observables; all by default.
    """

    observables: Sequence[str] = OBSERVABLES
    condition: str = FULL.name
    snapshots: Sequence[int] | None = None
    scale_free: bool = False
    statistics: Sequence[str] | None = None

    def select(self, study: xr.Dataset) -> xr.DataArray:
        """Recorded values (run, snapshot, population, statistic) of this evidence.

        Raises
        ------
        DataError
            If the study has no such condition, observable, snapshot or statistic.
        """
        found = _under(study, self.condition)
        for observable in self.observables:
            require_known("observable", observable, dict.fromkeys(OBSERVABLES), DataError)
        keep = np.isin(study["observable"].values, list(self.observables))
        if self.scale_free:
            keep &= study["scale_free"].values.astype(bool)
        if self.statistics is not None:
            known = dict.fromkeys(study["statistic"].values.tolist())
            for name in self.statistics:
                require_known("statistic", name, known, DataError)
            keep &= np.isin(study["statistic"].values, list(self.statistics))
        if not keep.any():
            raise DataError(f"evidence {self}: no statistic is left; select more observables or statistics")
        return self._at_snapshots(found.isel(statistic=np.flatnonzero(keep)))

    def _at_snapshots(self, found: xr.DataArray) -> xr.DataArray:
        if self.snapshots is None:
            return found
        available = found.sizes["snapshot"]
        if not self.snapshots or not all(0 <= number < available for number in self.snapshots):
            raise DataError(
                f"evidence: snapshots must be numbers from 0 to {available - 1}. Got {list(self.snapshots)}"
            )
        return found.isel(snapshot=list(self.snapshots))

    def features(self, study: xr.Dataset) -> Features:
        """Values of every run as one row, (run, feature)."""
        values = self.select(study).values.astype(float)
        return values.reshape(len(values), -1)


def _under(study: xr.Dataset, condition: str) -> xr.DataArray:
    if condition == FULL.name:
        return study["value"]
    names = study["condition"].values.tolist()
    require_known("condition", condition, dict.fromkeys([FULL.name, *names]), DataError)
    return study["measured"].isel(condition=names.index(condition))


def learning_curve(study: xr.Dataset) -> Features:
    """Accuracy and loss at all snapshots: what can be observed without recording from a network."""
    return np.concatenate([study["accuracy"].values, study["loss"].values], axis=1).astype(float)


def at_matched_accuracy(
    study: xr.Dataset, evidence: Evidence, levels: Sequence[float]
) -> tuple[Features, NDArray[np.bool_]]:
    """Statistics of every run where it first reaches given accuracies, so that runs are equally trained.

    Statistics are interpolated linearly in accuracy between the two snapshots that enclose the level; how
    many updates it took is not among the features.

    Parameters
    ----------
    study : xarray.Dataset
    evidence : Evidence
        Without a selection of snapshots.
    levels : sequence of float
        Accuracies, as fractions.

    Returns
    -------
    features : array of shape (run, feature)
        Of the runs that pass all levels.
    reached : bool array of shape (run,)
        Whether each run of the study passes all levels.
    """
    if evidence.snapshots is not None:
        raise DataError("evidence at matched accuracy needs all snapshots; leave snapshots out")
    best = np.maximum.accumulate(study["accuracy"].values.astype(float), axis=1)
    top, bottom = max(levels), min(levels)
    reached = (best[:, -1] >= top) & (best[:, 0] <= bottom)
    if not reached.any():
        raise DataError(
            f"study: no run passes accuracies {bottom:g} to {top:g}; train longer, or give other levels"
        )
    values = evidence.select(study).values.astype(float)[reached]
    rows = [_interpolated(curve, v, levels) for curve, v in zip(best[reached], values, strict=True)]
    return np.array(rows), reached


def _interpolated(
    best: NDArray[np.float64], values: NDArray[np.float64], levels: Sequence[float]
) -> Features:
    """Values (snapshot, ...) where the best accuracy so far crosses each level, flattened."""
    found = []
    for level in levels:
        after = int(np.argmax(best >= level))
        if after == 0:
            found.append(values[0])
            continue
        share = (level - best[after - 1]) / (best[after] - best[after - 1])
        found.append((1 - share) * values[after - 1] + share * values[after])
    return np.concatenate([v.ravel() for v in found])
