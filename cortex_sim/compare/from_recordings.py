"""From a recording, simulated or neural, to what metrics compare: `Responses` and `Dissimilarities`."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.compare.responses import Dissimilarities, Responses, require_labels
from cortex_sim.data.identities import identities
from cortex_sim.data.real_numbers import require_real
from cortex_sim.errors import DataError
from cortex_sim.recording.selecting import select

Time = float | tuple[float, float]


def to_responses(
    recording: xr.Dataset,
    *,
    name: str | None = None,
    variable: str = "rate",
    population: str | None = None,
    session: str | None = None,
    arm: str | None = None,
    time_ms: Time | None = None,
    groups: str | None = None,
) -> Responses:
    """Mean response of every neuroid to every stimulus, and the repeats, where there are any.

    Parameters
    ----------
    recording : xarray.Dataset
        In the shape of a recording, from `cortex_sim.neural.load`, `cortex_sim.recording.load` or a network.
    name : str, optional
        By default the recording's own name, with population and session.
    variable : str, default "rate"
        A variable (presentation, neuroid[, time_bin]).
    population, session, arm : str, optional
        Select this part alone; needed where a recording holds several arms, or several sessions with
        different stimuli (or use `by_session`).
    time_ms : float or (start, end), optional
        The time bin that contains a time, or the mean of those between two times; needed where there are
        several (or use `by_time_bin`). Bins are weighted by their widths, but equally for spike counts, since
        a longer bin already contains more spikes.
    groups : str, optional
        A coordinate of presentations, such as "category", that becomes `Responses.groups`.

    Returns
    -------
    Responses
        Stimuli in the order in which they were first presented; ``units`` holds all coordinates of neuroids.

    Raises
    ------
    DataError
        If there is no such part, or a neuroid has no response to some stimulus.
    """
    part = _selected(recording, variable, population, session, arm)
    if time_ms is not None:
        part = select(part, time_ms=time_ms)
    values = part[variable]
    if "time_bin" in values.dims:
        if values.sizes["time_bin"] > 1 and not isinstance(time_ms, tuple):
            raise DataError(
                f"responses {_name(recording, name)}: has {values.sizes['time_bin']} time bins "
                f"({_span(part)}); choose time_ms=(start, end), or compare bin by bin"
            )
        values = _mean_over_time(values, part)
    full = _name(recording, name, population, session, arm)
    return _responses(full, values.transpose("presentation", "neuroid"), groups)


def _mean_over_time(values: xr.DataArray, part: xr.Dataset) -> xr.DataArray:
    """Mean over time: Σ width · value / Σ width, unless values are counts."""
    if values.sizes["time_bin"] == 1:
        return values.isel(time_bin=0)
    width = part["time_bin_end"] - part["time_bin_start"]
    if values.attrs.get("units") == "spike count" or np.allclose(width, width[0]):
        return values.mean("time_bin", skipna=False)
    return (values * (width / width.sum())).sum("time_bin", skipna=False)


def by_time_bin(
    recording: xr.Dataset,
    *,
    name: str | None = None,
    variable: str = "rate",
    population: str | None = None,
    session: str | None = None,
    arm: str | None = None,
    groups: str | None = None,
) -> list[Responses]:
    """Responses in each time bin, in the order of the recording's time bins."""
    part = _selected(recording, variable, population, session, arm)
    full = _name(recording, name, population, session, arm)
    values = part[variable]
    if "time_bin" not in values.dims:
        raise DataError(
            f"responses {full}: has no time bins; load spike times with bin_ms, or record every_ms"
        )
    values = values.transpose("time_bin", "presentation", "neuroid")
    return [
        _responses(f"{full}, {start:g} to {end:g} ms", values[i], groups)
        for i, (start, end) in enumerate(
            zip(part["time_bin_start"].values, part["time_bin_end"].values, strict=True)
        )
    ]


