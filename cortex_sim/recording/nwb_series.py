"""Values of a recording as time series of an NWB file, one or several per population and variable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.recording.timeline import Timeline, sample_rows

_LARGE_BYTES = 2**20  # a data set that is worth compressing

UNITS = {"1": "a.u."}  # a dimensionless value in NWB; other units are kept


@dataclass(frozen=True, eq=False)
class Block:
    """Neuroids that share one series.

    A series has no more columns than samples: tools for NWB, nwbinspector among them, assume that a wider
    one is transposed.
    """

    name: str
    population: str
    neuroids: NDArray[np.int64]


def blocks(recording: xr.Dataset, samples: int) -> list[Block]:
    """Neuroids by population; a population with more neuroids than samples is divided into several blocks."""
    populations = (
        recording["population"].values.astype(str)
        if "population" in recording.coords
        else np.full(recording.sizes["neuroid"], "neuroids")
    )
    made: list[Block] = []
    for population in dict.fromkeys(populations.tolist()):
        members = np.flatnonzero(populations == population)
        parts = [members[first : first + samples] for first in range(0, len(members), samples)]
        plain = population.replace("/", "_").replace("\\", "_").replace(":", "_")
        for i, part in enumerate(parts):
            name = plain if len(parts) == 1 else f"{plain}_part{i + 1:0{len(str(len(parts)))}}of{len(parts)}"
            while name in {block.name for block in made}:  # populations "a:b" and "a_b"
                name += "_"
            made.append(Block(name, population, part))
    return made


def places(found: Sequence[Block], neuroids: int) -> tuple[list[str], NDArray[np.int64]]:
    """Block and column of each neuroid."""
    names, columns = [""] * neuroids, np.zeros(neuroids, dtype=np.int64)
    for block in found:
        columns[block.neuroids] = np.arange(len(block.neuroids))
        for neuroid in block.neuroids:
            names[neuroid] = block.name
    return names, columns


def empty_series(recording: xr.Dataset, variable: str, block: Block, time: Timeline) -> tuple[Any, Any]:
    """A series without values yet, and the handle of its data set, which exists once it is written."""
    from pynwb import H5DataIO, TimeSeries

    values = recording[variable]
    shape = (len(time), len(block.neuroids))
    large = len(time) * len(block.neuroids) * values.dtype.itemsize > _LARGE_BYTES
    data = H5DataIO(
        shape=shape, dtype=values.dtype, compression="gzip" if large else None, shuffle=large or None
    )
    units = str(values.attrs.get("units", "1"))
    what = str(values.attrs.get("long_name", variable))
    clock = (
        {"timestamps": time.samples}
        if time.step_s is None
        else {"starting_time": float(time.samples[0]), "rate": 1 / time.step_s}
    )
    dimensionless = " Dimensionless, in arbitrary units." if units == "1" else ""
    series = TimeSeries(
        name=f"{variable}_{block.name}",
        description=(
            f"{what[0].upper()}{what[1:]}, in population {block.population}.{dimensionless} Samples are at "
            f"the centres of time bins; columns are listed in the table neuroids."
        ),
        data=data,
        unit=UNITS.get(units, units),
        **clock,
    )
    return series, data


def fill(recording: xr.Dataset, variable: str, found: Sequence[Block], data: Sequence[Any]) -> Iterator[None]:
    """Write the values of one variable, block of presentations by block: memory holds one."""
    for first, rows in sample_rows(recording, variable):
        for block, handle in zip(found, data, strict=True):
            handle.dataset[first : first + len(rows)] = rows[:, block.neuroids]
        yield
