"""What is passed to `cortex_sim.report.compare`, as entries, data and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr

from cortex_sim.compare.course import Course, time_bins
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.neural.in_memory import from_memory
from cortex_sim.recording.selecting import select
from cortex_sim.report.comparing import Neural
from cortex_sim.report.entries import (
    Entry,
    Member,
    Showing,
    entries,
    of_recording,
    require_edges,
    require_shown,
)
from cortex_sim.report.metrics import FOR_RDMS, FOR_RESPONSES, Named, named_metrics
from cortex_sim.report.neural_side import data_sets, neural_data, own_stimuli, stimuli_of
from cortex_sim.report.pooled import require_poolable
from cortex_sim.report.timing import Time


@dataclass(frozen=True, eq=False)
class Asked:
    """What is compared; ``own`` holds the entries that were shown the stimuli of one data set."""

    entries: list[Entry]
    data: dict[str, Neural | Course]
    metrics: list[Named]
    own: dict[str, tuple[Entry, ...]]


def asked(
    models: Mapping[str, Any] | Sequence[str],
    neural: Any,
    metrics: Sequence[Any] | None,
    populations: Sequence[str],
    stimuli: Any,
    like: str | None,
    controls: bool,
    time: Time,
    pool: str | None = None,
) -> Asked:
    """Entries, data sets and metrics; see `cortex_sim.report.compare`."""
    data = _data(neural, time, pool is not None)
    if pool is not None:
        require_poolable(pool, data)
    rdms = all(isinstance(one, Dissimilarities) for one in data.values())
    chosen = _metrics(metrics, FOR_RDMS if rdms else FOR_RESPONSES)
    shown = stimuli if isinstance(stimuli, StimulusSet) else _stimuli(stimuli, neural)
    showing = Showing(
        shown,
        tuple(populations),
        like,
        untrained=controls,
        over_time=time.over_time,
        window_ms=time.model_window_ms,
    )
    sets = {} if stimuli is not None else own_stimuli(_files(neural, data))
    found = _entries(models, showing)
    time.check(found, data)
    if sets:
        given = models.values() if isinstance(models, Mapping) else models
        require_shown([str(one) for one in given if isinstance(one, (str, Path))], list(sets))
    own = {label: tuple(_entries(models, replace(showing, stimuli=one))) for label, one in sets.items()}
    return Asked(found, data, chosen, own)


def _entries(models: Mapping[str, Any] | Sequence[str], showing: Showing) -> list[Entry]:
    if not isinstance(models, Mapping):
        return entries([str(one) for one in models], showing)
    if not models:
        raise DataError("compare: no models; give {name: recording}")
    return [_entry(name, given, showing) for name, given in models.items()]


def _files(neural: Any, data: Mapping[str, Any]) -> dict[str, str]:
    """The file that each data set came from, where it was given by path."""
    if not isinstance(neural, Mapping) or isinstance(neural, xr.Dataset):
        return {}
    paths = {str(name): str(one) for name, one in neural.items() if isinstance(one, (str, Path))}
    return {
        label: path for label in data for name, path in paths.items() if f"{label} ".startswith(f"{name} ")
    }


def _entry(name: str, given: Any, showing: Showing) -> Entry:
    """One model; several recordings, runs or responses are its seeds."""
    each = list(given) if isinstance(given, (list, tuple)) else [given]
    members: list[Member] = []
    untrained: list[Member] = []
    for one in each:
        if isinstance(one, Responses):
            members.append(Member((name,), lambda population, one=one: one))  # type: ignore[misc]
        elif isinstance(one, xr.Dataset):
            members.append(of_recording(one, name, showing, one.attrs.get("seed")))
        elif isinstance(one, (str, Path)):
            found = entries([f"{name}={one}"], showing)[0]
            members += found.members
            untrained += found.untrained
        else:
            raise DataError(
                f"{name}: give a recording, a path, a run, a model's name or Responses. "
                f"Got {type(one).__name__}"
            )
    return Entry(name, tuple(members), tuple(untrained))


def _data(neural: Any, time: Time, by_animal: bool = False) -> dict[str, Neural | Course]:
    if isinstance(neural, Mapping) and not isinstance(neural, xr.Dataset):
        found = {str(name): _data(one, time, by_animal) for name, one in neural.items()}
        return {
            name if len(of) == 1 else f"{name} {label}": one
            for name, of in found.items()
            for label, one in of.items()
        }
    if isinstance(neural, (Responses, Dissimilarities)):
        return {neural.name: neural}
    if isinstance(neural, (str, Path)):
        return neural_data(
            [str(neural)],
            window_ms=time.window_ms,
            over_time=time.over_time,
            bin_ms=time.bin_ms,
            by_animal=by_animal,
        )
    if not isinstance(neural, xr.Dataset):
        raise DataError(f"neural data: give a path, or what cortex_sim.neural.load returns. Got {neural!r}")
    if time.bin_ms is not None:
        raise DataError("neural data: bin_ms is for files of spike times; give it to cortex_sim.neural.load")
    neural = from_memory(neural, str(neural.attrs.get("name", "data")))
    bins = time_bins(neural)
    if time.window_ms is not None and bins:
        require_edges("neural data: window_ms", bins, time.window_ms)
        if time.over_time:
            neural = select(neural, time_ms=time.window_ms)
    return data_sets(neural, str(neural.attrs.get("name", "data")), time.window_ms, time.over_time, by_animal)


def _metrics(metrics: Sequence[Any] | None, usual: Sequence[str]) -> list[Named]:
    given = list(usual if metrics is None else metrics)
    if isinstance(metrics, str) or not given:
        raise DataError(f"compare: metrics must be a list of names or metrics. Got {metrics!r}")
    found = []
    for one in given:
        if isinstance(one, str):
            found += named_metrics([one])
        elif isinstance(one, Named):
            found.append(one)
        else:
            found.append(Named(str(getattr(one, "regression", one.name)), one))
    return found


def _stimuli(stimuli: Any, neural: Any) -> StimulusSet | None:
    if stimuli is not None:
        return stimuli_of(str(stimuli), [])
    if isinstance(neural, Mapping) and not isinstance(neural, xr.Dataset):
        neural = next((one for one in neural.values() if isinstance(one, (str, Path))), None)
    return stimuli_of(None, [str(neural)]) if isinstance(neural, (str, Path)) else None
