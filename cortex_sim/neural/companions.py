"""Labels of stimuli, neuroids and time bins in a file of named arrays, besides the responses."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.data.identities import identities
from cortex_sim.data.stimuli import TAKEN
from cortex_sim.data.stimulus_files import IDS, USUAL
from cortex_sim.errors import DataError
from cortex_sim.neural.shape import OF_NEUROIDS
from cortex_sim.neural.stored import Stored

SHORTEST_MS, LATEST_S = 1.0, 20.0  # bins that are all shorter, and within so many s of 0, are in seconds
log = logging.getLogger(__name__)
Labels = dict[str, NDArray[Any]]
OF_ROWS = ("session", "animal")  # may describe neuroids or presentations
BY_NEUROID, BY_ROW, BY_STIMULUS = "neuroid_", "presentation_", "stimulus_"
TIME_BINS = ("time_bin_start", "time_bin_end")
_OWN = {*IDS, *TIME_BINS, *OF_NEUROIDS, "units", "measure", "repetition", "jpeg", "offset"}


def own_stimuli(stored: Stored) -> int | None:
    """Number of stimuli that the file itself holds as pictures; None where it holds none."""
    if "jpeg" in stored and "offset" in stored and len(stored.shape("offset")) == 1:
        return stored.shape("offset")[0] - 1
    for name in USUAL:
        if name in stored and len(stored.shape(name)) > 2:
            return stored.shape(name)[0]
    return None


def given_ids(stored: Stored) -> list[str] | None:
    """The array ``stimulus_id`` (or ``ids``) as text, converted as `cortex_sim.data.stimuli` does it."""
    name = next((name for name in IDS if name in stored), None)
    if name is None:
        return None
    shape, kind = stored.shapes[name]
    if len(shape) != 1 or not shape[0] or kind not in "biufUS":
        raise stored.refused(name, "give one text or number for each presentation or stimulus")
    return identities(f"neural data {stored.path}: {name}", stored.read(name))


def ids_of_stimuli(stored: Stored, count: int, of: str) -> tuple[list[str], bool]:
    """Ids of ``count`` stimuli in the order of array ``of``, and whether they are the numbers from 0.

    Raises
    ------
    DataError
        If the file has another number of ids or of pictures.
    """
    ids, pictures = given_ids(stored), own_stimuli(stored)
    if ids is not None and len(ids) != count:
        raise DataError(
            f"neural data {stored.path}: {of} has {count} stimuli, but stimulus_id has {len(ids)} entries; "
            f"save one id per stimulus, in the same order"
        )
    if ids is None and pictures is not None and pictures != count:
        raise DataError(
            f"neural data {stored.path}: {of} has {count} stimuli, but the file holds {pictures} pictures; "
            f"save the array stimulus_id, one id per stimulus"
        )
    return (ids, False) if ids is not None else ([str(i) for i in range(count)], True)


def neuroids(stored: Stored, count: int, rows: int, of: str) -> tuple[Labels, Labels]:
    """Labels of the neuroids, and labels of the rows: arrays of these lengths, or single values.

    ``session`` and ``animal`` may also describe rows, such as the session of each presentation. Their length
    decides; where there are as many neuroids as rows, the name must, ``neuroid_session`` or
    ``presentation_session``, which may be used in any file.

    Raises
    ------
    DataError
        If ``neuroid_id``, ``session``, … have another length, or one that fits both.
    """
    known, by_row = {}, {}
    for name in OF_NEUROIDS:
        key = _key(stored, name)
        if key is None:
            continue
        shape, kind = stored.shapes[key]
        if kind not in "biufUS":
            raise stored.refused(key, f"give one text for each of {count} neuroids")
        either = name in OF_ROWS and key == name
        if shape in ((), (1,)) and name != "neuroid_id" and key == name:
            known[name] = np.full(count, stored.read(key).ravel()[0])
        elif either and shape == (count,) == (rows,):
            raise stored.refused(
                key,
                f"{of} has {count} neuroids and as many rows, so that it may describe either; rename it "
                f"neuroid_{name} or presentation_{name}",
            )
        elif shape == (count,) and not key.startswith(BY_ROW):
            known[name] = stored.read(key)
        elif shape == (rows,) and (either or key.startswith(BY_ROW)):
            by_row[name] = stored.read(key).astype(np.str_)
        elif key.startswith(BY_ROW):
            raise stored.refused(key, f"{of} has {rows} rows: give one text for each")
        else:
            raise stored.refused(key, f"{of} has {count} neuroids: give one text for each")
    return known, by_row


def _key(stored: Stored, name: str) -> str | None:
    """The array that holds a coordinate of neuroids: its name, perhaps after that of the dimension."""
    names = (name, f"{BY_NEUROID}{name}", f"{BY_ROW}{name}") if name in OF_ROWS else (name,)
    found = [one for one in names if one in stored]
    if len(found) > 1:
        raise DataError(f"neural data {stored.path}: holds {listed(found)}; save one of them")
    return found[0] if found else None


def descriptors(stored: Stored, count: int, rows: int, of: str) -> tuple[Labels, Labels]:
    """Other arrays with one number or text per neuroid, and those with one per row (a stimulus, a trial).

    Where there are as many neuroids as rows, their names say what they describe, by beginning with
    ``neuroid_``, ``presentation_`` or ``stimulus_``; others are left out, with a warning.
    """
    taken = _OWN | TAKEN | set(USUAL) | {of}
    taken |= {f"{before}{name}" for before in (BY_NEUROID, BY_ROW) for name in OF_ROWS}
    by_neuroid: Labels = {}
    by_row: Labels = {}
    unknown = []
    for name, (shape, kind) in stored.shapes.items():
        if name in taken or shape not in ((count,), (rows,)) or kind not in "biufU" or "/" in name:
            continue
        if count != rows:
            (by_neuroid if shape == (count,) else by_row)[name] = stored.read(name)
        elif name.startswith(BY_NEUROID):
            by_neuroid[name] = stored.read(name)
        elif name.startswith((BY_ROW, BY_STIMULUS)):
            by_row[name] = stored.read(name)
        else:
            unknown.append(name)
    if unknown:
        log.warning(
            "neural data %s: %s has %d neuroids and as many rows, so that %s may describe either and is left "
            "out; begin its name with neuroid_ or presentation_",
            *(stored.path, of, count, listed(unknown)),
        )
    return by_neuroid, by_row


def time_bins(stored: Stored, count: int, of: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Start and end of ``count`` time bins in ms; None where the file has neither.

    Raises
    ------
    DataError
        If there is only one of the two arrays, or they have another length.
    """
    present = [name for name in TIME_BINS if name in stored]
    if not present:
        return None
    if len(present) == 1:
        raise DataError(f"neural data {stored.path}: has {present[0]} alone; save {' and '.join(TIME_BINS)}")
    for name in TIME_BINS:
        if stored.shape(name) != (count,):
            raise stored.refused(name, f"{of} has {count} time bins: give one time in ms for each")
    start, end = (stored.numbers(name, "(time_bin,)") for name in TIME_BINS)
    if look_like_seconds(start, end):
        raise stored.refused(
            "time_bin_end",
            f"bins of at most {(end - start).max():g} ms look like seconds; give ms, or save netCDF, where "
            f"times have units",
        )
    return start, end


def look_like_seconds(start: NDArray[np.float64], end: NDArray[np.float64]) -> bool:
    """Whether times of bins, said to be in ms, are so short and early that they must be in s."""
    latest = max(np.abs(start).max(), np.abs(end).max())
    return bool((end - start).max() < SHORTEST_MS and latest < LATEST_S)
