"""What a caller from Python hands over, as entries, data and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from cortex_sim.compare.from_recordings import by_session, to_dissimilarities, to_responses
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.report.comparing import Neural
from cortex_sim.report.entries import Entry, Member, Showing, entries, of_recording
from cortex_sim.report.metrics import FOR_RDMS, FOR_RESPONSES, Named, named_metrics
from cortex_sim.report.neural_side import neural_data, stimuli_of


def asked(
    models: Mapping[str, Any] | Sequence[str],
    neural: Any,
    metrics: Sequence[Any] | None,
    populations: Sequence[str],
    stimuli: Any,
    like: str | None,
    controls: bool,
) -> tuple[list[Entry], dict[str, Neural], list[Named]]:
    """Entries, data sets and metrics; see `cortex_sim.report.compare`."""
    data = _data(neural)
    rdms = all(isinstance(one, Dissimilarities) for one in data.values())
    chosen = _metrics(metrics, FOR_RDMS if rdms else FOR_RESPONSES)
    shown = stimuli if isinstance(stimuli, StimulusSet) else _stimuli(stimuli, neural)
    showing = Showing(shown, tuple(populations), like, untrained=controls)
    if not isinstance(models, Mapping):
        return entries([str(one) for one in models], showing), data, chosen
    if not models:
        raise DataError("compare: no models; give {name: recording}")
    return [_entry(name, given, showing) for name, given in models.items()], data, chosen


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


def _data(neural: Any) -> dict[str, Neural]:
    if isinstance(neural, Mapping) and not isinstance(neural, xr.Dataset):
        return {str(name): one for name, of in neural.items() for one in _data(of).values()}
    if isinstance(neural, (Responses, Dissimilarities)):
        return {neural.name: neural}
    if isinstance(neural, (str, Path)):
        return neural_data([str(neural)])
    if not isinstance(neural, xr.Dataset):
        raise DataError(f"neural data: give a path, or what cortex_sim.neural.load returns. Got {neural!r}")
    if "dissimilarity" in neural:
        found = to_dissimilarities(neural)
        return {found.name: found}
    sessions = set(neural["session"].values.astype(str)) if "session" in neural.coords else set()
    each = by_session(neural) if len(sessions) > 1 else [to_responses(neural)]
    return {one.name: one for one in each}


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
    return stimuli_of(None, [str(neural)]) if isinstance(neural, (str, Path)) else None
