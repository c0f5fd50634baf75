"""`respond_to`: stimuli presented to a candidate, recorded in memory, into a file, or found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.checks import require_path
from cortex_sim.data.fitting import View
from cortex_sim.data.images import ImageSet
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.data.stimulus_files import stimuli as read_stimuli
from cortex_sim.errors import DataError, RunError
from cortex_sim.responding import keeping
from cortex_sim.responding.candidates import Candidate, candidate
from cortex_sim.responding.in_time import InTime, Presenter
from cortex_sim.responding.labelled import in_order_of_training
from cortex_sim.responding.request import Request

if TYPE_CHECKING:
    import xarray as xr

Progress = Callable[[int, int], None]


def respond_to(
    model: Any,
    stimuli: Any,
    *,
    populations: Sequence[str] | None = None,
    variables: Sequence[str] | None = None,
    rule: str | None = None,
    seed: int | None = None,
    like: Any = None,
    arm: str | None = None,
    view: View | None = None,
    in_time: InTime | None = None,
    batch: int | None = None,
    out: str | Path | None = None,
    cache: str | Path | bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Responses of a network, trained or not, to stimuli, through its own preprocessing.

    Parameters
    ----------
    model : path, str, State, Model, Simulation, Network, Experiment or Candidate
        See `cortex_sim.responding.candidate`, as for ``rule``, ``seed``, ``like`` and ``arm``.
    stimuli : StimulusSet, ImageSet, path or array
        As they are stored, not preprocessed; of an image set, the test part. A path is read by
        `cortex_sim.data.stimuli`. Their size is fitted to the network.
    populations, variables : sequence of str, optional
        By default all populations, and rate and drive. Rates are always recorded.
    view : View, optional
        Cropping and visual angles; see `cortex_sim.data.StimulusSet.fit_to`.
    in_time : InTime, optional
        Present them in time, as rate dynamics on brian2; by default at equilibrium, on torch.
    batch : int, optional
        Presentations at a time; by default 256 at equilibrium, fewer in time.
    out : path, optional
        Write here batch by batch; the recording is returned as an open file.
    cache : path or bool, default False
        Folder in which recordings are kept for the next call (True: ``responses/`` in the run directory). One
        is reused only if weights, stimuli, preprocessing and all settings of the call are the same.
    progress : callable, optional
        Called with (presentations done, presentations in all) after every batch.

    Returns
    -------
    xarray.Dataset
        See `cortex_sim.recording`; in memory, or with ``out`` or ``cache`` an open file.

    Raises
    ------
    CortexSimError
        Before anything is computed, if something does not exist, does not fit, or is not stated.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> from cortex_sim.responding import respond_to
    >>> images = cs.data.load("digits").part("test")[:5]
    >>> rec = respond_to("digits_mlp", images, seed=0, like="digits", populations=["IT"], variables=["rate"])
    >>> rec.rate.shape
    (5, 10)
    """
    shown = candidate(model, rule=rule, seed=seed, like=like, arm=arm)
    presented = presented_to(shown, stimuli, view)
    if batch is not None and not (isinstance(batch, (int, np.integer)) and batch >= 1):
        raise DataError(f"respond: batch must be at least 1, a whole number. Got {batch!r}")
    if "credit" in (_names(variables) or ()):
        presented = in_order_of_training(presented, shown)
    request = Request(_names(populations), _names(variables), in_time, batch)
    if cache is False:
        return _present(shown, presented, request, out, progress)
    if out is not None:
        raise RunError("respond: out and cache name two places for one recording; give one of them")
    folder = keeping.folder_of(shown, cache)
    return keeping.kept(
        folder, shown, presented, request, lambda noted, file: _present(shown, noted, request, file, progress)
    )