def by_session(
    recording: xr.Dataset,
    *,
    name: str | None = None,
    variable: str = "rate",
    population: str | None = None,
    time_ms: Time | None = None,
    groups: str | None = None,
) -> list[Responses]:
    """One `Responses` per session, each with the stimuli presented in it.

    Sessions of two animals that share a name are kept apart.

    Raises
    ------
    DataError
        If the recording does not say to which session neuroids or presentations belong.
    """
    if "session" not in recording.coords:
        raise DataError(
            f"responses {_name(recording, name)}: has no coordinate session; load with session=NAME, or add "
            f"it to the file"
        )
    return [
        to_responses(
            part,
            name=name,
            session=session,
            variable=variable,
            population=population,
            time_ms=time_ms,
            groups=groups,
        )
        for part, session in _sessions(recording)
    ]


def _sessions(recording: xr.Dataset) -> list[tuple[xr.Dataset, str]]:
    """Every session's name, with the recording, or its animal's part where animals share session names."""
    session = recording["session"]
    labels = session.values.astype(str).tolist()
    of = recording.coords.get("animal")
    if of is None or of.dims != session.dims:
        return [(recording, one) for one in dict.fromkeys(labels)]
    animals = of.values.astype(str)
    found = dict.fromkeys(zip(animals.tolist(), labels, strict=True))
    names = [one for _, one in found]
    parts = []
    for animal, one in found:
        part = recording
        if names.count(one) > 1:
            part = recording.isel({session.dims[0]: np.flatnonzero(animals == animal)})
            part = part.assign_attrs(name=_name(recording, None, animal))
        parts.append((part, one))
    return parts


def to_dissimilarities(rdms: xr.Dataset, *, name: str | None = None) -> Dissimilarities:
    """RDMs with all coordinates of ``rdm``.

    Parameters
    ----------
    rdms : xarray.Dataset
        With ``dissimilarity`` (rdm, pair), as `cortex_sim.neural.load` returns them.
    name : str, optional
        By default the RDMs' own name.
    """
    if "dissimilarity" not in rdms:
        raise DataError(
            f"RDMs {_name(rdms, name)}: needs a variable dissimilarity (rdm, pair), has "
            f"{listed(map(str, rdms.data_vars))}; responses are for to_responses"
        )
    known = {str(key): of.values for key, of in rdms.coords.items() if of.dims == ("rdm",)}
    return Dissimilarities(
        _name(rdms, name),
        rdms["stimulus_id"].values.tolist(),
        rdms["dissimilarity"].transpose("rdm", "pair").values,
        known,
        str(rdms.attrs.get("measure", "unknown")),
    )


def _selected(
    recording: xr.Dataset, variable: str, population: str | None, session: str | None, arm: str | None
) -> xr.Dataset:
    """The part, with one arm, and only presentations made to its neuroids."""
    if variable not in recording or not {"presentation", "neuroid"} <= set(recording[variable].dims):
        raise DataError(
            f"responses {_name(recording, None)}: needs a variable {variable} (presentation, neuroid), has "
            f"{listed(map(str, recording.data_vars))}"
        )
    dims = recording[variable].dims
    kept = [str(key) for key, of in recording.coords.items() if of.dims and set(of.dims) <= set(dims)]
    if "stimulus_id" not in recording.coords:
        raise DataError(
            f"responses {_name(recording, None)}: do not say which stimulus was presented; give the "
            f"coordinate stimulus_id (presentation)"
        )
    part = recording[[variable]].reset_coords(drop=True).assign_coords({key: recording[key] for key in kept})
    if population is not None or arm is not None:
        part = select(part, population=population, arm=arm)
    arms = set(part["arm"].values.astype(str).tolist()) if "arm" in part.coords else set()
    if len(arms) > 1:
        raise DataError(
            f"responses {_name(recording, None)}: holds arms {listed(arms)}; choose one with arm="
        )
    return part if session is None else _of_session(part, variable, session)


def _of_session(part: xr.Dataset, variable: str, session: str) -> xr.Dataset:
    if "session" not in part.coords:
        raise DataError(f"responses {_name(part, None)}: has no coordinate session; leave session out")
    labels = part["session"].values.astype(str)
    if session not in labels:
        raise DataError(
            f"responses {_name(part, None)}: no session {session!r}; known: {listed(set(labels.tolist()))}"
        )
    part = part.isel({part["session"].dims[0]: np.flatnonzero(labels == session)})
    rate = part[variable]
    shown = rate.notnull().any([dim for dim in rate.dims if dim != "presentation"]).values
    return part.isel(presentation=np.flatnonzero(shown))


