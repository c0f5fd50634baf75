"""Running an experiment: every arm planned, carried out by a backend, and recorded into one Dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim.backends.registry import Start, backend_called
from cortex_sim.checks import look_up, require_flag, require_path, short
from cortex_sim.errors import RunError
from cortex_sim.experiments.experiment import Experiment
from cortex_sim.protocol.planning import plan
from cortex_sim.protocol.values import names
from cortex_sim.recording.fingerprint import fingerprint
from cortex_sim.recording.session import PlannedArm, in_memory, require_loops, to_disk, with_rates
from cortex_sim.runs.interrupted import saying
from cortex_sim.state import first_snapshot, initial, tensors_of

if TYPE_CHECKING:
    import xarray as xr

_IN_MEMORY = (
    "interrupted; the recording in memory is lost. With out='FILE.nc' it is kept, and resume=True "
    "continues it"
)


def run(
    experiment: Experiment,
    backend: str,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    arms: Sequence[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Run the arms of an experiment, one after another, into one recording.

    Parameters
    ----------
    experiment : Experiment
    backend : str
        "brian2": rate dynamics in time; "torch": the equilibrium that each phase settles to; or one that
        you registered, see `cortex_sim.register_backend`.
    seed : int, default 0
        Seed of weights, order of trials and noise; the same for every arm.
    out : path, optional
        Recording to write (netCDF). During the run a chunk is written to ``OUT.parts/`` about every 5
        seconds, and memory holds one chunk. Without ``out`` the whole recording is held in memory.
    arms : list of str, optional
        Only these arms; all by default.
    resume : bool, default False
        Continue from the last chunk in ``OUT.parts/``, which yields the same file bit for bit; if OUT
        is finished, only open it.
    progress : bool, default True
        Show a bar in a terminal or a notebook, or a line each minute in a log, if the run takes long.

    Returns
    -------
    xarray.Dataset
        In memory; with ``out``, opened from the file, whose values are read when they are used.

    Raises
    ------
    DeclarationError
        If the protocol does not fit the network.
    RunError
        If the arms cannot share a recording, ``out`` already exists, or the recording to be resumed was
        started with other settings.
    """
    if not isinstance(experiment, Experiment):
        raise RunError(
            f"run: takes an Experiment, such as Experiment(net, {{'name': protocol}}); a built network runs "
            f"a protocol, as in cs.brian2.build(net).run(protocol). Got {short(experiment)}"
        )
    require_flag("run", resume=resume, progress=progress)
    start = backend_called(backend)
    planned = _planned(experiment, arms, seed)
    if out is None:
        if resume:
            raise RunError("resume: needs out, the recording to continue")
        with saying(_IN_MEMORY):
            return in_memory([_session(start, experiment, arm, seed) for arm in planned], progress)
    from cortex_sim import recording
    from cortex_sim.recording import parts

    path = require_path("out", out, RunError)
    if path.suffix.lower() in _OTHER_FORMATS:
        raise RunError(
            f"out {path.name}: a recording is written as netCDF; give {path.with_suffix('.nc').name}, and "
            "export what you need from it, such as recording['rate'].to_series().to_csv(...)"
        )
    settings = _settings(experiment, planned, backend, seed)
    if not (resume and _finished(path, settings)):
        parts.require_place(path, settings, resume)
        ready = [_session(start, experiment, arm, seed) for arm in planned]
        with saying(
            f"{path}: interrupted; the trials recorded so far are kept. Run it again with resume=True "
            "(--resume) to continue"
        ):
            to_disk(ready, progress, path, settings)
    return recording.open_lazily(path)


_OTHER_FORMATS = {".csv", ".tsv", ".txt", ".xlsx", ".npz", ".npy", ".mat", ".json", ".yaml", ".pkl", ".nwb"}


def _planned(experiment: Experiment, arms: Sequence[str] | None, seed: int) -> list[PlannedArm]:
    chosen = list(experiment.arms) if arms is None else list(names("run", "arms", arms, RunError))
    if not chosen:
        raise RunError(f"arms: the list is empty; give some of {', '.join(experiment.arms)}")
    made = []
    for name in chosen:
        protocol = look_up("arm", name, experiment.arms, RunError, exact=True).protocol
        net = experiment.network_of(name)
        state = experiment.state_for(net, seed)
        first = first_snapshot(initial(net, seed) if state is None else state)
        preprocessing = None if state is None else state.preprocessing
        full = with_rates(plan(protocol, net, seed, preprocessing))
        made.append(PlannedArm(name, net, full, first))
    return made


def _session(start: Start, experiment: Experiment, arm: PlannedArm, seed: int) -> PlannedArm:
    session = start(arm.net, seed, experiment.conditions(arm.net, seed))
    if not callable(getattr(session, "check", None)):
        raise RunError(
            f"arm {arm.name}: the backend's start returned {type(session).__name__}, which is not a session; "
            "see cortex_sim.register_backend"
        )
    require_loops(session, arm.plan)
    session.check(arm.plan)
    return replace(arm, session=session)


def identity(
    experiment: Experiment, backend: str, seed: int, arms: Sequence[str] | None = None
) -> dict[str, Any]:
    """Everything that the numbers of a recording depend on, as plain data; checks the whole experiment.

    Raises
    ------
    DeclarationError
        If a protocol does not fit its network.
    RunError
        If an arm or the backend is unknown.
    """
    backend_called(backend)
    return _settings(experiment, _planned(experiment, arms, seed), backend, seed)


# -- provenance --------------------------------------------------------------------------------------


def _settings(experiment: Experiment, arms: list[PlannedArm], backend: str, seed: int) -> dict[str, Any]:
    """Everything that the recorded numbers depend on, short enough for an attribute."""
    from cortex_sim import __version__

    return {
        "seed": seed,
        "backend": backend,
        "cortex_sim_version": __version__,
        "dt_ms": experiment.dt_ms,
        "apical_tau_ms": experiment.apical_tau_ms,
        "noise": experiment.noise,
        "engine": experiment.engine,
        "arms": [arm.name for arm in arms],
        "networks": fingerprint([arm.net.to_yaml() for arm in arms]),
        "protocols": fingerprint([arm.plan for arm in arms]),
        "start": _started(experiment, arms, seed),
    }


def _started(experiment: Experiment, arms: list[PlannedArm], seed: int) -> str:
    """Fingerprint of all that the arms start from, or "drawn" where weights are drawn from the seed."""
    if experiment.start is None:
        return "drawn"
    states = [experiment.state_for(arm.net, seed) for arm in arms]
    return fingerprint([{} if state is None else tensors_of(state) for state in states])


def _finished(out: Path, settings: dict[str, Any]) -> bool:
    """Whether ``out`` is a finished recording made with these settings; other settings are an error."""
    from cortex_sim import recording
    from cortex_sim.recording import parts

    if not out.is_file():
        return False
    with recording.open_lazily(out) as found:
        kept = json.loads(found.attrs.get("run", "{}"))
    parts.require_same(out, kept, settings)
    parts.remove(out)  # left by a program that ended between the last two steps
    return True
