"""A plan carried out on a session, and recorded: in memory, or into a file while it grows."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.checks import require_name, short
from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.preprocessing import Held
from cortex_sim.protocol.noticing import say_what_stays
from cortex_sim.protocol.plan import Plan, Sample, Session
from cortex_sim.protocol.planning import plan
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.sequence import Sequence
from cortex_sim.runs.interrupted import saying
from cortex_sim.runs.progress import bar

if TYPE_CHECKING:
    import xarray as xr


class OwnSession(Session, typing.Protocol):
    """A session that knows its network and seed, such as a built simulation."""

    net: Network
    seed: int

    @property
    def preprocessing(self) -> Held | None:
        """Preprocessing applied to the images of data sets."""

    def weights_of(self, projection: str) -> np.ndarray:
        """Present weights of a projection in the declared shape."""


@dataclass(frozen=True)
class PlannedArm:
    """One arm, planned; with a session, ready to run.

    ``initial`` are the weights by projection that its first snapshot shows; None where it has none.
    """

    name: str
    net: Network
    plan: Plan
    initial: Mapping[str, np.ndarray] | None = None
    session: Session | None = None


def record(
    session: OwnSession, protocol: Any, *, arm: str | None = None, progress: bool = True
) -> xr.Dataset:
    """Carry out one protocol, or a sequence, on an existing session, from its present weights.

    The only arm is called ``arm``, by default like the network. Recorded weights begin with the present ones.

    Raises
    ------
    RunError
        If something other than a protocol is given.
    """
    if not isinstance(protocol, (Protocol, Sequence)):
        way = "an experiment is run by cs.brian2.run(experiment) or cs.torch.run(experiment)"
        if not hasattr(protocol, "arms"):
            way = "phases are given as cs.Protocol(phase, ...)"
        raise RunError(f"run: takes a Protocol, or a Sequence of them; {way}. Got {short(protocol)}")
    if arm is not None:
        require_name("run: arm", arm)
    full = with_rates(plan(protocol, session.net, session.seed, session.preprocessing))
    require_loops(session, full)
    say_what_stays(full, session.net)
    own = getattr(session, "weights_of", None)  # registered sessions may lack it
    initial = (
        None if own is None else {name: own(name) for name in (*full.wanted.weights, *full.wanted.states)}
    )
    only = PlannedArm(arm or session.net.name, session.net, full, initial, session)
    with saying(
        f"network {session.net.name}: interrupted; its recording in memory is lost, while "
        'cs.brian2.run(experiment, out="FILE.nc") can be resumed'
    ):
        return in_memory([only], progress)


def with_rates(made: Plan) -> Plan:
    """The plan with rates among the recorded variables, where any variable of populations is recorded."""
    if not made.wanted.variables:
        return made
    variables = tuple(dict.fromkeys(("rate", *made.wanted.variables)))
    return replace(made, wanted=replace(made.wanted, variables=variables))


def require_loops(session: Session, made: Plan) -> None:
    """Raise `RunError` where a plan has closed loops and the session would ignore them."""
    if made.loops and not getattr(session, "closes_loops", False):
        raise RunError(
            f"closed loop {next(iter(made.loops))}: {type(session).__name__} does not close loops; use "
            'backend "brian2" or "torch"'
        )


def in_memory(arms: list[PlannedArm], progress: bool) -> xr.Dataset:
    """Carry out every arm and return the recording of all."""
    from cortex_sim.recording import sizes
    from cortex_sim.recording.assembling import assemble
    from cortex_sim.recording.recorder import Memory

    sizes.require_memory_for(_layout(arms))
    stores, attributes = [Memory() for _ in arms], _attributes(arms)
    return assemble(_carry_out(arms, stores, progress), stores, attributes)


def to_disk(arms: list[PlannedArm], progress: bool, out: Path, settings: dict[str, Any]) -> None:
    """Carry out every arm into ``out``; trials that its folder of parts holds are not repeated."""
    from cortex_sim.recording import parts, sizes
    from cortex_sim.recording.assembling import write

    sizes.require_disk_for(_layout(arms), out, parts.bytes_in(out))  # checked before a folder is made
    sizes.require_memory_for_a_run(_layout(arms))
    attributes = {**_attributes(arms), "run": json.dumps(settings)}  # of sessions that have not started
    with parts.opened(out, settings) as folder:
        stores = [parts.Parts(folder / f"{number:03d}") for number in range(len(arms))]
        for arm, store in zip(arms, stores, strict=True):
            if 0 < store.done < len(arm.plan.shown):
                arm.session.restore(store.state())  # type: ignore[union-attr]
        layout = _carry_out(arms, stores, progress)
        whole = folder / "whole.nc"
        try:
            write(layout, stores, attributes, whole)
            whole.replace(out)
        except OSError as exception:
            whole.unlink(missing_ok=True)
            raise RunError(
                f"{out}: cannot be written ({exception.strerror or exception}); make room, then continue "
                f"with --resume (resume=True)"
            ) from None
        parts.remove(out)


def _layout(arms: list[PlannedArm]) -> Any:
    """Layout of all arms; the weights that they start from make the first snapshots."""
    from cortex_sim.recording.layout import ArmLayout, Layout

    return Layout(tuple(ArmLayout(a.name, a.net, a.plan, a.initial or {}) for a in arms))


def _carry_out(arms: list[PlannedArm], stores: list[Any], progress: bool) -> Any:
    """Run what the stores do not hold yet; returns the layout of the whole recording."""
    from cortex_sim.recording.recorder import Recorder

    layout = _layout(arms)
    total = sum(len(shown.trials) for arm in arms for shown in arm.plan.shown)
    with bar(total, "presentations", progress) as shown_so_far:
        for arm, rows, store in zip(arms, layout.arms, stores, strict=True):
            session = arm.session
            assert session is not None
            already = sum(len(shown.trials) for shown in arm.plan.shown[: store.done])
            shown_so_far.skip(already, f"arm {arm.name}")
            if store.done == len(arm.plan.shown):
                continue
            recorder = Recorder(layout, rows, store, session.checkpoint)

            def keep(sample: Sample, recorder: Recorder = recorder, name: str = arm.name) -> None:
                recorder.keep(sample)
                shown_so_far.advance(len(sample.shown.trials), f"arm {name}")

            session.carry_out(arm.plan, recorder.done, keep)
            if recorder.done < len(arm.plan.shown):
                # brian2 answers Ctrl-C by ending its run early; within a trial no state is complete.
                raise KeyboardInterrupt
            recorder.flush()
    return layout


def _attributes(arms: list[PlannedArm]) -> dict[str, Any]:
    """Attributes of the sessions; where arms differ, JSON text of arm to value."""
    described = {arm.name: arm.session.attributes() for arm in arms if arm.session is not None}
    names = dict.fromkeys(name for one in described.values() for name in one)
    gathered: dict[str, Any] = {}
    for name in names:
        values = {arm: one.get(name) for arm, one in described.items()}
        first, *others = values.values()
        value = first if all(other == first for other in others) else values
        gathered[name] = _storable(value)
    return gathered


def _storable(value: Any) -> str | int | float:
    """A value that netCDF accepts: text and numbers as they are, everything else as JSON text."""
    if isinstance(value, str):
        return str(value)
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if plain else json.dumps(value, default=str)
