"""Running an experiment: every arm planned, carried out by a backend, and recorded into one Dataset."""

from __future__ import annotations

import json
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim.checks import look_up
from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.protocol.experiment import Experiment
from cortex_sim.protocol.plan import Plan, Sample, Session
from cortex_sim.protocol.planning import plan
from cortex_sim.protocol.protocol import Protocol

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.recording.recorder import Store


class OwnSession(Session, typing.Protocol):
    """A session that says what it runs, as a built simulation does."""

    net: Network
    seed: int


Start = Callable[[Experiment, Network, int], Session]


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
    backend : {"brian2", "torch"}
        Rate dynamics in time, or the equilibrium that each phase settles to.
    seed : int, default 0
        Of weights, order and noise; every arm has the same.
    out : path, optional
        Recording to write (netCDF). While it runs, chunks gather in ``OUT.parts/``, about every 5
        seconds, and memory holds one chunk. Without it the recording is gathered in memory.
    arms : list of str, optional
        Only these arms; all by default.
    resume : bool, default False
        Go on from the last chunk in ``OUT.parts/`` to the same file, bit for bit; where OUT is
        finished, only open it again.
    progress : bool, default True
        Show a bar on standard error where that is a terminal.

    Returns
    -------
    xarray.Dataset
        In memory; where ``out`` is given, opened from the file, whose values are read when looked at.

    Raises
    ------
    DeclarationError
        If the protocol does not fit the network.
    RunError
        If the arms cannot share a recording, ``out`` stands already, or what is to be resumed was begun
        with other settings.
    """
    start = look_up("backend", backend, _BACKENDS, RunError)
    planned = _planned(experiment, arms, seed)
    if out is None:
        if resume:
            raise RunError("resume: needs out, the recording to go on with")
        return _in_memory([_session(start, experiment, arm, seed) for arm in planned], seed, progress)
    from cortex_sim import recording
    from cortex_sim.recording import parts

    path = Path(out)
    settings = _settings(experiment, planned, backend, seed)
    if not (resume and _finished(path, settings)):
        parts.require_place(path, settings, resume)
        ready = [_session(start, experiment, arm, seed) for arm in planned]
        _to_disk(ready, seed, progress, path, settings)
    return recording.open_lazily(path)


def record(session: OwnSession, protocol: Protocol, *, progress: bool = False) -> xr.Dataset:
    """Carry out one protocol on a session that is there already, from where its weights are.

    Its one arm is called by the network's name; the first snapshot is that after the first trials.
    """
    full = _with_rates(plan(protocol, session.net, session.seed))
    arm = _Arm(session.net.name, session.net, full, session)
    return _in_memory([arm], None, progress)


@dataclass(frozen=True)
class _Arm:
    """One arm, ready to run."""

    name: str
    net: Network
    plan: Plan
    session: Session | None = None


def _planned(experiment: Experiment, arms: Sequence[str] | None, seed: int) -> list[_Arm]:
    chosen = list(experiment.arms) if arms is None else list(dict.fromkeys(arms))
    if not chosen:
        raise RunError(f"arms: none named; known: {', '.join(experiment.arms)}")
    made = []
    for name in chosen:
        protocol = look_up("arm", name, experiment.arms, RunError).protocol
        net = experiment.network_of(name)
        made.append(_Arm(name, net, _with_rates(plan(protocol, net, seed))))
    return made


def _with_rates(made: Plan) -> Plan:
    """Whatever else is recorded, a recording has rates."""
    variables = tuple(dict.fromkeys(("rate", *made.wanted.variables)))
    return replace(made, wanted=replace(made.wanted, variables=variables))


def _session(start: Start, experiment: Experiment, arm: _Arm, seed: int) -> _Arm:
    session = start(experiment, arm.net, seed)
    session.check(arm.plan)
    return replace(arm, session=session)


def _brian2(experiment: Experiment, net: Network, seed: int) -> Session:
    from cortex_sim.backends.brian2 import Simulation

    return Simulation(
        net,
        seed,
        engine=experiment.engine,
        dt_ms=experiment.dt_ms,
        apical_tau_ms=experiment.apical_tau_ms,
        noise=experiment.noise,
    )


def _torch(experiment: Experiment, net: Network, seed: int) -> Session:
    from cortex_sim.backends.torch.quasi_static import QuasiStatic

    return QuasiStatic(net, seed)


_BACKENDS: dict[str, Start] = {"brian2": _brian2, "torch": _torch}


# -- carrying out ---------------------------------------------------------------------------------


def _in_memory(arms: list[_Arm], seed: int | None, progress: bool) -> xr.Dataset:
    from cortex_sim.recording.assembling import assemble
    from cortex_sim.recording.recorder import Memory

    stores, attributes = [Memory() for _ in arms], _attributes(arms)
    return assemble(_carry_out(arms, stores, seed, progress), stores, attributes)


def _to_disk(arms: list[_Arm], seed: int, progress: bool, out: Path, settings: dict[str, Any]) -> None:
    from cortex_sim.recording import parts
    from cortex_sim.recording.assembling import write

    _layout(arms, seed)  # refused before a folder is made
    attributes = {**_attributes(arms), "run": json.dumps(settings)}  # of sessions that have not begun
    with parts.opened(out, settings) as folder:
        stores = [parts.Parts(folder / f"{number:03d}") for number in range(len(arms))]
        for arm, store in zip(arms, stores, strict=True):
            if 0 < store.done < len(arm.plan.shown):
                arm.session.restore(store.state())  # type: ignore[union-attr]
        layout = _carry_out(arms, stores, seed, progress)
        whole = folder / "whole.nc"
        write(layout, stores, attributes, whole)
        whole.replace(out)
        parts.remove(out)


def _layout(arms: list[_Arm], seed: int | None) -> Any:
    """Layout of all arms; weights drawn from ``seed`` make the first snapshots."""
    from cortex_sim.recording.layout import ArmLayout, Layout

    drawn = [{} if seed is None else arm.net.initial_weights(seed) for arm in arms]
    return Layout(tuple(ArmLayout(a.name, a.net, a.plan, w) for a, w in zip(arms, drawn, strict=True)))


def _carry_out(arms: list[_Arm], stores: Sequence[Store], seed: int | None, progress: bool) -> Any:
    """Run what the stores do not hold yet; returns the layout of the whole."""
    from cortex_sim.recording.recorder import Recorder

    layout = _layout(arms, seed)
    total = sum(len(shown.trials) for arm in arms for shown in arm.plan.shown)
    with _bar(total, progress) as advance:
        for arm, rows, store in zip(arms, layout.arms, stores, strict=True):
            session = arm.session
            assert session is not None
            advance(arm.name, sum(len(shown.trials) for shown in arm.plan.shown[: store.done]))
            if store.done == len(arm.plan.shown):
                continue
            recorder = Recorder(layout, rows, store, session.state)

            def keep(sample: Sample, recorder: Recorder = recorder, name: str = arm.name) -> None:
                recorder.keep(sample)
                advance(name, len(sample.shown.trials))

            session.carry_out(arm.plan, recorder.done, keep)
            if recorder.done < len(arm.plan.shown):
                # brian2 answers Ctrl-C by ending its run early; in the middle of a trial no state is whole.
                raise KeyboardInterrupt
            recorder.flush()
    return layout


@contextmanager
def _bar(total: int, wanted: bool) -> Iterator[Callable[[str, int], None]]:
    """Yield what is called with the arm's name and how many presentations more are done."""
    if not (wanted and sys.stderr.isatty()):
        yield lambda arm, more: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("presentations"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=total)
        yield lambda arm, more: shown.update(task, advance=more, description=f"arm {arm}")


