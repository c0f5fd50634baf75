"""A rule's state that was recorded at every presentation, in the form of a variable of neuroids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr


@dataclass(frozen=True)
class Shown:
    """A recording whose variable ``name`` has the dims presentation and neuroid (and time_bin).

    Parameters
    ----------
    recording : xarray.Dataset
    name : str
    of : str
        Name of the entries along neuroid: "neuroids", or for a state "values", "units" or "synapses".
    """

    recording: xr.Dataset
    name: str
    of: str = "neuroids"


def as_neuroids(recording: xr.Dataset, variable: str) -> Shown:
    """A state "pre->post:variable" as entries of a population "pre->post"; any other variable unchanged.

    Entries are named by their numbers: "theta[3]", "e[3, 2]" (post, pre).
    """
    if (
        not isinstance(recording, xr.Dataset)
        or variable not in recording
        or not _is_state(recording[variable])
    ):
        return Shown(recording, variable)
    projection, _, called = variable.rpartition(":")
    values = recording[variable]
    axes = [dim for dim in values.dims if str(dim).startswith(("post:", "pre:"))]
    numbers = list(np.ndindex(*(values.sizes[dim] for dim in axes)))
    stacked = values.stack(neuroid=axes, create_index=False) if axes else values.expand_dims("neuroid")
    bins = [dim for dim in values.dims if dim == "time_bin"]
    rest = recording.drop_dims([d for d in recording.dims if d == "neuroid" or ":" in str(d)])
    coordinates = {
        "population": ("neuroid", np.array([projection] * len(numbers))),
        "neuroid_id": ("neuroid", np.array([f"{called}{list(at) or ''}" for at in numbers])),
    }
    made = rest.assign({called: stacked.transpose(..., "presentation", "neuroid", *bins)})
    return Shown(made.assign_coords(coordinates), called, ("values", "units", "synapses")[len(axes)])


def _is_state(values: xr.DataArray) -> bool:
    return "->" in str(values.name) and "presentation" in values.dims and "neuroid" not in values.dims
