"""Neural data from files, in the shape of a recording: ``load("v4.npz")``, ``load("rdms.npz:monkey")``.

Each format has one module, which says what it accepts (``FORM``); nothing is unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from cortex_sim.checks import listed
from cortex_sim.data.limits import MAX_BYTES
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.neural import netcdf, npz, rdm_files, stored
from cortex_sim.neural.address import Address, address
from cortex_sim.neural.checking import checked, constant_neuroids
from cortex_sim.neural.shape import normal_units
from cortex_sim.neural.spikes import Binning

__all__ = ["Address", "address", "constant_neuroids", "load"]

PICKLED = (".pkl", ".pickle", ".p", ".joblib", ".pt", ".pth")
FORMS = (
    "an .npz or .h5 file of named arrays, netCDF (.nc), NWB (.nwb), or RDMs as rsatoolbox writes them "
    "(.h5, .hdf5)"
)


@dataclass(frozen=True)
class Options:
    """Settings of readers besides the address; each refuses those that its format does not have."""

    binning: Binning
    max_bytes: int
    table: str | None = None
    stimulus_column: str | None = None


def load(
    path: str | os.PathLike[str],
    *,
    stimuli: StimulusSet | str | os.PathLike[str] | Sequence[str] | None = None,
    bin_ms: float | None = None,
    window_ms: tuple[float, float] | None = None,
    align: float | str | None = None,
    session: str | None = None,
    animal: str | None = None,
    units: str | None = None,
    table: str | None = None,
    stimulus_column: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> xr.Dataset:
    """Read neural data, and check them.

    Parameters
    ----------
    path : str or path
        ``FILE``, or ``FILE:KEY`` for one of its arrays: ``.npz``, ``.nc``, ``.nwb``, ``.h5`` or ``.hdf5``;
        docs/neural-data.md lists what each may hold.
    stimuli : StimulusSet, path or sequence of str, optional
        What was presented; every stimulus id of the data must be among theirs.
    bin_ms : float, optional
        Width of time bins in ms, for spike times: 20 by default (NWB: one bin, the window).
    window_ms : (start, end), optional
        The time to bin, relative to the alignment; by default all that was recorded (NWB: each interval).
    align : float or str, optional
        When the stimulus appeared, on the clock of the spike times: a time in ms, or the name of the array
        (NWB: the column) that holds it for each trial. By default 0 (NWB: "start_time").
    session, animal : str, optional
        Labels for data that have none; of data that have them, the part to select.
    units : str, optional
        "spikes/s", "spike count", "1" or another, where the file names no unit or a wrong one.
    table, stimulus_column : str, optional
        NWB only: the intervals in which stimuli were presented, and their column with the stimulus.
    max_bytes : int, default 8 GiB
        Larger arrays are refused.

    Returns
    -------
    xarray.Dataset
        Responses: ``rate`` (presentation, neuroid[, time_bin]), NaN where a repeat is missing, with plain
        coordinates ``stimulus_id``, ``repetition``, ``neuroid_id``, ``time_bin_start``, ``time_bin_end``, and
        ``session``, ``animal``, ``population``, ``compartment`` where known; the attribute
        ``constant_neuroids``, see `constant_neuroids`. Or RDMs: ``dissimilarity`` (rdm, pair), with
        ``stimulus_id`` (stimulus), ``animal`` and ``session`` of each RDM where known, and the attribute
        ``measure``.

    Raises
    ------
    DataError
        If the file is missing, damaged, pickled or ambiguous, or its content contradicts itself or the
        stimuli; the message says in one line what would be accepted.
    """
    options = Options(Binning(bin_ms, window_ms, align), max_bytes, table, stimulus_column)
    place = address(path)
    data = _reader(place, options)(place, options)
    for name, value in (("session", session), ("animal", animal)):
        if value is not None:
            data = _narrowed(str(place), data, name, str(value))
    if units is not None and "rate" in data:
        data["rate"].attrs["units"] = normal_units(units)
    return checked(data.assign_attrs(source=str(place)), str(place), stimuli)


Read = Callable[[Address, Options], xr.Dataset]


def _reader(place: Address, options: Options) -> Read:
    if place.file.is_dir():
        raise DataError(f"neural data {place}: is a folder; give {FORMS}")
    suffix = place.file.suffix.lower()
    if suffix in PICKLED:
        raise DataError(
            f"neural data {place}: pickled files can run code when they are read, and are refused; save "
            f"arrays with numpy.savez, or RDMs with rsatoolbox's RDMs.save(file_type='hdf5')"
        )
    if suffix not in READERS:
        raise DataError(f"neural data {place}: {suffix or 'no suffix'}: not an accepted format; give {FORMS}")
    if suffix != ".nwb" and (options.table or options.stimulus_column):
        raise DataError(f"neural data {place}: table and stimulus_column are for NWB files; leave them out")
    return READERS[suffix]


def _npz(place: Address, options: Options) -> xr.Dataset:
    arrays = stored.npz(place.file, options.max_bytes)
    return npz.read_arrays_file(arrays, place.key, options.binning)


def _netcdf(place: Address, options: Options) -> xr.Dataset:
    _refuse_binning(place, options.binning)
    return netcdf.read_netcdf(place.file, place.key, max_bytes=options.max_bytes)


def _hdf5(place: Address, options: Options) -> xr.Dataset:
    """HDF5 is also the container of netCDF and of rsatoolbox."""
    with stored.opened(place.file) as file:
        is_netcdf = "_NCProperties" in file.attrs
    if is_netcdf:
        return _netcdf(place, options)
    if place.key in (None, "dissimilarities") and rdm_files.is_rsatoolbox(place.file):
        _refuse_binning(place, options.binning)
        return rdm_files.read_rsatoolbox(place.file, max_bytes=options.max_bytes)
    return npz.read_arrays_file(stored.hdf5(place.file, options.max_bytes), place.key, options.binning)


def _nwb(place: Address, options: Options) -> xr.Dataset:
    from cortex_sim.neural.nwb import read_nwb

    binning = options.binning
    if not (binning.align is None or isinstance(binning.align, str)):
        raise DataError(
            f"neural data {place}: in NWB files align must be the name of a column of onsets. "
            f"Got {binning.align!r}"
        )
    given: dict[str, Any] = {} if binning.align is None else {"align": binning.align}
    return read_nwb(
        place.file,
        place.key,
        bin_ms=binning.bin_ms,
        window_ms=binning.window_ms,
        stimulus_column=options.stimulus_column,
        table=options.table,
        **given,
    )


READERS: dict[str, Read] = {
    ".npz": _npz,
    ".nc": _netcdf,
    ".nc4": _netcdf,
    ".cdf": _netcdf,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".nwb": _nwb,
}


def _refuse_binning(place: Address, binning: Binning) -> None:
    if binning.given:
        raise DataError(
            f"neural data {place}: this file holds no spike times; leave out {', '.join(binning.given)}, and "
            f"choose among its time bins when comparing"
        )


def _narrowed(source: str, data: xr.Dataset, name: str, value: str) -> xr.Dataset:
    """Data labelled with a session or animal, or reduced to it where the file has it."""
    dim = "rdm" if "dissimilarity" in data else "neuroid"
    if name not in data.coords:
        return data.assign_coords({name: (dim, [value] * data.sizes[dim])})
    labels = data[name].values.astype(str)
    if value not in labels:
        raise DataError(
            f"neural data {source}: has no {name} {value!r}; known: {listed(set(labels.tolist()))}"
        )
    kept = data.isel({data[name].dims[0]: labels == value})
    if dim == "rdm" or data[name].dims[0] != "neuroid" or not kept["rate"].isnull().any():
        return kept
    shown = kept["rate"].notnull().any([d for d in kept["rate"].dims if d != "presentation"])
    return kept.isel(presentation=shown.values)
