"""One stage of a protocol, its trials or its probes: how many, in which order, and the phases of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from logging import getLogger
from typing import Any
from zlib import crc32

import numpy as np

from cortex_sim.checks import counted
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.protocol.input_planning import Arrays
from cortex_sim.protocol.loop_planning import opened
from cortex_sim.protocol.per_trial import ABSENT, Differing, FromTrial, PerTrial, in_effect, resolved
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.phase_planning import Draft, draft, lengths, lesion_of
from cortex_sim.protocol.plan import PhasePlan, PlannedLoop
from cortex_sim.protocol.protocol import DEFAULT_ETA, INTERVAL, Protocol

#: Default batch size if nothing is learned.
SIDE_BY_SIDE = 256

Key = tuple[Any, ...]

_log = getLogger(__name__)


@dataclass
class Schedule:
    """Trials or probes of a protocol; its phases are checked once for each combination of settings.

    Parameters
    ----------
    name : {"trial", "probe"}
    protocol : Protocol
    net : Network
    arrays : Arrays
    loops : mapping of str to PlannedLoop
        Closed loops by name; with any, trials run one at a time.
    part : int
        Its position in a sequence of protocols.
    """

    name: str
    protocol: Protocol
    net: Network
    arrays: Arrays
    loops: Mapping[str, PlannedLoop] = field(default_factory=dict)
    part: int = 0
    _known: dict[Key, tuple[PhasePlan, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = self.protocol
        self._differing = [*_differing(own), *(found for p in own.phases for found in _differing(p))]
        self._check_lengths()

    @cached_property
    def presentations(self) -> int:
        """Number of presentations to choose from; 1 if no array has one entry for each."""
        found: dict[str, set[int]] = {}
        for phase in self.protocol.phases:
            found |= lengths(self.net, phase, self.arrays)
        different = {n for numbers in found.values() for n in numbers}
        if len(different) > 1:
            counts = ", ".join(f"{what} {' and '.join(map(str, sorted(n)))}" for what, n in found.items())
            raise DeclarationError(
                f"{self.name}s: all images and labels of a protocol must have the same number of "
                f"presentations. Got {counts}"
            )
        return next(iter(different), 1)

    @cached_property
    def trials(self) -> int:
        """Trials in a block: each image once, or one for each value that differs between trials."""
        if self.protocol.trials:
            return self.protocol.trials
        if self.presentations > 1:
            return self.presentations
        listed = [len(d.values) for _, d in self._differing if isinstance(d, PerTrial) and d.by == "trial"]
        return max(listed, default=1)

    @property
    def batch(self) -> int:
        """Presentations in parallel, at most."""
        if self.protocol.batch is not None:
            return min(self.protocol.batch, self.trials)
        alone = self.protocol.plastic or not self.protocol.reset or self.loops
        return 1 if alone else min(SIDE_BY_SIDE, self.trials)

    def _check_lengths(self) -> None:
        whole = self.trials * self.protocol.repeat
        for what, found in self._differing:
            if not isinstance(found, PerTrial):
                self._say_what_never_comes(what, found, whole)
                continue
            count = len(found.values)
            if found.by == "image" and count != self.presentations:
                raise DeclarationError(
                    f"{self.name}s: {what} has {counted(count, 'value')}, one per image, for "
                    f"{counted(self.presentations, 'image')}; give {counted(self.presentations, 'value')}"
                )
            if found.by == "trial" and count not in (self.trials, whole):
                blocks = f", {self.protocol.repeat} blocks {whole}" if self.protocol.repeat > 1 else ""
                right = counted(self.trials, "value") + (f", or {whole}" if blocks else "")
                raise DeclarationError(
                    f"{self.name}s: {what} has {counted(count, 'value')}, but a block has "
                    f"{counted(self.trials, 'trial')}{blocks}; give {right}, or trials={count}"
                )

    def _say_what_never_comes(self, what: str, found: FromTrial, whole: int) -> None:
        """Warn of a trial that the protocol does not reach; no error, since it may have been shortened."""
        last = max(found.values)
        if last >= whole + (self.protocol.probe is not None):
            _log.warning(
                "%ss: %s changes from trial %d on, which is never reached: the protocol has %d trials, 0 to "
                "%d; give an earlier trial, or more trials",
                self.name,
                what,
                last,
                whole,
                whole - 1,
            )

    def order(self, seed: int, block: int) -> np.ndarray:
        """Image of each trial of a block.

        A block with fewer trials than images continues where the one before ended; any other starts over, and
        so does every probe.
        """
        if self.name == "probe" or self.trials >= self.presentations:
            return self._passes(seed, block, -(-self.trials // self.presentations))[: self.trials]
        positions = (block - 1) * self.trials + np.arange(self.trials)
        first = positions[0] // self.presentations
        passes = [self._passes(seed, first + k + 1, 1) for k in range(2)]
        return np.concatenate(passes)[positions - first * self.presentations]

    def _passes(self, seed: int, number: int, count: int) -> np.ndarray:
        """Images in ``count`` passes through all of them; ``number`` seeds the shuffled ones."""
        if self.protocol.order == "given":
            return np.tile(np.arange(self.presentations), count)
        later = [self.part] if self.part else []
        seeds = np.random.SeedSequence([seed, crc32(self.name.encode()), number, *later])
        rng = np.random.default_rng(seeds)
        return np.concatenate([rng.permutation(self.presentations) for _ in range(count)])

    def key(self, trial: int, image: int, lesion: tuple[str, ...]) -> Key:
        """Equal for trials with equal phases."""
        return (lesion, *(_comparable(found.at(trial, image)) for _, found in self._differing))

    def difference(self, one: Key, other: Key) -> str:
        """What differs between trials with these keys, for a message."""
        named = ["lesion", *(what for what, _ in self._differing)]
        return next(what for what, a, b in zip(named, one, other, strict=True) if a != b)

    @property
    def drafted(self) -> Iterable[tuple[PhasePlan, ...]]:
        """All different phases so far."""
        return self._known.values()

    def phases(
        self, trial: int, image: int, lesion: tuple[str, ...], eta_per_s: Any
    ) -> tuple[PhasePlan, ...]:
        """The phases of one trial, checked."""
        key = self.key(trial, image, lesion)
        if key not in self._known:
            eta = resolved(eta_per_s, trial, image)
            drafts = self._drafts(trial, image, lesion, DEFAULT_ETA if eta is ABSENT else eta)
            self._known[key] = tuple(replace(d.plan, nudge=d.nudges(self.presentations)) for d in drafts)
        return self._known[key]

    def _drafts(self, trial: int, image: int, lesion: tuple[str, ...], eta_per_s: Any) -> Iterator[Draft]:
        absent = lesion_of(self.net, lesion)
        for phase in self.protocol.phases:
            filled, slots = opened(self.net, phase.at(trial, image), self.loops)
            made = draft(self.net, filled, absent, eta_per_s, self.arrays)
            yield replace(made, plan=replace(made.plan, slots=slots))
        pause = resolved(self.protocol.interval_ms, trial, image)
        if pause is not ABSENT and pause:
            yield draft(self.net, Phase(INTERVAL, pause), absent, eta_per_s, self.arrays)


def _differing(owner: Phase | Protocol) -> Iterator[tuple[str, Differing]]:
    """Settings of a phase or protocol that differ between trials, with their names in messages."""
    of = f" of phase {owner.name}" if isinstance(owner, Phase) else ""
    for f in fields(owner):
        if f.name not in ("phases", "probe", "record"):
            for found in in_effect(getattr(owner, f.name)):
                yield f"{f.name}{of}", found


def _comparable(value: Any) -> Any:
    """A value for comparison; an array, or what holds one, by its identity."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value).__name__, value
