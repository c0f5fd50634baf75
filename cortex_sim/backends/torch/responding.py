"""`Model.respond`: present stimuli batch by batch; record populations in memory, or into a file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from cortex_sim.backends.torch.changes import credits
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.modes import looking
from cortex_sim.backends.torch.timed import bin_coordinates
from cortex_sim.calling import known_arguments
from cortex_sim.checks import listed, require_known, require_path
from cortex_sim.data.images import ImageSet
from cortex_sim.data.limits import Progress
from cortex_sim.data.sources import Source
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError, RunError
from cortex_sim.recording import make_recording, open_lazily
from cortex_sim.recording.making import side_by_side
from cortex_sim.registry import registered_name
from cortex_sim.sources import WAY_OUT, only_source

VARIABLES = ("rate", "drive", "credit")
Responses = dict[str, dict[str, np.ndarray]]  # variable to population to (presentation, *shape)


@known_arguments("model.respond")
def respond(
    model: Core,
    x: Any,
    y: Any = None,
    *,
    batch: int = 256,
    populations: Sequence[str] | None = None,
    variables: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Settled rates and drives of every population, and its credit if there are labels.

    Those of an unrolled network are at the end of every step, along the dimension ``time_bin``.

    Parameters
    ----------
    model : Core
    x : array of shape (presentation, *stimulus), ImageSet, StimulusSet or Source; or mapping
        For an unrolled network also (presentation, time_bin, *stimulus). If several populations have no
        bottom-up input, a mapping of each to its array. The test part of an image set is presented. A
        stimulus set is fitted to the network if necessary, and its ids and descriptors go into the recording.
    y : array of labels (presentation,) or target rates (presentation, unit), optional
        With labels the recording has the variable ``credit``.
    batch : int, default 256
        Presentations settled at a time.
    populations : sequence of str, optional
        Populations to record; by default all.
    variables : sequence of str, optional
        Some of "rate", "drive" and "credit"; rates are always recorded. Credit needs labels: ``y``, or
        those of ``x``.
    ids : sequence of str, optional
        One per presentation, instead of those of ``x``.
    out : path, optional
        File to write batch by batch, as float32, so that memory holds one batch. The recording is returned
        as an open file, not in memory.
    progress : callable, optional
        Called with (presentations done, presentations in all) after every batch.

    Returns
    -------
    xarray.Dataset
        See `cortex_sim.recording.make_recording`. A source's own drive is its rate.

    Raises
    ------
    DataError
        If the stimuli or labels do not fit the network.
    RunError
        If ``out`` already exists, would need more disk than is free, or cannot be written, or rates are not
        finite.
    """
    shown = _shown(model, x, y, ids)
    if batch < 1:
        raise DataError(f"respond: batch must be at least 1. Got {batch!r}")
    asked = _asked(model, variables, credit=y is not None)
    named = _named(model, populations)
    if out is None:
        return _in_memory(model, shown, named, asked, batch, progress)
    from cortex_sim.recording.appending import appending

    path = require_path("recording", out, RunError)
    if path.exists():
        raise RunError(f"recording {path}: already exists; give a new file")
    described = {**attributes(model), **shown.attributes}
    bins = _time_bins(model)
    with appending(path, model.net, named, asked, shown.ids, shown.descriptors, described, bins) as file:
        for found in _responses(model, shown, named, asked, batch, progress):
            count, timed = len(found["rate"][named[0]]), bins is not None
            file.add({v: side_by_side(model.net, named, found[v], count, timed) for v in asked})
    return open_lazily(path)


@dataclass(frozen=True)
class _Shown:
    """The given stimuli as a source with ids."""

    source: Source
    ids: Sequence[str]
    descriptors: Mapping[str, Any]
    attributes: Mapping[str, Any]
    y: Any = None

    def batch(self, at: np.ndarray) -> tuple[Any, Any]:
        x, y = self.source.batch(at, 0)
        return x, y if self.y is None else self.y[at]


