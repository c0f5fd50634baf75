"""From a protocol and a network to a plan: everything is checked here, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from cortex_sim.checks import listed, look_up, require_count
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.preprocessing import Preprocessing
from cortex_sim.protocol.input_planning import Arrays
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.phase_planning import Draft, Lesion, draft, lesion_of
from cortex_sim.protocol.plan import Images, PhasePlan, Plan, Shown, Wanted
from cortex_sim.protocol.protocol import INTERVAL, Protocol

#: Default batch size if nothing is learned.
SIDE_BY_SIDE = 256


def plan(protocol: Protocol, net: Network, seed: int, preprocessing: Preprocessing | None = None) -> Plan:
    """Everything that a protocol does on a network, in order, as checked arrays.

    Parameters
    ----------
    protocol : Protocol
    net : Network
    seed : int
        Draws the order of shuffled images.
    preprocessing : Preprocessing, optional
        That of the network's training, applied to the images of data sets that are given by name. Arrays
        are presented unchanged.

    Raises
    ------
    DeclarationError
        If a name is unknown, an array does not fit its population, lengths differ, a window cannot
        open, or a recorded item does not exist.
    """
    require_count("plan", minimum=0, seed=seed)
    if not isinstance(protocol, Protocol):
        raise DeclarationError(f"plan: needs a Protocol. Got {protocol!r}")
    if isinstance(protocol.eta_per_s, Mapping):
        for name in protocol.eta_per_s:
            look_up("projection in eta_per_s of Protocol", name, net.projections)
    through = {} if preprocessing is None else dict.fromkeys(net.stimulated, preprocessing)
    arrays, lesion = Arrays(through), lesion_of(net, protocol.lesion)
    trials = _Stage("trial", protocol, _drafts(net, protocol, lesion, arrays))
    stages = [trials]
    if protocol.probe is not None:
        own = lesion_of(net, (*protocol.lesion, *protocol.probe.lesion))
        stages.append(_Stage("probe", protocol.probe, _drafts(net, protocol.probe, own, arrays)))
    shown = tuple(
        replace(s, number=number) for number, s in enumerate(_in_order(stages, protocol.repeat, seed))
    )
    ids = [str(i) for i in range(trials.presentations)]
    return Plan(shown, _wanted(net, protocol), tuple(ids), _probe_ids(stages))


def _drafts(net: Network, protocol: Protocol, lesion: Lesion, arrays: Arrays) -> list[Draft]:
    phases = list(protocol.phases)
    if protocol.interval_ms:
        phases.append(Phase(INTERVAL, protocol.interval_ms))
    return [draft(net, phase, lesion, protocol.eta_per_s, arrays) for phase in phases]


@dataclass(frozen=True)
class _Stage:
    """Trials or probes: a protocol whose phases are checked."""

    name: str
    protocol: Protocol
    drafts: list[Draft]

    def __post_init__(self) -> None:
        lengths: dict[str, int] = {}
        for d in self.drafts:
            lengths |= d.lengths()
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{what} {length}" for what, length in lengths.items())
            raise DeclarationError(
                f"{self.name}s: all images and labels of a protocol must have one number of presentations. "
                f"Got {counts}"
            )

    @property
    def presentations(self) -> int:
        """Number of presentations to choose from; 1 if no array has one entry for each."""
        return next((n for d in self.drafts for n in d.lengths().values()), 1)

    @property
    def trials(self) -> int:
        return self.protocol.trials or self.presentations

    @property
    def batch(self) -> int:
        if self.protocol.batch is not None:
            return min(self.protocol.batch, self.trials)
        return 1 if self.protocol.plastic or not self.protocol.reset else min(SIDE_BY_SIDE, self.trials)

    def phases(self) -> tuple[PhasePlan, ...]:
        return tuple(replace(d.plan, nudge=d.nudges(self.presentations)) for d in self.drafts)

    def order(self, seed: int, block: int) -> np.ndarray:
        """Image of each trial of a block."""
        passes = -(-self.trials // self.presentations)
        if self.protocol.order == "given":
            return np.tile(np.arange(self.presentations), passes)[: self.trials]
        rng = np.random.default_rng(np.random.SeedSequence([seed, crc32(self.name.encode()), block]))
        return np.concatenate([rng.permutation(self.presentations) for _ in range(passes)])[: self.trials]


def _in_order(stages: list[_Stage], repeat: int, seed: int) -> Iterator[Shown]:
    """A probe, a block of trials, a probe, a block, …, a probe; the caller adds the numbers."""
    phases = {stage.name: stage.phases() for stage in stages}
    done = dict.fromkeys(phases, 0)
    for block in range(repeat + 1):
        for stage in stages:
            if stage.name == "trial" and not block:
                continue
            yield from _block(stage, phases[stage.name], block, done[stage.name], seed, len(stages) > 1)
            done[stage.name] += stage.trials


def _block(
    stage: _Stage, phases: tuple[PhasePlan, ...], block: int, first: int, seed: int, probed: bool
) -> Iterator[Shown]:
    """One block of a stage, whose trials are counted from ``first``."""
    order = stage.order(seed, block)
    for start in range(0, stage.trials, stage.batch):
        images = tuple(int(i) for i in order[start : start + stage.batch])
        trials = tuple(range(first + start, first + start + len(images)))
        rest = stage.protocol.reset or (not start and (probed or not first))
        yield Shown(0, stage.name, block, trials, images, phases, rest)


def _probe_ids(stages: list[_Stage]) -> tuple[str, ...]:
    """Stimulus of each image of the probes: those of the trials if these have the same images."""
    if len(stages) == 1:
        return ()
    trials, probes = stages
    shown = [_image_sets(stage) for stage in stages]
    same = shown[0] == shown[1] and trials.presentations == probes.presentations
    return tuple(str(i) if same else f"probe {i}" for i in range(probes.presentations))


def _image_sets(stage: _Stage) -> set[tuple[str, int]]:
    """Population and array of every image set; equal arrays have been merged by the conversion."""
    return {
        (population, given.values.__array_interface__["data"][0])
        for d in stage.drafts
        for population, given in d.plan.drive.items()
        if isinstance(given, Images)
    }


def _wanted(net: Network, protocol: Protocol) -> Wanted:
    record = protocol.record
    for name in record.populations or ():
        look_up("population of Record", name, net.populations)
    own = [p.name for p in net.projections.values() if _has_weights(net, p.name)]
    plastic = [name for name in own if net.projections[name].plasticity is not None]
    weights = plastic if record.weights is True else record.weights
    for name in weights:
        look_up("projection in weights of Record", name, net.projections)
        if name not in own:
            raise DeclarationError(f"Record: {name} has no weights of its own; known: {listed(own)}")
    return Wanted(
        variables=record.variables,
        populations=tuple(n for n in net.populations if n in (record.populations or net.populations)),
        every_ms=record.every_ms,
        phase=protocol.recorded_phase,
        weights=tuple(weights),
        weights_every=record.weights_every,
    )


def _has_weights(net: Network, name: str) -> bool:
    projection = net.projections[name]
    tied = projection.source.tied
    return bool(net.weight_shape(projection)) and not tied
