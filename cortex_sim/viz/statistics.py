"""One number per presentation: mean rate, size of credit, or whether the right neuroid was most active."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.errors import DataError
from cortex_sim.viz.panels import by_stimulus, variable_of

if TYPE_CHECKING:
    import xarray as xr

Labels = Mapping[str, Any] | Sequence[Any]
Statistic = Callable[["xr.Dataset", "Labels | None"], np.ndarray]


def accuracy(recording: xr.Dataset, labels: Labels | None) -> np.ndarray:
    """1 where the most active neuroid is that of the label, else 0; shape (presentation,)."""
    if labels is None:
        raise DataError("accuracy: needs labels, a list by stimulus number or a mapping from stimulus_id")
    return (_settled(recording, "rate").argmax(axis=1) == by_stimulus(recording, labels, "labels")).astype(
        float
    )


def mean_rate(recording: xr.Dataset, labels: Labels | None = None) -> np.ndarray:
    """Mean rate over neuroids and time bins, shape (presentation,)."""
    return _settled(recording, "rate").mean(axis=1)


def size_of_credit(recording: xr.Dataset, labels: Labels | None = None) -> np.ndarray:
    """Root mean square over neuroids of the credit averaged over time bins, shape (presentation,)."""
    return np.sqrt((_settled(recording, "credit") ** 2).mean(axis=1))


def _settled(recording: xr.Dataset, variable: str) -> np.ndarray:
    values = variable_of(recording, variable)
    values = values.mean("time_bin") if "time_bin" in values.dims else values
    return values.transpose("presentation", "neuroid").values


STATISTICS: dict[str, Statistic] = {"rate": mean_rate, "credit": size_of_credit, "accuracy": accuracy}
#: Axis label of each statistic.
SAID = {"rate": "mean rate", "credit": "root mean square of credit", "accuracy": "accuracy"}


def statistic_for(recording: xr.Dataset, statistic: str | None, labels: Labels | None) -> str:
    """The statistic given; by default accuracy with labels, else credit where recorded, else rate."""
    if statistic is not None:
        return statistic
    return "accuracy" if labels is not None else "credit" if "credit" in recording else "rate"


def is_probe(recording: xr.Dataset) -> np.ndarray:
    """Whether each presentation belongs to a probe, shape (presentation,)."""
    if "stage" not in recording.coords:
        return np.zeros(recording.sizes["presentation"], dtype=bool)
    return recording["stage"].values.astype(str) == "probe"
