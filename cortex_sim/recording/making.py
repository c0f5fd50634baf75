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
) -> xr.Dataset:
    """Gather variables of every population into one Dataset.

    Parameters
    ----------
    net : Network
        Whose populations these are.
    values : mapping
        Variable ("rate", "credit", "drive") to population to array (presentation, *shape). A
        population missing from "credit" gets none, so its credit is 0.
    stimulus_id : sequence of str, optional
        One per presentation; numbered if left out.
    descriptors : mapping of str to array of shape (presentation,), optional
        What else is known of the stimuli; each becomes a coordinate.
    attributes : mapping, optional
        Network, rule, seed, ….

    Returns
    -------
    xarray.Dataset
        Dims ``presentation`` and ``neuroid``; coordinates stimulus_id, repetition, population,
        neuroid_id ("V1/17"), channel, row, column (−1 where a population has none).
    """
    names = list(values["rate"])
    count = len(next(iter(values["rate"].values())))
    sizes = {name: net.populations[name].size for name in names}
    data = {}
    for variable, by_population in values.items():
        parts = [
            np.asarray(by_population[n]).reshape(count, -1)
            if n in by_population
            else np.zeros((count, sizes[n]))
            for n in names
        ]
        labels = {"units": "1", "long_name": MEANING[variable]}
        data[variable] = (("presentation", "neuroid"), np.concatenate(parts, axis=1), labels)
    shown = [str(i) for i in range(count)] if stimulus_id is None else list(stimulus_id)
    return xr.Dataset(data, coordinates(net, names, shown, descriptors or {}), dict(attributes or {}))


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
    for name in names:
        shape = net.populations[name].shape
        size = net.populations[name].size
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
