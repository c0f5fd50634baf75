"""Probes and conditions: which presentations belong together, their mean, and its standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.errors import DataError
from cortex_sim.viz.panels import by_stimulus
from cortex_sim.viz.statistics import is_probe

if TYPE_CHECKING:
    import xarray as xr

MOST = 12  # conditions that one figure can show


@dataclass(frozen=True)
class Points:
    """Means at successive times.

    Parameters
    ----------
    x : array of shape (point,)
        Number of trials before each point.
    mean, error : array of shape (point,)
        Mean and standard error over the presentations of each point; the error is 0 for a single
        presentation, and both are NaN where there is none.
    count : array of shape (point,)
        Number of presentations.
    """

    x: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    count: np.ndarray


def probed(values: np.ndarray, probes: np.ndarray, chosen: np.ndarray) -> Points:
    """One point per probe, over those of its presentations that are ``chosen``.

    Parameters
    ----------
    values : array of shape (presentation,)
    probes, chosen : array of bool of shape (presentation,)
    """
    rows = []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], probes, [False]]).astype(int)))
    for begins, ends in edges.reshape(-1, 2):
        part = values[begins:ends][chosen[begins:ends]]
        rows.append((int((~probes[:begins]).sum()), *_mean_and_error(part)))
    return _points(rows)


def blocked(values: np.ndarray, chosen: np.ndarray, window: int) -> Points:
    """One point for each ``window`` trials, over those that are ``chosen``; x is the middle of the window."""
    rows = []
    for begins in range(0, len(values), window):
        part = values[begins : begins + window][chosen[begins : begins + window]]
        rows.append((begins + (min(window, len(values) - begins) - 1) / 2, *_mean_and_error(part)))
    return _points(rows)


def _points(rows: Sequence[tuple[float, ...]]) -> Points:
    x, mean, error, count = np.asarray(rows, dtype=float).reshape(-1, 4).T
    return Points(x, mean, error, count.astype(int))


def _mean_and_error(values: np.ndarray) -> tuple[float, float, int]:
    n = len(values)
    if not n:
        return float("nan"), float("nan"), 0
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0, n


def conditions(recording: xr.Dataset, by: str | Mapping[str, Any] | Sequence[Any]) -> dict[str, np.ndarray]:
    """Presentations of each condition, as masks (presentation,), in order of appearance.

    Parameters
    ----------
    recording : xarray.Dataset
        If it has probes, only these are divided into conditions, else its trials.
    by : "stimulus", name of a coordinate, mapping of stimulus_id, or list by stimulus number
        A condition for each stimulus, for each value of a coordinate of the presentations, or as given.

    Raises
    ------
    DataError
        If there are more conditions than a figure can show, or a stimulus has none.
    """
    of = _condition_of(recording, by)
    divided = is_probe(recording)
    divided = divided if divided.any() else ~divided
    names = list(dict.fromkeys(of[divided].tolist()))
    if len(names) > MOST:
        raise DataError(
            f"compare_arms: by gives {len(names)} conditions ({names[0]}, …), but a figure shows at "
            f"most {MOST}; give a mapping of stimulus_id to condition, or select some: "
            f"cs.recording.select(recording, stimulus=[{names[0]!r}])"
        )
    return {name: divided & (of == name) for name in names}


def _condition_of(recording: xr.Dataset, by: str | Mapping[str, Any] | Sequence[Any]) -> np.ndarray:
    if isinstance(by, str):
        name = "stimulus_id" if by == "stimulus" else by
        known = [str(c) for c in recording.coords if recording[c].dims == ("presentation",)]
        if name not in known:
            raise DataError(
                f"compare_arms: by={by!r} is not a coordinate of the presentations; known: stimulus, "
                f"{', '.join(known)} (or give a mapping of stimulus_id to condition)"
            )
        return recording[name].values.astype(str)
    divided = is_probe(recording)
    divided = divided if divided.any() else ~divided
    found = np.full(recording.sizes["presentation"], "", dtype=object)
    part = recording.isel(presentation=np.flatnonzero(divided))
    found[divided] = [str(value) for value in by_stimulus(part, by, "compare_arms: by").tolist()]
    return found