def _responses(name: str, values: xr.DataArray, groups: str | None) -> Responses:
    ids = np.asarray(
        identities(f"responses {name}: stimulus_id", values["stimulus_id"].values), dtype=np.str_
    )
    first, stimulus = _in_order(ids)
    require_real(f"responses {name}: {values.name}", values.dtype)
    data = values.values.astype(np.float64)
    single = len(first) == len(ids)
    repeats = data[None] if single else _repeats(data, stimulus, len(first), _order_of(values))
    means = _means(name, repeats, ids[first], values)
    known = {str(key): of.values for key, of in values.coords.items() if of.dims == ("neuroid",)}
    return Responses(
        name,
        ids[first].tolist(),
        means,
        repeats if len(repeats) > 1 else None,
        known,
        None if groups is None else _groups(name, values, groups, first, stimulus),
    )


def _in_order(ids: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First presentation of each stimulus, and the stimulus of each presentation, by number."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def _order_of(values: xr.DataArray) -> NDArray[Any]:
    """Values by which the presentations of one stimulus are ordered."""
    return values["repetition"].values if "repetition" in values.coords else np.zeros(values.shape[0])


def _repeats(
    data: NDArray[np.float64], stimulus: NDArray[np.int64], stimuli: int, order: NDArray[Any]
) -> NDArray[np.float64]:
    """Presentations as (repeat, stimulus, neuroid), NaN where a stimulus was presented less often."""
    at = np.lexsort((np.arange(len(stimulus)), order, stimulus))
    each = np.bincount(stimulus, minlength=stimuli)
    repeat = np.arange(len(at)) - np.repeat(np.cumsum(each) - each, each)
    found = np.full((int(each.max()), stimuli, data.shape[1]), np.nan)
    found[repeat, stimulus[at]] = data[at]
    return found[~np.isnan(found).all((1, 2))] if len(found) > 1 else found


def _means(
    name: str, repeats: NDArray[np.float64], ids: NDArray[Any], values: xr.DataArray
) -> NDArray[np.float64]:
    present = ~np.isnan(repeats)
    if len(repeats) == 1 and present.all():
        return repeats[0]
    count = present.sum(0)
    if not count.size or not count.all():
        missing = np.argwhere(count == 0)
        at = missing[0] if len(missing) else None
        which = (
            ""
            if at is None
            else (f", such as neuroid {_neuroid(values, int(at[1]))} to stimulus {ids[at[0]]!s}")
        )
        raise DataError(
            f"responses {name}: {len(missing)} pairs of stimulus and neuroid have no response{which}; where "
            f"sessions had different stimuli, compare them one by one (session=)"
        )
    means: NDArray[np.float64] = np.where(present, repeats, 0.0).sum(0) / count
    return means


def _neuroid(values: xr.DataArray, number: int) -> str:
    return str(values["neuroid_id"].values[number]) if "neuroid_id" in values.coords else str(number)


def _groups(
    name: str, values: xr.DataArray, groups: str, first: NDArray[np.int64], stimulus: NDArray[np.int64]
) -> NDArray[Any]:
    if groups not in values.coords or values[groups].dims != ("presentation",):
        known = [str(key) for key, of in values.coords.items() if of.dims == ("presentation",)]
        raise DataError(
            f"responses {name}: no coordinate {groups!r} of presentations; known: {listed(known)}"
        )
    labels: NDArray[Any] = values[groups].values
    require_labels(f"responses {name}: {groups}", labels)
    if (labels != labels[first][stimulus]).any():
        raise DataError(
            f"responses {name}: {groups} differs between presentations of one stimulus; choose a coordinate "
            f"that is the same for all of them"
        )
    return labels[first]


def _name(recording: xr.Dataset, name: str | None, *parts: str | None) -> str:
    if name is not None:
        return name
    own = recording.attrs.get("name", recording.attrs.get("network", "recording"))
    return ", ".join([str(own), *(part for part in parts if part is not None)])


def _span(part: xr.Dataset) -> str:
    return f"{part['time_bin_start'].values[0]:g} to {part['time_bin_end'].values[-1]:g} ms"
