"""Protocol: phases that make a trial, and how trials, blocks and probes follow each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cortex_sim.calling import known_settings
from cortex_sim.checks import require_count, require_flag, require_known
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.closed_loop import longest_ms, never_looped
from cortex_sim.protocol.loop_planning import check_loops
from cortex_sim.protocol.per_trial import FromTrial, differing, differs, every, numbers_per_trial
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.record import Record
from cortex_sim.protocol.values import Comparable, at_least_zero, at_least_zero_ms, by_name, names

#: Name of the pause after each trial, where ``interval_ms`` is above 0.
INTERVAL = "interval"
DEFAULT_ETA = 0.1  # 1/s
ORDERS = ("given", "shuffled")


@known_settings
@dataclass(frozen=True, eq=False, init=False)
class Protocol(Comparable):
    """The course of an experiment: a trial runs the phases once for one presentation.

    ``interval_ms``, ``lesion`` and ``eta_per_s`` may differ between trials, as the settings of phases:
    `PerTrial`, `FromTrial`, or a list of numbers where one number is expected.

    Parameters
    ----------
    *phases : Phase
        In order.
    trials : int or None
        Trials in a block; None takes each image once; without images, one trial for each value of settings
        that differ between trials, else one. If there are more trials than images, these start over; if
        fewer, the next block continues through the images.
    repeat : int, default 1
        Blocks.
    order : {"given", "shuffled"}
        "shuffled" draws images without replacement, another permutation for each pass through them.
    batch : int or None
        Presentations per run, which share one set of weights: a window changes the weights by the mean over
        presentations. None: 1 where anything learns, a loop is closed or ``reset`` is False, else up to 256.
    interval_ms : float, default 0.0
        Length of a last phase, "interval", without drive.
    reset : bool, default True
        Whether every trial starts from rest. If not, a trial continues from the state of the previous
        one, except the first trial after a probe.
    lesion : list of projections, populations or units
        Projections cut and populations or units silenced throughout, in probes too; a lesion from trial k on
        also acts on the probes after trial k − 1.
    probe : Protocol or None
        Run before the first block and after each; learns nothing.
    probe_every : int or None
        Number of trials, counted over all blocks, after which the probe runs instead of after each block; it
        also runs after the last trial.
    record : Record
        What to record, of trials and probes alike.
    eta_per_s : float or mapping of projection to float, default 0.1
        Learning rate in 1/s of windows without their own: dw/dt = η·growth.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> protocol = cs.Protocol(cs.Phase("settle", 200), cs.Phase("learn", 400, plasticity=True))
    >>> protocol.duration_ms
    600.0
    >>> protocol.replace(lesion=["IT->V1"]).lesion
    ('IT->V1',)
    """

    phases: tuple[Phase, ...]
    trials: int | None = None
    repeat: int = 1
    order: str = "given"
    batch: int | None = None
    interval_ms: Any = 0.0
    reset: bool = True
    lesion: Any = ()
    probe: Protocol | None = None
    probe_every: int | None = None
    record: Record = Record()
    eta_per_s: Any = DEFAULT_ETA

    def __init__(
        self,
        *phases: Phase,
        trials: int | None = None,
        repeat: int = 1,
        order: str = "given",
        batch: int | None = None,
        interval_ms: Any = 0.0,
        reset: bool = True,
        lesion: Any = (),
        probe: Protocol | None = None,
        probe_every: int | None = None,
        record: Record = Record(),  # noqa: B008 - frozen
        eta_per_s: Any = DEFAULT_ETA,
    ) -> None:
        _check_phases(phases)
        for what, value in (("trials", trials), ("batch", batch), ("probe_every", probe_every)):
            if value is not None:
                require_count("Protocol", **{what: value})
        require_count("Protocol", repeat=repeat)
        require_flag("Protocol", reset=reset)
        require_known("order of Protocol", order, dict.fromkeys(ORDERS))
        if not reset and batch not in (None, 1):
            raise DeclarationError(
                f"Protocol: reset=False lets each trial continue from the one before, so trials cannot run "
                f"{batch} side by side; leave batch out"
            )
        values = {
            "phases": tuple(phases),
            "trials": trials,
            "repeat": repeat,
            "order": order,
            "batch": batch,
            "interval_ms": never_looped(numbers_per_trial(at_least_zero_ms))(
                "Protocol", "interval_ms", interval_ms
            ),
            "reset": reset,
            "lesion": differing("Protocol", "lesion", lesion, never_looped(names)),
            "probe": probe,
            "probe_every": probe_every,
            "record": record,
            "eta_per_s": never_looped(numbers_per_trial(_as_rates))("Protocol", "eta_per_s", eta_per_s),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        _check_record(self)
        if probe is not None:
            _check_probe(self, probe)
        elif probe_every is not None:
            raise DeclarationError(
                f"Protocol: probe_every={probe_every} says when to probe, but there is no probe; give "
                "probe=..."
            )
        check_loops(self)

    @property
    def plastic(self) -> bool:
        """Whether any phase opens a plasticity window."""
        return any(phase.plastic for phase in self.phases)

    @property
    def durations_ms(self) -> dict[str, float]:
        """Length of each phase, the interval included; the longest where trials differ."""
        found = {phase.name: max(map(longest_ms, every(phase.duration_ms))) for phase in self.phases}
        pause = max(every(self.interval_ms))
        return {**found, INTERVAL: pause} if pause else found

    @property
    def duration_ms(self) -> float:
        """Length of one trial, the interval included; with the longest phases where trials differ."""
        return sum(self.durations_ms.values())

    @property
    def recorded_phase(self) -> str:
        """Phase at whose end a sample is taken, where the record has no time bins."""
        return self.record.phase or self.phases[-1].name

    def replace(self, **changes: Any) -> Protocol:
        """The same protocol with some settings changed; ``phases=[...]`` changes the phases."""
        settings = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in changes:
            require_known("setting of Protocol", name, settings)
        settings |= changes
        if not isinstance(settings["phases"], (list, tuple)):
            raise DeclarationError(
                f"Protocol: phases must be a list of Phase objects. Got {settings['phases']!r}"
            )
        return Protocol(*settings.pop("phases"), **settings)

    def draw(self, path: str | Path | None = None) -> Any:
        """Draw its time line, trials and probes (matplotlib figure; saved if a path is given)."""
        from cortex_sim.viz.timelines import draw

        return draw(self, path)

    def _repr_html_(self) -> str:
        from cortex_sim.viz import notebook

        return notebook.protocol(self)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The protocol as YAML, without loss; also written to ``path`` if given."""
        from cortex_sim.protocol.protocol_yaml import write

        return write(self, path)

    @staticmethod
    def from_yaml(source: str | Path, seed: int = 0) -> Protocol:
        """Protocol from YAML text, or a file; ``seed`` is used for data sets whose entry has none."""
        from cortex_sim.protocol.protocol_yaml import from_yaml

        return from_yaml(Protocol, source, seed)


