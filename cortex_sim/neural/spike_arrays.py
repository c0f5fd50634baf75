"""Spike times in a file of named arrays: one entry per spike; neurons share trials or have separate ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.data.identities import identities
from cortex_sim.data.limits import require_room
from cortex_sim.errors import DataError
from cortex_sim.neural.companions import Labels, given_ids, neuroids
from cortex_sim.neural.shape import recording
from cortex_sim.neural.spikes import Binning, counts, require_times_in_ms
from cortex_sim.neural.stored import Stored

FORM = "spikes: time_ms (or time_s), neuron, trial, and stimulus_id of each trial"
TIMES = {"time_ms": 1.0, "time_s": 1000.0}  # ms in one unit
_NUMBERS = ("neuron", "trial")


@dataclass(frozen=True)
class Trials:
    """Which stimulus was presented in which trial, and to which presentation of the Dataset it belongs.

    Parameters
    ----------
    presentation : array of int, shape (trial,)
        Row of the Dataset; where neurons have separate trials, those of one neuron follow those of another.
    first : array of int, shape (neuron,)
        Number of the first trial of each neuron; zeros where all neurons share their trials.
    each : array of int, shape (neuron,)
        Trials of each neuron.
    stimulus_id : list of str, one per presentation
    repetition : array of int, shape (presentation,), or None where they are to be counted
    """

    presentation: NDArray[np.int64]
    first: NDArray[np.int64]
    each: NDArray[np.int64]
    stimulus_id: list[str]
    repetition: NDArray[np.int64] | None

    @property
    def shared(self) -> bool:
        """Whether all neurons were recorded in the same trials."""
        return self.repetition is None


def recognises(stored: Stored) -> bool:
    """Whether the file holds spike times."""
    return any(name in stored for name in TIMES) and all(name in stored for name in _NUMBERS)


def read_spikes(stored: Stored, binning: Binning) -> xr.Dataset:
    """Rates in time bins, in spikes/s.

    Where each neuron has its own trials (``trials_per_neuron``), presentation (stimulus, k) holds the k-th
    trial with that stimulus of every neuron, and NaN for a neuron that has fewer.

    Raises
    ------
    DataError
        If arrays are missing or contradict each other, or no spike lies in the window.
    """
    times, neuron, trial = _spikes(stored)
    names, count = _neurons(stored, neuron)
    trials = _trials(stored, count)
    _require_below(stored, "neuron", neuron, count, "neurons")
    _require_below(stored, "trial", trial, trials.each[neuron], "trials of that neuron")
    row = trials.first[neuron] + trial
    times, recorded = _aligned(stored, binning, times, row, len(trials.presentation))
    edges = binning.edges(str(stored.path), recorded)
    require_times_in_ms(str(stored.path), times, edges)
    shape = (len(trials.stimulus_id), count)
    require_room(str(stored.path), "binned rates", (2, *shape, len(edges) - 1), stored.max_bytes)
    found = counts(times, trials.presentation[row], neuron, shape, edges)
    rate = found / (np.diff(edges) / 1000.0)
    if not trials.shared:
        rate[~_presented(trials, shape)] = np.nan
    known, by_trial = neuroids(stored, count, len(trials.presentation), "neuron")
    return recording(
        stored.path.stem,
        rate,
        trials.stimulus_id,
        units="spikes/s",
        repetition=trials.repetition,
        presentations=by_trial if trials.shared else {},
        neuroids={**known, **names},
        time_bins=(edges[:-1], edges[1:]),
        attributes={"simultaneous": "yes" if trials.shared else "no", "bin_ms": binning.width_ms},
    )


def _spikes(stored: Stored) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Time in ms, neuron and trial of every spike."""
    present = [name for name in TIMES if name in stored]
    if len(present) > 1:
        raise DataError(f"neural data {stored.path}: holds time_ms and time_s; save one of them")
    name = present[0]
    times = stored.numbers(name, "(spike,)") * TIMES[name]
    if times.ndim != 1 or not np.isfinite(times).all():
        raise stored.refused(name, "give one finite time per spike")
    if name == "time_s" and len(times) > 10 and (times % 1000 == 0).all():
        raise stored.refused(name, "whole seconds are unlikely; save times in ms as time_ms")
    integers = []
    for other in _NUMBERS:
        if stored.shapes[other][1] not in "iu" or stored.shape(other) != times.shape:
            raise stored.refused(other, f"give one whole number for each of {len(times)} spikes")
        integers.append(stored.read(other).astype(np.int64))
    return times, integers[0], integers[1]


