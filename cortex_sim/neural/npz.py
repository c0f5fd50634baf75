"""Responses in a file of named arrays: what each array means, by its name and its shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.errors import DataError
from cortex_sim.neural import rdm_files, spike_arrays
from cortex_sim.neural.companions import (
    Labels,
    descriptors,
    given_ids,
    ids_of_stimuli,
    neuroids,
    own_stimuli,
    time_bins,
)
from cortex_sim.neural.shape import OF_NEUROIDS, is_triangular, recording
from cortex_sim.neural.spikes import Binning
from cortex_sim.neural.stored import Stored

FORM = (
    "responses: response (presentation, neuroid) with stimulus_id, response_mean (stimulus, neuroid) or "
    "response_repeats (stimulus, repeat, neuroid)"
)
USUAL = ("response_repeats", "response", "response_mean")
FORMS = f"{FORM}; {spike_arrays.FORM}; {rdm_files.FORM}"


def read_arrays_file(stored: Stored, key: str | None, binning: Binning) -> xr.Dataset:
    """Responses, spikes or RDMs of an ``.npz`` or plain HDF5 file.

    Parameters
    ----------
    stored : Stored
    key : str, optional
        The array; without it, the one with a documented name.
    binning : Binning
        For spike times only.

    Raises
    ------
    DataError
        If no array is found, or several could be meant; the message lists them.
    """
    spikes = spike_arrays.recognises(stored)
    if spikes and (key in spike_arrays.TIMES or (key is None and not any(name in stored for name in USUAL))):
        return spike_arrays.read_spikes(stored, binning)
    if binning.given:
        raise DataError(
            f"neural data {stored.path}: {'this file' if key is None else key} holds no spike times; leave "
            f"out {', '.join(binning.given)}"
        )
    name = _chosen(stored) if key is None else stored.require(key)
    if rdm_files.looks_like_rdms(stored, name, _stimuli(stored)):
        return rdm_files.read_rdms(stored, name)
    return read_responses(stored, name)


def read_responses(stored: Stored, name: str) -> xr.Dataset:
    """Responses of one array, with or without repeats and time bins."""
    values = stored.numbers(name, "(stimulus, neuroid) or (stimulus, repeat, neuroid)")
    bins = time_bins(stored, values.shape[-1], name) if _has_time(stored, name, values) else None
    if _has_repeats(stored, name, values, bins is not None):
        return _repeated(stored, name, values, bins)
    if values.ndim != 2 + (bins is not None) or name == "response_repeats":
        raise stored.refused(name, _shapes(name))
    rows, count = values.shape[:2]
    ids, numbered = _ids_of_rows(stored, rows, name)
    known, by_row = _around(stored, count, rows, name)
    repetition = (
        stored.read("repetition") if stored.shapes.get("repetition", ((), ""))[0] == (rows,) else None
    )
    return recording(
        stored.path.stem,
        values,
        ids,
        units=stored.text("units"),
        repetition=repetition,
        presentations=by_row,
        neuroids=known,
        time_bins=bins,
        attributes=_said(name, numbered),
    )


def _repeated(
    stored: Stored, name: str, values: NDArray[Any], bins: tuple[NDArray[Any], NDArray[Any]] | None
) -> xr.Dataset:
    """Presentations (stimulus, repeat), with the repeats of one stimulus in succession."""
    stimuli, repeats, count = values.shape[:3]
    ids, numbered = ids_of_stimuli(stored, stimuli, name)
    known, by_row = _around(stored, count, stimuli, name)
    return recording(
        stored.path.stem,
        values.reshape(stimuli * repeats, *values.shape[2:]),
        np.repeat(ids, repeats),
        units=stored.text("units"),
        repetition=np.tile(np.arange(repeats), stimuli),
        presentations={key: np.repeat(of, repeats) for key, of in by_row.items()},
        neuroids=known,
        time_bins=bins,
        attributes=_said(name, numbered),
    )


def _around(stored: Stored, count: int, rows: int, name: str) -> tuple[Labels, Labels]:
    known, by_row = neuroids(stored, count, rows, name)
    more, more_by_row = descriptors(stored, count, rows, name)
    return {**more, **known}, {**more_by_row, **by_row}


def _ids_of_rows(stored: Stored, rows: int, name: str) -> tuple[list[str], bool]:
    """Ids of presentations; rows of means are stimuli, whose ids are unique."""
    ids = given_ids(stored)
    if ids is None and name == "response" and own_stimuli(stored) is None:
        raise DataError(
            f"neural data {stored.path}: response has {rows} presentations, but stimulus_id is missing; save "
            f"the id of each, or, if these are means over repeats, rename the array response_mean"
        )
    found, numbered = ids_of_stimuli(stored, rows, name)
    if name == "response_mean" and len(set(found)) < rows:
        twice = next(one for one in found if found.count(one) > 1)
        raise DataError(
            f"neural data {stored.path}: stimulus_id holds {twice!r} more than once, but response_mean has "
            f"one row per stimulus; if rows are single presentations, rename the array response"
        )
    return found, numbered


def _chosen(stored: Stored) -> str:
    usual = [name for name in USUAL if name in stored]
    if usual:
        return usual[0]
    n = _stimuli(stored)
    rdms = [name for name in stored.shapes if rdm_files.looks_like_rdms(stored, name, n)]
    named = [name for name in rdms if rdm_files.named_so(name)]
    shaped = [name for name in rdms if len(stored.shape(name)) > 1 or is_triangular(stored.shape(name)[0])]
    rdms = named or [name for name in shaped if name not in OF_NEUROIDS]
    if len(rdms) == 1:
        return rdms[0]
    which = f"neural data {stored.path}: which array? Give {stored.path}:KEY, one of"
    raise DataError(
        f"{which} {listed(rdms)}" if rdms else f"{which} {listed(stored.shapes)}; or save {FORMS}"
    )


def _stimuli(stored: Stored) -> int | None:
    """How many stimuli the file has, by ids that are unique or by pictures."""
    ids = given_ids(stored)
    return len(dict.fromkeys(ids)) if ids is not None else own_stimuli(stored)


def _has_time(stored: Stored, name: str, values: NDArray[Any]) -> bool:
    """Whether the last axis is time: as a documented name says, else where its length is that of the bins."""
    if "time_bin_start" not in stored and "time_bin_end" not in stored:
        return False
    if name in USUAL:
        return values.ndim == (4 if name == "response_repeats" else 3)
    return values.ndim > 2 and stored.shapes.get("time_bin_start", ((), ""))[0] == values.shape[-1:]


def _has_repeats(stored: Stored, name: str, values: NDArray[Any], timed: bool) -> bool:
    if name in ("response", "response_mean"):
        return False
    return values.ndim == 3 + timed


def _shapes(name: str) -> str:
    if name == "response_repeats":
        return "give (stimulus, repeat, neuroid[, time_bin]), or rename it response if rows are presentations"
    row = "stimulus" if name == "response_mean" else "presentation"
    return (
        f"give ({row}, neuroid), or with time_bin_start and time_bin_end a third axis; if "
        f"axes are (stimulus, repeat, neuroid), rename it response_repeats"
    )


def _said(name: str, numbered: bool) -> dict[str, str]:
    return {"array": name, "stimuli": "numbered" if numbered else "named"}
