"""A recording written batch by batch: memory holds one batch, however many presentations there are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from cortex_sim.network import Network
from cortex_sim.recording.disk import bytes_on_disk, require_disk
from cortex_sim.recording.guarded import Guarded, growing
from cortex_sim.recording.making import MEANING, coordinates

_CHUNK_BYTES = 2**20


class Appending:
    """The open file; `add` takes the next presentations.

    Attributes
    ----------
    done : int
        Presentations written.
    """

    def __init__(self, guard: Guarded, file: h5netcdf.File) -> None:
        self._guard, self._file, self.done = guard, file, 0

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Write the next presentations.

        Parameters
        ----------
        rows : mapping of str to array of shape (presentation, neuroid[, time_bin])
            Every variable of the recording, its populations side by side.
        """
        count = len(next(iter(rows.values())))
        for variable, values in rows.items():
            self._file.variables[variable][self.done : self.done + count] = values.astype(np.float32)
        self.done += count
        self._guard.check()


@contextmanager
def appending(
    path: Path,
    net: Network,
    populations: Sequence[str],
    variables: Sequence[str],
    stimulus_id: Sequence[str],
    descriptors: Mapping[str, ArrayLike],
    attributes: Mapping[str, Any],
    time_bins: Mapping[str, Any] | None = None,
) -> Iterator[Appending]:
    """Open a recording whose presentations come one batch after another, as float32.

    The file gets its name once everything is written; if writing fails, nothing is left behind.

    Parameters
    ----------
    path : Path
    net : Network
    populations, variables : sequence of str
    stimulus_id : sequence of str
        One per presentation.
    descriptors : mapping of str to array of shape (presentation,)
    attributes : mapping
    time_bins : mapping of str to xarray variable, optional
        Coordinates of time bins, where every presentation has several.

    Raises
    ------
    RunError
        If the disk has too little room, which is checked first, or the file cannot be written.
    """
    named = coordinates(net, populations, stimulus_id, descriptors) | dict(time_bins or {})
    frame = xr.Dataset({}, named, dict(attributes))
    dims = ("presentation", "neuroid", *(["time_bin"] if time_bins else []))
    width = tuple(frame.sizes[dim] for dim in dims[1:])
    rows = max(1, min(len(stimulus_id), _CHUNK_BYTES // (4 * math.prod(width))))
    require_disk(path, bytes_on_disk(frame, width, len(variables), rows))
    with growing(path) as guard:
        frame.to_netcdf(guard, engine="h5netcdf")
        with h5netcdf.File(guard, "a") as file:
            for name in variables:
                made = file.create_variable(name, dims, np.float32, chunks=(rows, *width))
                made.attrs["units"], made.attrs["long_name"] = "1", MEANING[name]
            yield Appending(guard, file)
