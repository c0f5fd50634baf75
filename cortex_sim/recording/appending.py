"""A recording written batch by batch: memory holds one batch, however many presentations there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from cortex_sim.network import Network
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
        rows : mapping of str to array of shape (presentation, neuroid)
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
) -> Iterator[Appending]:
    """Open a recording whose presentations come one batch after another, as float32.

    The file gets its name once all is written; if that fails, nothing is left.

    Raises
    ------
    RunError
        If it cannot be written, for example on a full disk.
    """
    frame = xr.Dataset({}, coordinates(net, populations, stimulus_id, descriptors), dict(attributes))
    neuroids = frame.sizes["neuroid"]
    rows = max(1, min(len(stimulus_id), _CHUNK_BYTES // (4 * neuroids)))
    with growing(path) as guard:
        frame.to_netcdf(guard, engine="h5netcdf")
        with h5netcdf.File(guard, "a") as file:
            for name in variables:
                made = file.create_variable(
                    name, ("presentation", "neuroid"), np.float32, chunks=(rows, neuroids)
                )
                made.attrs["units"], made.attrs["long_name"] = "1", MEANING[name]
            yield Appending(guard, file)