def _check_phases(phases: tuple[Any, ...]) -> None:
    if not phases:
        raise DeclarationError(
            "Protocol: needs at least one phase; give Protocol(Phase(name, duration_ms), ...)"
        )
    for phase in phases:
        if not isinstance(phase, Phase):
            star = "; write Protocol(*phases)" if isinstance(phase, (list, tuple)) else ""
            raise DeclarationError(f"Protocol: takes Phase objects one after another{star}. Got {phase!r}")
    seen: set[str] = set()
    for phase in phases:
        if phase.name in seen:
            raise DeclarationError(f"Protocol: two phases are called {phase.name}; give them different names")
        seen.add(phase.name)


def _as_rates(owner: str, what: str, given: Any) -> Any:
    if isinstance(given, Mapping):
        rate = numbers_per_trial(at_least_zero)
        return {n: rate(owner, f"{what} of {n}", value) for n, value in by_name(owner, what, given).items()}
    return at_least_zero(owner, what, given)


def _check_record(protocol: Protocol) -> None:
    record = protocol.record
    if not isinstance(record, Record):
        raise DeclarationError(f"Protocol: record must be a Record. Got {record!r}")
    if max(every(protocol.interval_ms)) and INTERVAL in {phase.name for phase in protocol.phases}:
        raise DeclarationError(f"Protocol: interval_ms adds a phase called {INTERVAL}; rename your own phase")
    require_known("phase of Record", protocol.recorded_phase, protocol.durations_ms)
    if record.every_ms is not None and record.every_ms > protocol.duration_ms:
        raise DeclarationError(
            f"Protocol: record every_ms={record.every_ms:g} is longer than a trial, "
            f"{protocol.duration_ms:g} ms; give a shorter one"
        )


def _check_probe(protocol: Protocol, probe: Any) -> None:
    if not isinstance(probe, Protocol):
        raise DeclarationError(f"Protocol: probe must be a Protocol. Got {probe!r}")
    if probe.probe is not None:
        raise DeclarationError("Protocol: a probe cannot have a probe itself; leave that out")
    if differs(protocol.lesion) and not isinstance(protocol.lesion, FromTrial):
        raise DeclarationError(
            "Protocol: with a lesion of single trials (PerTrial) it is unclear what is lesioned during a "
            "probe; use FromTrial, or cut=PerTrial(...) and silence=PerTrial(...) of a phase"
        )
    for phase in probe.phases:
        if phase.plastic:
            raise DeclarationError(
                f"Protocol: the probe's phase {phase.name} has plasticity, but nothing may learn in a probe; "
                f"leave it out. Got plasticity={phase.plasticity!r}"
            )
    if probe.repeat != 1:
        raise DeclarationError(
            f"Protocol: a probe is one block. Got repeat={probe.repeat}; give trials instead"
        )
    record = protocol.record
    if probe.record not in (Record(), record):
        raise DeclarationError(
            "Protocol: a probe is recorded like its protocol; give record=... to the protocol only"
        )
    if record.every_ms is not None and probe.durations_ms != protocol.durations_ms:
        raise DeclarationError(
            f"Protocol: with every_ms trials and probes share their time bins, so the probe needs the phases "
            f"{_spelled(protocol)}. Got {_spelled(probe)}"
        )
    if record.every_ms is None and protocol.recorded_phase not in probe.durations_ms:
        shared = [name for name in protocol.durations_ms if name in probe.durations_ms]
        way = (
            f"Record(phase={shared[-1]!r})" if shared else f"call one of its phases {protocol.recorded_phase}"
        )
        raise DeclarationError(
            f"Protocol: the end of phase {protocol.recorded_phase} is recorded, but the probe has no such "
            f"phase; use {way}"
        )


def _spelled(protocol: Protocol) -> str:
    return ", ".join(f"{name} ({ms:g} ms)" for name, ms in protocol.durations_ms.items())
