"""Recorded weights and rule state of a projection as plain arrays, in the order of their snapshots."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cortex_sim.checks import look_up
from cortex_sim.errors import DataError
from cortex_sim.recording.selecting import select

_WEIGHT, _STATE = "weight:", "state:"


def weights_of(
    recording: xr.Dataset, projection: str, arm: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Trials before each snapshot (snapshot,), and weights (snapshot, post, pre).

    Parameters
    ----------
    recording : xarray.Dataset
        Of a protocol with ``cs.Record(weights=...)``.
    projection : str
        Such as "retina->V1".
    arm : str, optional
        Snapshots of this arm only; those of all arms, one after another, by default.

    Raises
    ------
    DataError
        If the weights of this projection were not recorded, or there is no such arm.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> net = cs.Network("two")
    >>> up = net.bottom_up(net.population("retina", 3), net.population("V1", 2), plasticity="hebbian")
    >>> show = cs.Phase("show", 20, drive={"retina": 1.0}, plasticity=True)
    >>> protocol = cs.Protocol(show, trials=4, record=cs.Record(weights=True))
    >>> recording = cs.brian2.run(cs.Experiment(net, {"shown": protocol}))
    >>> trials, weights = weights_of(recording, "retina->V1", "shown")
    >>> trials.tolist(), weights.shape
    ([0, 1, 2, 3, 4], (5, 2, 3))
    """
    recorded = {
        str(name).removeprefix(_WEIGHT): name for name in recording.data_vars if str(name).startswith(_WEIGHT)
    }
    if not recorded:
        raise DataError("weights_of: no weights in the recording; record them: cs.Record(weights=True)")
    name = look_up("recorded projection", projection, recorded, DataError)
    chosen = recording if arm is None else select(recording, arm=arm)
    return chosen["snapshot_trial"].values, chosen[name].values


def state_of(
    recording: xr.Dataset, projection: str, variable: str, arm: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Trials before each snapshot (snapshot,), and the state of a rule (snapshot, ...): θ of BCM, a trace.

    Parameters
    ----------
    recording : xarray.Dataset
        Of a protocol with ``cs.Record(state=...)``.
    projection : str
        Such as "retina->V1".
    variable : str
        Of its rule, such as "theta": (snapshot, post), (snapshot, pre), (snapshot, post, pre) or (snapshot,).
    arm : str, optional
        Snapshots of this arm only.

    Raises
    ------
    DataError
        If it was not recorded, or there is no such arm.
    """
    recorded = {
        str(name).removeprefix(_STATE): name for name in recording.data_vars if str(name).startswith(_STATE)
    }
    if f"{projection}:{variable}" in recording and f"{projection}:{variable}" not in recorded:
        raise DataError(
            f"state_of: {projection}:{variable} was recorded as rates are, not by snapshot; read "
            f'recording["{projection}:{variable}"]'
        )
    if not recorded:
        raise DataError("state_of: no state of rules in the recording; record it: cs.Record(state=True)")
    name = look_up("recorded state", f"{projection}:{variable}", recorded, DataError)
    chosen = recording if arm is None else select(recording, arm=arm)
    return chosen["snapshot_trial"].values, chosen[name].values
