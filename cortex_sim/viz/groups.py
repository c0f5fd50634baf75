"""What a figure draws in one colour: an arm, or in a sweep an arm under one setting, with all its seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.checks import listed, short
from cortex_sim.errors import DataError
from cortex_sim.viz.panels import named, of_arm

if TYPE_CHECKING:
    import xarray as xr

SEED, SETTING = "seed", "setting"


@dataclass(frozen=True)
class Group:
    """One arm, with a plain recording for each seed, or a single one where there is no sweep.

    Parameters
    ----------
    label : str
        Name of the arm and, in a sweep of several settings, of the setting; empty where there is only one.
    seeds : tuple of xarray.Dataset
        Recordings with dimensions presentation, neuroid and, where there are bins, time_bin.
    """

    label: str
    seeds: tuple[xr.Dataset, ...]

    @property
    def first(self) -> xr.Dataset:
        """The recording of the first seed, for what all seeds share."""
        return self.seeds[0]


def groups(recording: xr.Dataset, figure: str) -> list[Group]:
    """The arms of a recording or of a sweep.

    Raises
    ------
    DataError
        If the recording is empty; the message names ``figure``.
    """
    require_something(recording, figure)
    found = []
    for setting in range(recording.sizes.get(SETTING, 1)):
        of_setting = recording.isel({SETTING: setting}) if SETTING in recording.dims else recording
        for arm in named(of_setting, "arm"):
            parts = [of_setting]
            if SEED in recording.dims:
                parts = [of_setting.isel({SEED: number}) for number in range(recording.sizes[SEED])]
            label = _label(recording, setting, arm)
            found.append(Group(label, tuple(of_arm(part, arm) for part in parts)))
    return found


def _label(recording: xr.Dataset, setting: int, arm: str) -> str:
    if recording.sizes.get(SETTING, 1) == 1:
        return arm
    said = str(recording[SETTING].values[setting])
    several = len(named(recording.isel({SETTING: 0}), "arm")) > 1
    return f"{arm}, {said}" if several else said


def one_recording(recording: xr.Dataset, figure: str) -> tuple[xr.Dataset, str]:
    """A plain recording to show as an image, and what it is: the mean over the seeds of one setting.

    Raises
    ------
    DataError
        If it is empty, or a sweep of several settings, of which one has to be selected.
    """
    require_something(recording, figure)
    count = recording.sizes.get(SETTING, 1)
    if count > 1:
        first = str(recording[SETTING].values[0])
        raise DataError(
            f"{figure}: shows one setting, but the sweep has {count}; select one: "
            f"sweep.sel(setting={first!r})"
        )
    if SETTING in recording.dims:
        recording = recording.isel({SETTING: 0})
    if SEED not in recording.dims:
        return recording, ""
    seeds = recording.sizes[SEED]
    shown = recording.isel({SEED: 0})
    means = {
        name: recording[name].mean(SEED, keep_attrs=True)
        for name in recording.data_vars
        if SEED in recording[name].dims and recording[name].dtype.kind == "f"
    }
    return shown.assign(means), f"mean over {seeds} seeds" if seeds > 1 else ""


_DIMS = ("presentation", "neuroid", "time_bin", SEED, SETTING)


def require_something(recording: xr.Dataset, figure: str, dims: tuple[str, ...] = _DIMS) -> None:
    """Raise `DataError` unless there is at least one value along each of the dims that it has."""
    if not hasattr(recording, "data_vars"):
        raise DataError(
            f"{figure}: takes a recording, such as cs.brian2.run(...) or cs.torch.run(...) returns. "
            f"Got {short(recording)}"
        )
    empty = [dim for dim in dims if recording.sizes.get(dim) == 0]
    if empty:
        raise DataError(
            f"{figure}: nothing to draw, since the recording holds no {listed(empty)}; record or select at "
            "least one"
        )


def mean_and_sd(curves: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean over seeds, and the standard deviation among them, which is None for a single seed.

    NaN entries are ignored; where all are NaN, so is the mean.
    """
    stacked = np.ma.masked_invalid(np.stack(curves))
    mean = stacked.mean(axis=0).filled(np.nan)
    return mean, stacked.std(axis=0, ddof=1).filled(np.nan) if len(curves) > 1 else None
