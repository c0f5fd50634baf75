"""Recordings as NWB (Neurodata Without Borders): processed time series, and the presentations."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr

from cortex_sim.checks import listed, require_name, require_path
from cortex_sim.errors import DataError, DeclarationError, RunError
from cortex_sim.recording.extras import imported, quiet_nwb
from cortex_sim.recording.guarded import Guarded, guarded
from cortex_sim.recording.nwb_series import Block, blocks, empty_series, fill, places
from cortex_sim.recording.nwb_session import Session, new_file, source_of
from cortex_sim.recording.nwb_tables import attribute_table, bin_table, neuroid_table, presentation_table
from cortex_sim.recording.timeline import Timeline, timeline, variables
from cortex_sim.runs.files import whole

_Filling = tuple[str, Sequence[Block], Sequence[Any]]  # variable, its blocks, their empty data sets


def write_nwb(
    recording: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    session_description: str | None = None,
    identifier: str | None = None,
    start: datetime | None = None,
    subject: Mapping[str, str] | None = None,
    experimenter: str | Sequence[str] | None = None,
    institution: str | None = None,
    module: str = "simulation",
    presentation_ms: float | None = None,
    append: bool = False,
) -> None:
    """Write a recording as NWB, whole or not at all, or add it to an existing NWB file.

    NWB has one time axis, so presentations are laid out one after another; samples are at the centres of
    time bins, in s. The processing module ``module`` gets a ``TimeSeries`` (sample, neuroid) per variable
    and population (``rate_V1``; a population with more neuroids than there are samples is divided among
    ``rate_V1_part1of3``, …) and the tables ``neuroids``, ``time_bins`` and ``attributes``. Presentations
    with their stimulus ids are written as ``trials``, or, in an existing file, as the intervals
    ``MODULE_presentations``. Dimensionless values have the unit "a.u.". Recorded weights are not
    written: netCDF (`cortex_sim.recording.save`) keeps them.

    Parameters
    ----------
    recording : xarray.Dataset
    path : str or path
        Usually ends in ".nwb".
    session_description, identifier : str, optional
        By default what the recording's attributes say, and a new unique identifier.
    start : datetime, optional
        Start of the session, not in the future; by default the time of writing.
    subject : mapping of str to str, optional
        Fields of `pynwb.file.Subject`: subject_id, species, sex, age, …. By default a synthetic subject
        named after the network, or the animal that the recording names; its age is then "P0D/" (unknown).
    experimenter : str or sequence of str, optional
        "Last name, first name".
    institution : str, optional
    module : str, default "simulation"
        Name of the processing module.
    presentation_ms : float, optional
        Duration of a presentation where the recording has no time bins; by default nominally 100 ms.
    append : bool, default False
        Add to an existing file, of which everything is kept: a copy is extended, then takes the file's name
        (for a symbolic link, that of the file that it points to).

    Raises
    ------
    DataError
        If pynwb is missing, the recording is not one, the file exists (without ``append``) or does not (with
        it), already has a module of that name, or cannot be written. An existing file is then unchanged.
    """
    imported("pynwb", "nwb", "NWB files")
    time = timeline(recording, presentation_ms)
    target = require_path("NWB file", path, DataError)
    _require_module(module)
    session = Session(session_description, identifier, start, subject, experimenter, institution)
    if append:
        _append(recording, target.resolve(), time, module, session)
    else:
        _create(recording, target, time, module, session)


def _require_module(module: object) -> None:
    try:
        require_name("NWB file", module)
    except DeclarationError as exception:
        raise DataError(f"{exception}, as the name of the processing module") from None
    if ":" in str(module):
        raise DataError(f"NWB file: the name of a processing module must not contain ':'. Got {module!r}")


def _create(recording: xr.Dataset, target: Path, time: Timeline, module: str, session: Session) -> None:
    if target.exists():
        raise DataError(
            f"NWB file {target}: already exists; append=True adds to it, another name makes a new file"
        )
    made = new_file(recording, session)
    with _written(target, "w") as (io, guard):
        filling = _add(recording, made, time, module, "trials")
        io.write(made)
        _fill(recording, filling, guard)


def _append(recording: xr.Dataset, target: Path, time: Timeline, module: str, session: Session) -> None:
    if session.given:
        raise DataError(
            f"NWB file {target}: append=True keeps the file's own {listed(session.given)}; leave that out"
        )
    if not target.is_file():
        raise DataError(f"NWB file {target}: no such file to append to; leave out append=True for a new one")
    presentations = f"{module}_presentations"
    with _written(target, "a") as (io, guard):
        existing = _read(io, target)
        if module in existing.processing or presentations in (existing.intervals or {}):
            raise DataError(
                f"NWB file {target}: already has {module!r}; give another name, module={module + '_2'!r}"
            )
        filling = _add(recording, existing, time, module, presentations)
        io.write(existing)
        _fill(recording, filling, guard)


def _read(io: Any, target: Path) -> Any:
    try:
        return io.read()
    except Exception as exception:  # hdmf raises many kinds for files that are not valid
        why = " ".join(str(exception).split()) or type(exception).__name__
        raise DataError(f"NWB file {target}: cannot be read ({why})") from None


def _add(recording: xr.Dataset, file: Any, time: Timeline, module: str, presentations: str) -> list[_Filling]:
    """Everything but the values; returns which data sets are to be filled."""
    found = blocks(recording, len(time))
    held = variables(recording)
    about = f"Responses of {source_of(recording)}, written by cortex_sim {version('cortex-sim')}."
    room = file.create_processing_module(name=module, description=about)
    table = presentation_table(recording, time, presentations)
    if presentations == "trials":
        file.trials = table
    else:
        file.add_time_intervals(table)
    names, columns = places(found, recording.sizes["neuroid"])
    room.add(neuroid_table(recording, names, columns))
    for optional in (bin_table(recording), attribute_table(recording, held)):
        if optional is not None:
            room.add(optional)
    filling: list[_Filling] = []
    for variable in held:
        made = [empty_series(recording, variable, block, time) for block in found]
        for series, _ in made:
            room.add(series)
        filling.append((variable, found, [data for _, data in made]))
    return filling


def _fill(recording: xr.Dataset, filling: Sequence[_Filling], guard: Guarded) -> None:
    for variable, found, data in filling:
        for _ in fill(recording, variable, found, data):
            guard.check()  # otherwise what a full disk does not take would be kept in memory


@contextmanager
def _written(target: Path, mode: str) -> Iterator[tuple[Any, Guarded]]:
    """An NWB file in the making, or a copy of ``target`` to append to; it takes that name once complete."""
    from pynwb import NWBHDF5IO

    try:
        with whole(target) as part:
            if mode == "a":
                shutil.copy(target, part)  # with its permissions
            with guarded(part, mode) as guard, quiet_nwb(), _opened(guard, mode, target) as file:
                io = NWBHDF5IO(file=file, mode=mode)
                yield io, guard
                io.close()
    except RunError as exception:
        raise DataError(f"NWB file {exception}") from None


@contextmanager
def _opened(guard: Any, mode: str, target: Path) -> Iterator[Any]:
    import h5py

    try:
        file = h5py.File(guard, mode)
    except OSError:
        raise DataError(f"NWB file {target}: cannot be read (not an HDF5 file); give an NWB file") from None
    with file:
        yield file
