"""From a protocol and a network to a plan: everything is checked here, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cortex_sim.checks import listed, require_count, require_known
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.preprocessing import Held, by_source
from cortex_sim.protocol.input_planning import Arrays
from cortex_sim.protocol.loop_planning import loops_of, planned
from cortex_sim.protocol.per_trial import ABSENT, every, resolved
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.plan import Images, Plan, PlannedLoop, Series, Shown, Wanted, parts_of
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.scheduling import SIDE_BY_SIDE, Schedule
from cortex_sim.protocol.sequence import Sequence
from cortex_sim.protocol.time_bins import bins_of_all
from cortex_sim.runs.room import require_memory

__all__ = ["SIDE_BY_SIDE", "plan"]

BYTES_OF_A_TRIAL = 600  # memory that a trial takes in a plan


def plan(protocol: Protocol | Sequence, net: Network, seed: int, preprocessing: Held | None = None) -> Plan:
    """Everything that a protocol does on a network, in order, as checked arrays.

    Parameters
    ----------
    protocol : Protocol or Sequence
    net : Network
    seed : int
        Draws the order of shuffled images.
    preprocessing : Preprocessing, or mapping of source to Preprocessing, optional
        Preprocessing of the network's training, applied to images of data sets given by name. Arrays are
        presented unchanged.

    Raises
    ------
    DeclarationError
        If a name is unknown, an array does not fit its population, lengths differ, a window cannot
        open, trials that differ cannot run together, or a recorded item does not exist.
    """
    require_count("plan", minimum=0, seed=seed)
    protocols = _protocols(protocol)
    arrays = Arrays(by_source(net, preprocessing))
    loops: dict[str, PlannedLoop] = {}
    for one in protocols:
        loops = planned(loops_of(one.phases), net, seed, loops)
    courses = [_course(one, net, arrays, loops, seed, part) for part, one in enumerate(protocols)]
    shown = tuple(replace(s, number=number) for number, s in enumerate(_one_after_another(courses)))
    wanted = _wanted(net, protocols[0])
    if wanted.every_ms is not None:
        wanted = replace(wanted, bins=bins_of_all(shown, wanted.every_ms))
    (ids, probe_ids), *later = _stimulus_ids(courses)
    made = Plan(shown, wanted, ids, probe_ids, tuple(later), loops)
    if wanted.every_ms is not None and made.lasting:
        raise DeclarationError(
            f"record: every_ms={wanted.every_ms:g} needs the same time bins in every trial, and a closed "
            f"loop sets the length of phase {made.lasting[0].name}; leave every_ms out for one sample a trial"
        )
    return made


def _protocols(given: Any) -> tuple[Protocol, ...]:
    if isinstance(given, Sequence):
        return given.protocols
    if isinstance(given, Protocol):
        return (given,)
    way = f"; give Protocol({given.name!r} and further phases)" if isinstance(given, Phase) else ""
    raise DeclarationError(f"plan: needs a Protocol or a Sequence of them{way}. Got {given!r}")


def _course(
    protocol: Protocol,
    net: Network,
    arrays: Arrays,
    loops: Mapping[str, PlannedLoop],
    seed: int,
    part: int,
) -> _Course:
    for rates in every(protocol.eta_per_s):
        for name in rates if isinstance(rates, Mapping) else ():
            require_known("projection in eta_per_s of Protocol", name, net.projections)
    own = {name: loops[name] for name in loops_of(protocol.phases)}
    trials = Schedule("trial", protocol, net, arrays, own, part)
    probe = None if protocol.probe is None else Schedule("probe", protocol.probe, net, arrays, part=part)
    _require_memory(protocol, trials, probe)
    return _Course(trials, probe, seed, fresh=part == 0)


def _one_after_another(courses: Iterable[_Course]) -> Iterator[Shown]:
    """Runs of all protocols of a sequence; trials, probes and blocks are counted over all of them."""
    before, blocks = {"trial": 0, "probe": 0}, 0
    for part, course in enumerate(courses):
        own = frozenset(course.trials.loops)
        for shown in course.shown():
            trials = tuple(before[shown.stage] + trial for trial in shown.trials)
            yield replace(shown, trials=trials, block=blocks + shown.block, part=part, loops=own)
        before = {stage: before[stage] + done for stage, done in course.done.items()}
        blocks += course.trials.protocol.repeat


def _require_memory(protocol: Protocol, trials: Schedule, probe: Schedule | None) -> None:
    """Raise where the list of all trials alone would not fit in memory."""
    blocks = protocol.repeat
    probes = blocks + 1
    if protocol.probe_every is not None:
        probes = 2 + trials.trials * blocks // protocol.probe_every
    count = trials.trials * blocks + (0 if probe is None else probe.trials * probes)
    require_memory(
        "Protocol",
        f"the plan of {count:,} presentations",
        count * BYTES_OF_A_TRIAL,
        "use fewer trials, blocks (repeat) or probes, or several protocols, each run from the state of the "
        "one before",
        DeclarationError,
    )


@dataclass
class _Course:
    """The order of trials and probes of one protocol; its runs are not yet numbered."""

    trials: Schedule
    probe: Schedule | None
    seed: int
    done: dict[str, int] = field(default_factory=lambda: {"trial": 0, "probe": 0})
    fresh: bool = True  # whether the next trial starts from rest even without a reset

    def shown(self) -> Iterator[Shown]:
        """A probe, then trials, with a probe after each block or after every ``probe_every`` trials."""
        protocol = self.trials.protocol
        _check_batches(self.trials)
        if self.probe is not None:
            yield from self._probed(0)
        for block in range(1, protocol.repeat + 1):
            yield from self._block(block)
            over = block == protocol.repeat and self._until_probe() != protocol.probe_every
            if self.probe is not None and (protocol.probe_every is None or over):
                yield from self._probed(block)

    def _block(self, block: int) -> Iterator[Shown]:
        stage, order = self.trials, [int(i) for i in self.trials.order(self.seed, block)]
        start = 0
        while start < len(order):
            first = self.done["trial"]
            images = order[start : start + min(stage.batch, self._until_probe())]
            keys = [stage.key(first + k, image, self._lesion(first + k)) for k, image in enumerate(images)]
            together = next((k for k, key in enumerate(keys) if key != keys[0]), len(images))
            if together < len(images) and stage.protocol.plastic:
                raise DeclarationError(
                    f"trials: {first + together - 1} and {first + together} differ in "
                    f"{stage.difference(keys[together - 1], keys[together])}, and "
                    f"batch={stage.batch} runs them together, with one change of weights; use batch=1, or "
                    "give all trials of a batch the same value"
                )
            yield self._run(stage, block, images[:together])
            start += together
            if self._until_probe() == stage.protocol.probe_every:
                yield from self._probed(block)

    def _until_probe(self) -> int:
        """Trials until the next probe; right after one, ``probe_every``."""
        wait = self.trials.protocol.probe_every
        return self.trials.batch if wait is None else wait - self.done["trial"] % wait

    def _probed(self, block: int) -> Iterator[Shown]:
        stage = self.probe
        assert stage is not None
        order = [int(i) for i in stage.order(self.seed, block)]
        start, self.fresh = 0, True
        while start < len(order):
            first = self.done["probe"]
            images = order[start : start + stage.batch]
            keys = [stage.key(first + k, image, ()) for k, image in enumerate(images)]
            together = next((k for k, key in enumerate(keys) if key != keys[0]), len(images))
            yield self._run(stage, block, images[:together])
            start += together
        self.fresh = True

    def _run(self, stage: Schedule, block: int, images: list[int]) -> Shown:
        first = self.done[stage.name]
        lesion = self._lesion(self.done["trial"])
        if stage.name == "probe":
            own = resolved(stage.protocol.lesion, first, images[0])
            lesion = (*lesion, *(() if own is ABSENT else own))
        phases = stage.phases(first, images[0], lesion, self.trials.protocol.eta_per_s)
        trials = tuple(range(first, first + len(images)))
        self.done[stage.name] += len(images)
        rest, self.fresh = stage.protocol.reset or self.fresh, False
        return Shown(0, stage.name, block, trials, tuple(images), phases, rest)

    def _lesion(self, trial: int) -> tuple[str, ...]:
        """What the lesion cuts and silences after ``trial`` trials."""
        found = resolved(self.trials.protocol.lesion, trial, 0)
        return () if found is ABSENT else found


def _check_batches(stage: Schedule) -> None:
    wait, batch = stage.protocol.probe_every, stage.batch
    if wait is not None and stage.protocol.plastic and wait % batch:
        raise DeclarationError(
            f"Protocol: probe_every={wait} would probe within a batch of {batch} trials, which change "
            f"weights together; give a multiple of {batch}, or another batch"
        )


def _stimulus_ids(courses: list[_Course]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Stimulus ids of the images of trials and of probes, by protocol; equal image sets share them."""
    known: dict[tuple[frozenset[tuple[str, int]], int], tuple[str, ...]] = {}

    def ids(schedule: Schedule | None, prefix: str) -> tuple[str, ...]:
        if schedule is None:
            return ()
        key = (_image_sets(schedule), schedule.presentations)
        return known.setdefault(key, tuple(f"{prefix}{i}" for i in range(key[1])))

    found = []
    for number, course in enumerate(courses, 1):
        prefix = f"protocol {number} " if number > 1 else ""
        found.append((ids(course.trials, prefix), ids(course.probe, f"{prefix}probe ")))
    return found


