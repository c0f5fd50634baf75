"""Checks of every data set that is loaded: identities, missing repeats, units, neuroids that never vary."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.data.identities import identities
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.neural.suspicious import warn_of_copies, warn_of_silence

COUNTED = ("spikes/s", "spike count")
#: Coordinates that, with the stimulus and its repetition, identify a presentation uniquely.
_APART = ("arm", "stage", "session", "animal")


def checked(data: xr.Dataset, source: str, stimuli: object = None) -> xr.Dataset:
    """The same data, with the attribute ``constant_neuroids`` or ``constant_rdms``, if nothing is wrong.

    Parameters
    ----------
    data : xarray.Dataset
        Responses or RDMs as readers return them.
    source : str
        Their name in error messages, usually the path.
    stimuli : StimulusSet, path or sequence of str, optional
        The stimuli that were presented; every id of the data must be among theirs.

    Raises
    ------
    DataError
        If something is wrong; the message says in one line what, and how to correct it.
    """
    _require_identities(source, data)
    _require_labels(source, data)
    if stimuli is not None:
        _require_stimuli(source, data, _ids_of(stimuli))
    if "dissimilarity" in data:
        return _checked_rdms(source, data)
    _require_unique(source, data)
    _require_time(source, data)
    _require_values(source, data)
    _require_repeats(source, data)
    warn_of_copies(source, data)
    if data["rate"].attrs.get("units", "1") in COUNTED:
        warn_of_silence(source, data)
    return _flag_constant(source, data)


def constant_neuroids(data: xr.Dataset) -> list[str]:
    """Ids of neuroids whose response never varies, as flagged when the data were loaded."""
    found: list[str] = json.loads(data.attrs.get("constant_neuroids", "[]"))
    return found


def _ids_of(stimuli: object) -> list[str]:
    if isinstance(stimuli, StimulusSet):
        return list(stimuli.ids or ())
    if isinstance(stimuli, (str, os.PathLike)):
        from cortex_sim.data.stimulus_files import stimuli as read

        return list(read(Path(stimuli)).ids or ())
    if isinstance(stimuli, (Sequence, np.ndarray)):
        return identities("stimuli: the list of ids", stimuli)
    raise DataError(f"stimuli must be a StimulusSet, a path, or a list of ids. Got {type(stimuli).__name__}")


def _require_identities(source: str, data: xr.Dataset) -> None:
    """Raise if presentations have no stimulus id: they would count as presentations of one stimulus."""
    ids = data["stimulus_id"].values.tolist()
    without = [number for number, one in enumerate(ids) if not str(one).strip()]
    if without:
        raise DataError(
            f"neural data {source}: {len(without)} of {len(ids)} entries of stimulus_id are empty or NaN, "
            f"such as entry {without[0]}; leave these presentations out, or give their stimuli"
        )


def _require_labels(source: str, data: xr.Dataset) -> None:
    """Raise where some have a session or animal, and others none: these would count as one of that name."""
    for name in ("session", "animal"):
        if name not in data.coords or len(data[name].dims) != 1:
            continue
        labels = data[name].values.astype(str).tolist()
        without = [at for at, one in enumerate(labels) if one.strip().lower() in ("", "nan", "none", "nat")]
        if 0 < len(without) < len(labels):
            raise DataError(
                f"neural data {source}: {len(without)} of {len(labels)} entries of {name} are empty or NaN, "
                f"such as entry {without[0]}; give each its {name}, or leave it out"
            )


def _require_stimuli(source: str, data: xr.Dataset, known: list[str]) -> None:
    shown = list(dict.fromkeys(data["stimulus_id"].values.tolist()))
    among = set(known)
    missing = [one for one in shown if one not in among]
    if missing:
        raise DataError(
            f"neural data {source}: {len(missing)} of {len(shown)} stimulus ids are not among the "
            f"{len(known)} stimuli, such as {listed(missing[:3])} (those have {listed(known[:3])}, …); give "
            f"the stimuli that were presented, or save their ids as stimulus_id"
        )
    if data.attrs.get("stimuli") == "numbered" and len(shown) != len(known):
        raise DataError(
            f"neural data {source}: its {len(shown)} stimuli have no ids and are matched by order, but "
            f"{len(known)} stimuli were given; save the array stimulus_id, or give exactly these"
        )


def _require_unique(source: str, data: xr.Dataset) -> None:
    if not all(data.sizes.get(dim) for dim in data["rate"].dims):
        sizes = ", ".join(f"{dim} {size}" for dim, size in data.sizes.items())
        raise DataError(f"neural data {source}: is empty ({sizes}); give at least one of each")
    keys = [
        "neuroid_id",
        *(k for k in ("animal", "session", "population", "compartment") if _on(data, k, "neuroid")),
    ]
    twice = _twice(data, keys)
    if twice:
        first, *apart = twice[0]
        raise DataError(
            f"neural data {source}: neuroid_id holds {first!r} more than once{_of(keys[1:], apart)}; "
            f"make ids unique, or give the session or animal of each neuroid"
        )
    keys = ["stimulus_id", "repetition", *(k for k in _APART if _on(data, k, "presentation"))]
    twice = _twice(data, keys)
    if twice:
        raise DataError(
            f"neural data {source}: stimulus_id {twice[0][0]!r} has repetition {twice[0][1]} more than once"
            f"{_of(keys[2:], twice[0][2:])}; number the repetitions of each stimulus"
        )


def _on(data: xr.Dataset, name: str, dim: str) -> bool:
    return name in data.coords and data[name].dims == (dim,)


def _twice(data: xr.Dataset, keys: list[str]) -> list[tuple[Any, ...]]:
    """Combinations that occur more than once."""
    seen: set[tuple[Any, ...]] = set()
    found = []
    for one in zip(*(data[key].values.tolist() for key in keys), strict=True):
        if one in seen:
            found.append(one)
        seen.add(one)
    return found


def _of(keys: list[str], values: Sequence[Any]) -> str:
    said = ", ".join(f"{key} {value}" for key, value in zip(keys, values, strict=True))
    return f" ({said})" if said else ""


def _require_time(source: str, data: xr.Dataset) -> None:
    if "time_bin" not in data["rate"].dims:
        return
    start, end = data["time_bin_start"].values, data["time_bin_end"].values
    if not (np.isfinite(start).all() and np.isfinite(end).all() and (start < end).all()):
        raise DataError(
            f"neural data {source}: every time bin must start before it ends, in ms; correct time_bin_start "
            f"and time_bin_end"
        )
    if (np.diff(start) <= 0).any():
        raise DataError(f"neural data {source}: time bins must ascend; sort them by time_bin_start")


def _require_values(source: str, data: xr.Dataset) -> None:
    rate, units = data["rate"].values, data["rate"].attrs.get("units", "1")
    if np.isinf(rate).any():
        where = np.argwhere(np.isinf(rate))[0]
        raise DataError(
            f"neural data {source}: {_entry(data, where)} is infinite; mark missing repeats with NaN"
        )
    if units in COUNTED and (rate < 0).any():
        where = np.argwhere(rate < 0)[0]
        raise DataError(
            f"neural data {source}: {_entry(data, where)} is {rate[tuple(where)]:g}, but {units} cannot be "
            f"negative; after subtraction of a baseline give units '1'"
        )


def _entry(data: xr.Dataset, where: NDArray[np.int64]) -> str:
    return (
        f"the response of neuroid {data['neuroid_id'].values[where[1]]!s} to stimulus "
        f"{data['stimulus_id'].values[where[0]]!s}"
    )


def _require_repeats(source: str, data: xr.Dataset) -> None:
    """NaN may only be a missing repeat: each neuroid has a response to each stimulus of its session."""
    rate = data["rate"].values
    missing = np.isnan(rate)
    if not missing.any():
        return
    if missing.ndim == 3:
        if (missing.any(-1) != missing.all(-1)).any():
            raise DataError(
                f"neural data {source}: some time bins of a presentation are NaN and others not; NaN marks a "
                f"missing repeat, so give all time bins of a presentation, or NaN in all"
            )
        missing = missing[..., 0]
    _, stimulus = np.unique(data["stimulus_id"].values, return_inverse=True)
    session = data["session"].values if _on(data, "session", "neuroid") else np.zeros(missing.shape[1])
    present = np.zeros((int(stimulus.max()) + 1, missing.shape[1]), dtype=bool)
    np.logical_or.at(present, stimulus, ~missing)
    for one in dict.fromkeys(session.tolist()):
        members = session == one
        shown = np.asarray(present[:, members].any(axis=1))
        lacking = ~present[np.ix_(shown, members)]
        if not shown.any() or lacking.any():
            _refuse_missing(source, data, members, shown, lacking)


def _refuse_missing(
    source: str, data: xr.Dataset, members: NDArray[Any], shown: NDArray[Any], lacking: NDArray[Any]
) -> None:
    if not shown.any():
        names = data["neuroid_id"].values[members]
        raise DataError(
            f"neural data {source}: all responses of neuroids {_few(names)} are NaN; leave them out"
        )
    stimuli = np.unique(data["stimulus_id"].values)[shown]
    i, j = np.argwhere(lacking)[0]
    neuroid = data["neuroid_id"].values[members][j]
    raise DataError(
        f"neural data {source}: {int(lacking.sum())} of {lacking.size} pairs of stimulus and neuroid have no "
        f"response at all, such as stimulus {stimuli[i]!s} and neuroid {neuroid!s}; "
        f"NaN marks missing repeats: leave out these stimuli or neuroids, or give each neuroid its session"
    )


def _flag_constant(source: str, data: xr.Dataset) -> xr.Dataset:
    rate = data["rate"].values
    low = np.fmin.reduce(rate, axis=0)
    high = np.fmax.reduce(rate, axis=0)
    constant = (low == high).reshape(rate.shape[1], -1).all(1)
    names = data["neuroid_id"].values[constant]
    if constant.all() and data.sizes["presentation"] > 1:
        raise DataError(
            f"neural data {source}: no neuroid's response varies over presentations, so nothing can be "
            f"compared with it; check which array was read, and its units"
        )
    return data.assign_attrs(constant_neuroids=json.dumps([str(one) for one in names]))


def _checked_rdms(source: str, data: xr.Dataset) -> xr.Dataset:
    values, ids = data["dissimilarity"].values, data["stimulus_id"].values.tolist()
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise DataError(f"neural data {source}: stimulus_id holds {twice!r} more than once; make ids unique")
    if len(ids) * (len(ids) - 1) // 2 != values.shape[1]:
        raise DataError(
            f"neural data {source}: {len(ids)} stimuli have {len(ids) * (len(ids) - 1) // 2} pairs, but the "
            f"RDMs have {values.shape[1]}; give one id per stimulus"
        )
    if len(ids) < 3:
        raise DataError(f"neural data {source}: an RDM needs at least 3 stimuli. Got {len(ids)}")
    if np.isinf(values).any():
        raise DataError(
            f"neural data {source}: holds infinite dissimilarities; mark what is missing with NaN"
        )
    empty = np.isnan(values).all(1)
    if empty.any():
        raise DataError(f"neural data {source}: RDM {int(np.argmax(empty))} is NaN throughout; leave it out")
    constant = np.fmin.reduce(values, axis=1) == np.fmax.reduce(values, axis=1)
    if constant.all():
        raise DataError(
            f"neural data {source}: all dissimilarities are equal, so nothing can be compared with them; "
            f"check which array was read"
        )
    return data.assign_attrs(constant_rdms=json.dumps(np.flatnonzero(constant).tolist()))


def _few(names: NDArray[Any]) -> str:
    shown = [str(one) for one in names[:3].tolist()]
    return listed(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