# -- what a recording says of its making ------------------------------------------------------------


def _settings(experiment: Experiment, arms: list[_Arm], backend: str, seed: int) -> dict[str, Any]:
    """Everything that the recorded numbers depend on, short enough for an attribute."""
    from cortex_sim import __version__
    from cortex_sim.recording.fingerprint import fingerprint

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
    }


def _finished(out: Path, settings: dict[str, Any]) -> bool:
    """Whether ``out`` is a finished recording made with these settings; others are an error."""
    from cortex_sim import recording
    from cortex_sim.recording import parts

    if not out.is_file():
        return False
    with recording.open_lazily(out) as found:
        kept = json.loads(found.attrs.get("run", "{}"))
    parts.require_same(out, kept, settings)
    parts.remove(out)  # a program that was ended between the last two steps leaves it
    return True


def _attributes(arms: list[_Arm]) -> dict[str, Any]:
    """What the sessions say; where arms differ, JSON text of arm to value."""
    told = {arm.name: arm.session.attributes() for arm in arms if arm.session is not None}
    names = dict.fromkeys(name for one in told.values() for name in one)
    gathered: dict[str, Any] = {}
    for name in names:
        values = {arm: one.get(name) for arm, one in told.items()}
        first, *others = values.values()
        value = first if all(other == first for other in others) else values
        gathered[name] = _storable(value)
    return gathered


def _storable(value: Any) -> str | int | float:
    """What netCDF takes: text and numbers as they are (torch's version is more than text), else JSON text."""
    if isinstance(value, str):
        return str(value)
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if plain else json.dumps(value, default=str)