def presented_to(shown: Candidate, stimuli: Any, view: View | None = None) -> StimulusSet:
    """Stimuli in the shape that a candidate takes, through its preprocessing.

    Raises
    ------
    DataError
        If they do not fit, or are preprocessed already.
    """
    given = _as_stimuli(stimuli)
    if given.preprocessing is not None:
        raise DataError(
            f"stimuli {given.name}: have been given a preprocessing already; give them as they are stored: "
            f"that of {shown.name} is applied to them"
        )
    view = view or View()
    fitted = given.fit_to(
        shown.shape,
        shown.stimulated,
        crop=view.crop,
        degrees=view.degrees,
        model_degrees=view.model_degrees,
    )
    stated = {"preprocessing_like": shown.like} if shown.like else {}
    return fitted.noting(model=shown.name, **stated).shown_through(shown.preprocessing)


def _as_stimuli(given: Any) -> StimulusSet:
    if isinstance(given, StimulusSet):
        return given
    if isinstance(given, ImageSet):
        return given.part("test")
    if isinstance(given, (str, Path)):
        return read_stimuli(given)
    return StimulusSet(given)


def _names(given: Sequence[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    return (given,) if isinstance(given, str) else tuple(given)


def _present(
    shown: Candidate,
    stimuli: StimulusSet,
    request: Request,
    out: str | Path | None,
    progress: Progress | None,
) -> xr.Dataset:
    """Build the network, present everything, and record it."""
    if request.in_time is not None:
        return _present_in_time(shown, stimuli, request, request.in_time, out, progress)
    from cortex_sim.backends.torch import build

    if "unrolled" in shown.state.origin:
        raise DataError(
            f"{shown.name}: was trained by unrolled steps, but would be recorded at its equilibrium; "
            "present stimuli in time on brian2 (in_time=, --backend brian2), or record the steps by "
            f"cs.torch.load({str(shown.run or shown.name)!r}).respond(x)"
        )
    precision = str(shown.state.origin.get("precision", "32"))
    model = build(shown.net, shown.seed, precision=precision, state=shown.state)
    return model.respond(
        stimuli,
        populations=request.populations,
        variables=request.variables,
        batch=request.batch or 256,
        out=out,
        progress=progress,
    )


def _present_in_time(
    shown: Candidate,
    stimuli: StimulusSet,
    request: Request,
    timing: InTime,
    out: str | Path | None,
    progress: Progress | None,
) -> xr.Dataset:
    from cortex_sim.recording import open_lazily
    from cortex_sim.recording.appending import appending

    presenter = Presenter(shown, request.populations, request.variables, timing, request.batch)
    noted = {**presenter.attributes(), **stimuli.provenance}
    if out is None:
        return _in_memory(presenter, stimuli, noted, progress)
    path = require_path("recording", out, RunError)
    if path.exists():
        raise RunError(f"recording {path}: already exists; give a new file")
    assert stimuli.ids is not None
    with appending(
        path,
        shown.net,
        presenter.populations,
        presenter.variables,
        stimuli.ids,
        stimuli.descriptors,
        noted,
        presenter.coordinates(),
    ) as file:
        for rows in presenter.batches(stimuli):
            file.add(rows)
            if progress:
                progress(file.done, len(stimuli))
    return open_lazily(path)


def _in_memory(
    presenter: Presenter, stimuli: StimulusSet, noted: dict[str, Any], progress: Progress | None
) -> xr.Dataset:
    import xarray as xr

    from cortex_sim.recording.making import MEANING, coordinates

    parts = []
    for rows in presenter.batches(stimuli):
        parts.append(rows)
        if progress:
            progress(sum(len(part["rate"]) for part in parts), len(stimuli))
    times = presenter.coordinates()
    dims = ("presentation", "neuroid", *(["time_bin"] if times else []))
    data = {
        name: (
            dims,
            np.concatenate([part[name] for part in parts]),
            {"units": "1", "long_name": MEANING[name]},
        )
        for name in presenter.variables
    }
    assert stimuli.ids is not None
    named = coordinates(presenter.candidate.net, presenter.populations, stimuli.ids, stimuli.descriptors)
    return xr.Dataset(data, named | times, noted)
