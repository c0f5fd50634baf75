"""A recording from arrays: what every neuroid did in every presentation, as an xarray Dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from cortex_sim.network import Network

MEANING = {
    "rate": "rate, as deviation from baseline",
    "credit": "credit: the direction in which the rate should change",
    "drive": "drive: summed input",
}


def make_recording(
    net: Network,
    values: Mapping[str, Mapping[str, np.ndarray]],
    *,
    stimulus_id: Sequence[str] | None = None,
    descriptors: Mapping[str, ArrayLike] | None = None,
    attributes: Mapping[str, Any] | None = None,
    time_bins: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Gather variables of every population into one Dataset.

    Parameters
    ----------
    net : Network
        Whose populations these are.
    values : mapping
        By variable ("rate", "credit", "drive"), then by population: array (presentation, *shape). A
        population missing from "credit" gets none, so its credit is 0. With ``time_bins`` these have a second
        axis, (presentation, time_bin, *shape).
    stimulus_id : sequence of str, optional
        One per presentation; numbered if left out.
    descriptors : mapping of str to array of shape (presentation,), optional
        What else is known about the stimuli; each becomes a coordinate.
    attributes : mapping, optional
        Network, rule, seed, ….
    time_bins : mapping of str to xarray variable, optional
        Coordinates of time bins, where every presentation has several.

    Returns
    -------
    xarray.Dataset
        Dims ``presentation`` and ``neuroid`` (and ``time_bin``); coordinates stimulus_id, repetition,
        population, neuroid_id ("V1/17"), channel, row, column (−1 where a population has none).
    """
    names = list(values["rate"])
    count = len(next(iter(values["rate"].values())))
    dims = ("presentation", "neuroid", *(["time_bin"] if time_bins else []))
    data = {}
    for variable, by_population in values.items():
        labels = {"units": "1", "long_name": MEANING[variable]}
        data[variable] = (dims, side_by_side(net, names, by_population, count, bool(time_bins)), labels)
    shown = [str(i) for i in range(count)] if stimulus_id is None else list(stimulus_id)
    coords = coordinates(net, names, shown, descriptors or {}) | dict(time_bins or {})
    return xr.Dataset(data, coords, dict(attributes or {}))


def side_by_side(
    net: Network, names: Sequence[str], values: Mapping[str, np.ndarray], count: int, timed: bool
) -> np.ndarray:
    """Values of populations (presentation, *shape) as (presentation, neuroid); 0 for those without any.

    If they are ``timed``, (presentation, time_bin, *shape) as (presentation, neuroid, time_bin).
    """
    like = np.asarray(next(iter(values.values()), np.zeros((count, 1))))
    lead = like.shape[: 1 + timed]
    parts = [
        np.asarray(values[n]).reshape(*lead, net.every_population[n].size)
        if n in values
        else np.zeros((*lead, net.every_population[n].size), like.dtype)
        for n in names
    ]
    every = np.concatenate(parts, axis=-1)
    return np.moveaxis(every, 1, 2) if timed else every


def coordinates(
    net: Network, populations: Sequence[str], stimulus_id: Sequence[str], descriptors: Mapping[str, ArrayLike]
) -> dict[str, Any]:
    """Coordinates of every presentation and of every neuroid of these populations."""
    seen: Counter[str] = Counter()
    repetition = []
    for shown in stimulus_id:
        repetition.append(seen[shown])
        seen[shown] += 1
    return {
        "stimulus_id": ("presentation", np.asarray(stimulus_id, dtype=str)),
        "repetition": ("presentation", np.asarray(repetition)),
        **{name: ("presentation", np.asarray(values)) for name, values in descriptors.items()},
        **places(net, populations),
    }


def places(net: Network, names: Sequence[str]) -> dict[str, Any]:
    """Coordinates of every neuroid of these populations: where it is, and what it is called."""
    population, identity, place = [], [], []
    every = net.every_population
    for name in names:
        shape, size = every[name].shape, every[name].size
        population += [name] * size
        identity += [f"{name}/{i}" for i in range(size)]
        spatial = np.indices(shape).reshape(3, -1).T if len(shape) == 3 else np.full((size, 3), -1)
        place.append(spatial)
    channel, row, column = np.concatenate(place).T
    return {
        "population": ("neuroid", np.asarray(population, dtype=str)),
        "neuroid_id": ("neuroid", np.asarray(identity, dtype=str)),
        "channel": ("neuroid", channel),
        "row": ("neuroid", row),
        "column": ("neuroid", column),
    }