def _neurons(stored: Stored, neuron: NDArray[np.int64]) -> tuple[Labels, int]:
    """Names of the neurons where the file has them, and their number."""
    if "neuron_names" in stored and "neuroid_id" not in stored:
        names = stored.read("neuron_names")
        if names.ndim != 1 or names.dtype.kind != "U":
            raise stored.refused("neuron_names", "give one text per neuron")
        return {"neuroid_id": names}, len(names)
    for name in ("neuroid_id", "trials_per_neuron"):
        if name in stored and len(stored.shape(name)) == 1:
            return {}, stored.shape(name)[0]
    return {}, int(neuron.max()) + 1


def _trials(stored: Stored, neurons: int) -> Trials:
    ids, order = _ids_of_trials(stored)
    if "trials_per_neuron" not in stored:
        presentation = np.arange(len(ids))
        return Trials(presentation, np.zeros(neurons, np.int64), np.full(neurons, len(ids)), ids, None)
    shape, kind = stored.shapes["trials_per_neuron"]
    each = stored.read("trials_per_neuron").astype(np.int64) if kind in "iu" else np.zeros(0, np.int64)
    if shape != (neurons,) or (each < 0).any() or int(each.sum()) != len(ids):
        raise stored.refused(
            "trials_per_neuron",
            f"give a whole number for each of {neurons} neurons; their sum must be {len(ids)}, the trials of "
            f"the file",
        )
    first = np.concatenate([[0], np.cumsum(each)[:-1]])
    number = {one: i for i, one in enumerate(order)}
    stimulus = np.asarray([number[one] for one in ids])
    owner = np.repeat(np.arange(neurons), each)
    repetition = _counted(stimulus + len(order) * owner)
    most = int(repetition.max()) + 1
    rows = np.arange(len(order) * most)
    shown = [order[i] for i in rows // most]
    return Trials(stimulus * most + repetition, first, each, shown, rows % most)


def _ids_of_trials(stored: Stored) -> tuple[list[str], list[str]]:
    """The stimulus of every trial, and the stimuli in order."""
    if "condition_index" not in stored:
        ids = given_ids(stored)
        if ids is None:
            raise DataError(
                f"neural data {stored.path}: holds spikes, but not the stimulus of each trial; save "
                f"stimulus_id (trial,), or condition_index (trial,) and conditions"
            )
        return ids, list(dict.fromkeys(ids))
    shape, kind = stored.shapes["condition_index"]
    if kind not in "iu" or len(shape) != 1 or not shape[0]:
        raise stored.refused("condition_index", "give one whole number per trial")
    index = stored.read("condition_index").astype(np.int64)
    if "conditions" not in stored:
        names = [str(i) for i in range(int(index.max()) + 1)]
    else:
        names = identities(f"neural data {stored.path}: conditions", stored.read("conditions").ravel())
    twice = [one for one in dict.fromkeys(names) if names.count(one) > 1]
    if twice:
        raise DataError(f"neural data {stored.path}: conditions holds {twice[0]!r} twice; make them unique")
    _require_below(stored, "condition_index", index, len(names), "conditions")
    return [names[i] for i in index.tolist()], names


def _aligned(
    stored: Stored, binning: Binning, times: NDArray[np.float64], row: NDArray[np.int64], trials: int
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Times relative to the alignment, and the recorded time; integer times stand for intervals of 1 ms."""
    whole = next(stored.shapes[name][1] in "iu" for name in TIMES if name in stored)
    if isinstance(binning.align, str):
        unit = 1000.0 if binning.align.endswith("_s") else 1.0
        onset = unit * stored.numbers(stored.require(binning.align), "(trial,)")
        if onset.shape != (trials,) or not np.isfinite(onset).all():
            raise stored.refused(binning.align, f"give the onset in each of {trials} trials")
        times = times - onset[row]
    else:
        times = times - float(binning.align or 0.0)
    return times, (float(times.min()), float(times.max()) + float(whole))


def _presented(trials: Trials, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether a presentation was made to a neuron."""
    made = np.zeros(shape, dtype=bool)
    made[trials.presentation, np.repeat(np.arange(shape[1]), trials.each)] = True
    return made


def _counted(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each key occurred before, for many keys."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(keys)]]))
    found = np.empty(len(keys), np.int64)
    found[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return found


def _require_below(stored: Stored, name: str, values: NDArray[Any], limit: Any, what: str) -> None:
    wrong = (values < 0) | (values >= limit)
    if wrong.any():
        at = int(np.argmax(wrong))
        most = int(np.broadcast_to(limit, values.shape)[at])
        raise DataError(
            f"neural data {stored.path}: {name} holds {values[at]} in entry {at}, but there are {most} "
            f"{what}; count from 0"
        )