def _image_sets(stage: Schedule) -> frozenset[tuple[str, int]]:
    """Population and array of every image set; equal arrays have been merged by the conversion."""
    return frozenset(
        (population, part.values.__array_interface__["data"][0])
        for phases in stage.drafted
        for phase in phases
        for population, given in phase.drive.items()
        for part in parts_of(given)
        if isinstance(part, Images) or (isinstance(part, Series) and part.each)
    )


def _wanted(net: Network, protocol: Protocol) -> Wanted:
    record = protocol.record
    for name in record.populations or ():
        require_known("population of Record", name, net.every_population)
    recorded = net.every_population if record.populations else net.populations
    own = [p.name for p in net.projections.values() if _has_weights(net, p.name)]
    plastic = [name for name in own if net.projections[name].plasticity is not None]
    weights = plastic if record.weights is True else record.weights
    for name in weights:
        require_known("projection in weights of Record", name, net.projections)
        if name not in own:
            raise DeclarationError(f"Record: {name} has no weights of its own; known: {listed(own)}")
    return Wanted(
        variables=record.of_neuroids,
        populations=tuple(n for n in recorded if n in (record.populations or recorded)),
        every_ms=record.every_ms,
        phase=protocol.recorded_phase,
        weights=tuple(weights),
        weights_every=record.weights_every,
        states=_states(net, record.state),
        sampled_states=_states(net, record.of_rules, by_projection=False),
    )


def _states(net: Network, asked: Any, by_projection: bool = True) -> tuple[str, ...]:
    """Variables of rules as "pre->post:variable"."""
    known = {p.name: list(p.rule.state) for p in net.projections.values() if p.rule.state}
    every = [f"{name}:{variable}" for name, variables in known.items() for variable in variables]
    if asked is True:
        return tuple(every)
    found: list[str] = []
    for name in asked:
        if name in known:
            found += [f"{name}:{variable}" for variable in known[name]]
        elif name in every:
            found.append(name)
        else:
            way = ", or the projection's name for all of its variables" if by_projection else ""
            raise DeclarationError(
                f"Record: {name!r} is not a rule's state variable in {net.name}; known: {listed(every)}{way}"
            )
    return tuple(dict.fromkeys(found))


def _has_weights(net: Network, name: str) -> bool:
    projection = net.projections[name]
    tied = projection.source.tied
    return bool(net.weight_shape(projection)) and not tied