class _Array:
    """An array, or a tensor, as a source."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: np.ndarray, epoch: int = 0) -> tuple[Any, None]:
        return self.x[indices[0] : indices[-1] + 1], None


def _shown(model: Core, x: Any, y: Any, ids: Sequence[str] | None) -> _Shown:
    if isinstance(x, (ImageSet, StimulusSet)):
        source: Source = _of_a_set(model, x)
    elif isinstance(x, Source):
        source = x
    else:
        plain = isinstance(x, (np.ndarray, torch.Tensor)) and x.ndim > 1 and len(x) > 0
        plain = plain and len(model.sources) == 1
        plain = plain and getattr(x, "layout", torch.strided) == torch.strided
        # For anything else, the model's own check raises the exception.
        source = _Array(x if plain else model.presentations(x))
    count = len(source)
    if count == 0:
        raise DataError("stimuli: there are none; give at least one presentation")
    known = getattr(source, "ids", None) if ids is None else ids
    names = [str(i) for i in range(count)] if known is None else [str(one) for one in known]
    if len(names) != count:
        raise DataError(f"stimuli: {len(names)} ids for {count} presentations; give one for each")
    goals = None if y is None else model.target_tensor(y)
    if goals is not None and len(goals) != count:
        raise DataError(
            f"{len(goals)} labels for {count} presentations of {listed(model.sources)}; give one for each "
            "presentation"
        )
    if not isinstance(source, StimulusSet):
        return _Shown(source, names, {}, {}, goals)
    return _Shown(source, names, source.descriptors, source.provenance, goals)


def _of_a_set(model: Core, given: ImageSet | StimulusSet) -> StimulusSet:
    """The test part of an image set; other stimuli fitted to the network, as noted in the recording."""
    why = f"respond: {given!r} has one stimulus per presentation"
    shown = only_source(model.net, why, WAY_OUT, DataError)
    shape = model.net.populations[shown].shape
    if isinstance(given, StimulusSet):
        unlike = given.preprocessing is None and given.stimulus_shape != shape
        return given.fit_to(shape, shown) if unlike else given
    if math.prod(given.stimulus_shape) != math.prod(shape):
        raise DataError(
            f"stimuli must be an array of numbers, such as images.x_test, or a set, whose presentations fit "
            f"population {shown} of shape {shape}. Got {given}"
        )
    return given.fit_to(shape, shown).part("test")


def _asked(model: Core, variables: Sequence[str] | None, credit: bool) -> list[str]:
    given = ["rate", "drive", *(["credit"] if credit else [])] if variables is None else variables
    if isinstance(given, str):
        given = [given]
    for name in given:
        require_known("variable", name, dict.fromkeys(VARIABLES), DataError)
    if "credit" in given and model.net.objective_function is None:
        raise DataError(
            f"network {model.net.name}: has no objective, so there is no credit to record; leave credit out, "
            "or declare one with net.objective(...)"
        )
    return list(dict.fromkeys(["rate", *given]))


def _named(model: Core, populations: Sequence[str] | None) -> list[str]:
    given = [populations] if isinstance(populations, str) else populations
    for name in given or []:
        require_known("population", name, model.net.populations, DataError)
    if given is not None and not given:
        raise DataError(f"respond: name at least one population of {listed(list(model.net.populations))}")
    return [name for name in model.net.populations if given is None or name in given]


def _responses(
    model: Core,
    shown: _Shown,
    populations: Sequence[str],
    variables: Sequence[str],
    batch: int,
    progress: Progress | None,
) -> Iterator[Responses]:
    """Every batch's values; a population that receives no credit has none."""
    count = len(shown.source)
    for start in range(0, count, batch):
        end = min(start + batch, count)
        given, y = shown.batch(np.arange(start, end))
        x = model.presentations(given)
        with torch.no_grad(), looking(model):
            drives, rates = model.settle(x, credit=False)
        every = {"rate": rates, "drive": {**{n: rates[n] for n in model.sources}, **drives}}
        if "credit" in variables:
            if y is None:
                raise DataError("respond: credit needs labels; give y, or stimuli that have labels")
            every["credit"] = credits(model, x, model.target_tensor(y))
        found = {v: {n: _numpy(every[v][n]) for n in populations if n in every[v]} for v in variables}
        _require_finite(found, start)
        yield found
        if progress:
            progress(end, count)


def _require_finite(found: Responses, start: int) -> None:
    for variable, by_population in found.items():
        for name, values in by_population.items():
            fine = np.isfinite(values).reshape(len(values), -1).all(axis=1)
            if not fine.all():
                raise RunError(
                    f"population {name}: its {variable} is not finite at presentation "
                    f"{start + int(np.argmin(fine))}, since weights have diverged or stimuli are too large; "
                    "train with a lower learning rate, or scale the stimuli down"
                )


def _in_memory(
    model: Core,
    shown: _Shown,
    populations: Sequence[str],
    variables: Sequence[str],
    batch: int,
    progress: Progress | None,
) -> xr.Dataset:
    parts = list(_responses(model, shown, populations, variables, batch, progress))
    gathered = {
        variable: {n: np.concatenate([part[variable][n] for part in parts]) for n in parts[0][variable]}
        for variable in variables
    }
    return make_recording(
        model.net,
        gathered,
        stimulus_id=shown.ids,
        descriptors=shown.descriptors,
        attributes={**attributes(model), **shown.attributes},
        time_bins=_time_bins(model),
    )


def _time_bins(model: Core) -> dict[str, Any] | None:
    return None if model.unrolled is None else bin_coordinates(model.unrolled)


def _numpy(values: torch.Tensor) -> np.ndarray:
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def attributes(model: Core) -> dict[str, Any]:
    """Provenance of a recording: network, rules, seed, backend, version."""
    from cortex_sim import __version__

    rules = {registered_name("rule", p.plasticity) for p in model.net.of_rates if p.plasticity}
    return {
        "network": model.net.name,
        "rule": ", ".join(sorted(rules)) or "none",
        "seed": model.seed,
        "backend": "torch",
        "updates": model.steps_done,
        "cortex_sim_version": __version__,
    }
