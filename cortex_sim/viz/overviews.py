"""What is in a recording, at a glance: arms, trials, probes, populations, phases, weights, and a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cortex_sim.calling import known_arguments
from cortex_sim.viz import html
from cortex_sim.viz.groups import SEED, SETTING, groups, require_something
from cortex_sim.viz.panels import named, phases
from cortex_sim.viz.statistics import is_probe
from cortex_sim.viz.time_courses import time_course

if TYPE_CHECKING:
    import xarray as xr

_ATTRIBUTES = ("network", "rule", "backend", "seed", "cortex_sim_version")


@dataclass(frozen=True)
class Overview:
    """An overview as text, in a notebook with a figure.

    Attributes
    ----------
    rows : tuple of (what, which)
        Arms, populations, phases, weights, origin.
    recording : xarray.Dataset
        What is shown.
    """

    rows: tuple[tuple[str, str], ...]
    recording: xr.Dataset

    @property
    def figure(self) -> Figure:
        """Mean rates of every population, over time or over presentations."""
        return time_course(self.recording)

    def __str__(self) -> str:
        width = max(len(what) for what, _ in self.rows)
        return "\n".join(f"{what:{width}}  {which}" for what, which in self.rows)

    def _repr_html_(self) -> str:
        return html.page(
            html.heading("recording"),
            html.table_with(["", ""], self.rows),
            html.picture(self.figure, "mean rates of every population"),
            html.folded("dataset", self.recording._repr_html_()),
        )


@known_arguments("cs.viz.overview")
def overview(recording: xr.Dataset) -> Overview:
    """What a recording or a sweep holds, as text for ``print`` and with a figure in notebooks.

    A recording is an xarray Dataset, which shows its variables itself; the overview lists arms, trials,
    populations, phases and weights.

    Raises
    ------
    DataError
        If the recording is empty.

    Examples
    --------
    >>> import numpy as np
    >>> import cortex_sim as cs
    >>> net = cs.Network("two")
    >>> v1, it = net.population("V1", 3), net.population("IT", 2)
    >>> rates = {"V1": np.zeros((4, 3)), "IT": np.ones((4, 2))}
    >>> print(cs.viz.overview(cs.recording.make_recording(net, {"rate": rates})))
    presentations  4
    populations    V1 (3), IT (2)
    variables      rate
    """
    require_something(recording, "overview")
    rows = [*_sweep(recording), *_arms(recording), ("populations", _populations(recording))]
    found = phases(recording)
    if found:
        rows.append(("phases", ", ".join(f"{name} {end - start:g} ms" for name, start, end in found)))
    variables = [str(name) for name, v in recording.data_vars.items() if "neuroid" in v.dims]
    states = [
        name for name, v in recording.data_vars.items() if "->" in str(name) and "presentation" in v.dims
    ]
    variables += map(str, states)
    if variables:
        rows.append(("variables", ", ".join(variables)))
    rows += _weights(recording)
    origin = [f"{name} {recording.attrs[name]}" for name in _ATTRIBUTES if name in recording.attrs]
    if origin:
        rows.append(("origin", ", ".join(origin)))
    return Overview(tuple(rows), recording)


def _sweep(recording: xr.Dataset) -> list[tuple[str, str]]:
    found = []
    if SETTING in recording.dims:
        found.append(("settings", ", ".join(named(recording, SETTING))))
    if SEED in recording.dims:
        found.append(("seeds", ", ".join(map(str, np.atleast_1d(recording[SEED].values).tolist()))))
    return found


def _arms(recording: xr.Dataset) -> list[tuple[str, str]]:
    first = recording.isel({dim: 0 for dim in (SETTING, SEED) if dim in recording.dims})
    rows = []
    for arm in groups(first, "overview"):
        probes = int(is_probe(arm.first).sum())
        trials = arm.first.sizes["presentation"] - probes
        said = f"{trials} trial{'s' * (trials != 1)}"
        said += f", {probes} presentation{'s' * (probes != 1)} of probes" if probes else ""
        rows.append((f"arm {arm.label}", said) if arm.label else ("presentations", str(trials)))
    return rows


def _populations(recording: xr.Dataset) -> str:
    of = recording["population"].values.astype(str)
    return ", ".join(f"{name} ({int((of == name).sum())})" for name in named(recording, "population"))


def _weights(recording: xr.Dataset) -> list[tuple[str, str]]:
    names = [str(n).removeprefix("weight:") for n in recording.data_vars if str(n).startswith("weight:")]
    if not names:
        return []
    count = recording.sizes["snapshot"]
    return [("weights", f"{', '.join(names)}; {count} snapshot{'s' * (count != 1)}")]
