"""What a file of named arrays says of its stimuli and neuroids, besides the responses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.data.stimuli import TAKEN
from cortex_sim.data.stimulus_files import IDS, USUAL
from cortex_sim.errors import DataError
from cortex_sim.neural.shape import OF_NEUROIDS, identities
from cortex_sim.neural.stored import Stored

Labels = dict[str, NDArray[Any]]
TIME_BINS = ("time_bin_start", "time_bin_end")
_OWN = {*IDS, *TIME_BINS, *OF_NEUROIDS, "units", "measure", "repetition", "jpeg", "offset"}


def own_stimuli(stored: Stored) -> int | None:
    """How many stimuli the file itself holds as pictures; None where it holds none."""
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
    return identities(stored.read(name))


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
            f"neural data {stored.path}: {of} has {count} stimuli, stimulus_id {len(ids)} entries; save one "
            f"id per stimulus, in the same order"
        )
    if ids is None and pictures is not None and pictures != count:
        raise DataError(
            f"neural data {stored.path}: {of} has {count} stimuli, but the file holds {pictures} pictures; "
            f"save the array stimulus_id, one id per stimulus"
        )
    return (ids, False) if ids is not None else ([str(i) for i in range(count)], True)


def neuroids(stored: Stored, count: int, rows: int, of: str) -> tuple[Labels, Labels]:
    """What is known of the neuroids, and what of the rows: arrays of these lengths, or single values.

    ``session`` and ``animal`` may be of rows: which session a presentation belongs to.

    Raises
    ------
    DataError
        If ``neuroid_id``, ``session``, … have another length.
    """
    known, by_row = {}, {}
    for name in OF_NEUROIDS:
        if name not in stored:
            continue
        shape, kind = stored.shapes[name]
        if kind not in "biufUS":
            raise stored.refused(name, f"give one text for each of {count} neuroids")
        if shape in ((), (1,)) and name != "neuroid_id":
            known[name] = np.full(count, stored.read(name).ravel()[0])
        elif shape == (count,):
            known[name] = stored.read(name)
        elif shape == (rows,) and name in ("session", "animal"):
            by_row[name] = stored.read(name).astype(np.str_)
        else:
            raise stored.refused(name, f"{of} has {count} neuroids: give one text for each")
    return known, by_row


def descriptors(stored: Stored, count: int, rows: int, of: str) -> tuple[Labels, Labels]:
    """Other arrays with one number or text per neuroid, and those with one per row (a stimulus, a trial).

    Where there are as many neuroids as rows, what an unknown array describes cannot be seen: none is taken.
    """
    taken = _OWN | TAKEN | set(USUAL) | {of}
    found: dict[int, Labels] = {count: {}, rows: {}}
    if count != rows:
        for name, (shape, kind) in stored.shapes.items():
            if (
                name not in taken
                and len(shape) == 1
                and shape[0] in found
                and kind in "biufU"
                and "/" not in name
            ):
                found[shape[0]][name] = stored.read(name)
    return found[count], found[rows] if count != rows else {}


def time_bins(stored: Stored, count: int, of: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Start and end of ``count`` time bins in ms; None where the file says nothing of time.

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
    return stored.numbers(TIME_BINS[0], "(time_bin,)"), stored.numbers(TIME_BINS[1], "(time_bin,)")
