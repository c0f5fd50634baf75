"""A plan: a protocol as every trial, phase by phase, in checked arrays.

Made by `cortex_sim.protocol.planning`; backends carry it out and do not read the protocol.
All arrays are float64, units flattened in (channel, row, column) order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from cortex_sim.protocol.closed_loop import ClosedLoop
    from cortex_sim.state import State


@dataclass(frozen=True)
class Constant:
    """The same input to a population throughout: values (unit,)."""

    values: np.ndarray


@dataclass(frozen=True)
class Images:
    """One input per presentation: values (presentation, unit)."""

    values: np.ndarray


@dataclass(frozen=True)
class Series:
    """Input that changes in time: values (bin, unit), each held for ``bin_ms``, the last one to the end.

    Where each presentation has its own, values have shape (presentation, bin, unit).
    """

    values: np.ndarray
    bin_ms: float

    @property
    def each(self) -> bool:
        """Whether each presentation has its own."""
        return self.values.ndim == 3

    def bin_at(self, step: int, dt_ms: float) -> int:
        """Bin in which a step of the phase begins."""
        return min(int((step + 1e-9) * dt_ms / self.bin_ms), self.values.shape[-2] - 1)

    def shown(self, bin_: int, images: np.ndarray) -> np.ndarray:
        """Values of one bin, (unit,) or (presentation, unit), for these presentations."""
        return self.values[images, bin_] if self.each else self.values[bin_]


@dataclass(frozen=True)
class White:
    """Gaussian input, independent for every presentation, held for ``hold_ms`` (None: one step).

    ``mixing`` M (unit, unit) turns independent numbers n into correlated M n; None: units are independent.
    """

    mean: float
    sd: float
    hold_ms: float | None
    mixing: np.ndarray | None = None

    def of(self, drawn: np.ndarray) -> np.ndarray:
        """The input made from standard normal numbers (presentation, unit)."""
        return self.mean + self.sd * (drawn if self.mixing is None else drawn @ self.mixing.T)


@dataclass(frozen=True)
class Summed:
    """The sum of several inputs, none of them a sum."""

    parts: tuple[Constant | Images | Series | White, ...]


Input = Constant | Images | Series | White | Summed


def parts_of(given: Input | None) -> tuple[Constant | Images | Series | White, ...]:
    """The inputs that add up to a drive; () without a drive."""
    if given is None:
        return ()
    return given.parts if isinstance(given, Summed) else (given,)


@dataclass(frozen=True)
class Goal:
    """Goal of a nudged population: values (presentation, unit), and the nudge's strength β."""

    values: np.ndarray
    strength: float


@dataclass(frozen=True)
class Gate:
    """Gate of a projection: nothing passes if cut; else its signal is delayed and scaled, and noise added."""

    cut: bool = False
    scale: float = 1.0
    delay_ms: float = 0.0
    noise_sd: float = 0.0


@dataclass(frozen=True)
class Slot:
    """Where a variable of a closed loop acts: ``what`` of ``where``, the ``part``-th of a sum.

    ``what`` is "drive", "drive_credit", "goal", "strength" (of the nudge of a population), "scale" and "cut"
    (of a projection), "silence" and "silence_credit" (of a population or unit), "modulator" or "duration".
    ``sums_to_one``: a goal that must be probabilities. ``units`` is the population's size, ``most`` the
    longest duration in ms.
    """

    loop: str
    variable: str
    what: str
    where: str = ""
    part: int = 0
    sums_to_one: bool = False
    units: int = 0
    most: float = 0.0


@dataclass(frozen=True)
class PlannedLoop:
    """A closed loop, its state before the first trial, and the seed of its generators."""

    loop: ClosedLoop
    state: Mapping[str, np.ndarray]
    seed: int


@dataclass(frozen=True)
class PhasePlan:
    """One phase; populations and projections that are not named are unaffected.

    Attributes
    ----------
    drive : population to input; sets the rate of a source, adds to any other's drive.
    nudge : population to goal.
    spontaneous : population to standard deviation: its rate is white noise, redrawn every step.
    alive : population to (unit,) of 1 (active) and 0 (silenced).
    gates : projection to gate.
    errors_silenced : top-down projections whose error population is silent.
    eta : projection to learning rate in 1/s; only those whose plasticity window is open.
    modulator : value of the global third factor of rules that have one.
    credit_drive : population to input, added to its credit.
    credit_alive : population to (unit,) of 1 and, where its credit is silenced, 0.
    slots : where closed loops act; until they are called, their first values act there.
    """

    name: str
    duration_ms: float
    drive: Mapping[str, Input] = field(default_factory=dict)
    nudge: Mapping[str, Goal] = field(default_factory=dict)
    spontaneous: Mapping[str, float] = field(default_factory=dict)
    alive: Mapping[str, np.ndarray] = field(default_factory=dict)
    gates: Mapping[str, Gate] = field(default_factory=dict)
    errors_silenced: frozenset[str] = frozenset()
    eta: Mapping[str, float] = field(default_factory=dict)
    modulator: float = 1.0
    credit_drive: Mapping[str, Input] = field(default_factory=dict)
    credit_alive: Mapping[str, np.ndarray] = field(default_factory=dict)
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A batch of presentations: one run of the phases.

    ``number`` counts these runs over the whole plan and seeds their noise; ``images`` are the indices
    of the presentations in `Images` and `Goal`, one per presentation of this batch. ``trials`` are counted
    over the blocks of their stage, and blocks from 1; the probe before the first is block 0. Where trials
    differ, each has its own phases; those of one batch share them. ``part`` is the number of the protocol in
    a sequence, ``loops`` names that protocol's closed loops.
    """

    number: int
    stage: str  # "trial" or "probe"
    block: int
    trials: tuple[int, ...]
    images: tuple[int, ...]
    phases: tuple[PhasePlan, ...]
    reset: bool = True
    part: int = 0
    loops: frozenset[str] = frozenset()

    @property
    def duration_ms(self) -> float:
        """Length of one trial."""
        return sum(p.duration_ms for p in self.phases)


@dataclass(frozen=True)
class Wanted:
    """What to record.

    ``variables``, out of "rate", "drive" and "credit", and ``sampled_states`` of rules as
    "pre->post:variable" are sampled together: ``every_ms``, or, where that is None, once at the end of phase
    ``phase``. Weights of the projections in ``weights``, and variables of rules in ``states``, are kept after
    every ``weights_every``-th trial.
    ``bins`` limits the time bins of a trial to those that all trials have.
    """

    variables: tuple[str, ...] = ("rate",)
    populations: tuple[str, ...] = ()
    every_ms: float | None = None
    phase: str = ""
    weights: tuple[str, ...] = ()
    weights_every: int = 1
    states: tuple[str, ...] = ()
    sampled_states: tuple[str, ...] = ()
    bins: int | None = None

    def in_bins(self, sample: int) -> bool:
        """Whether the ``sample``-th sample of a trial, counted from 1, is in a bin that all trials have."""
        return self.bins is None or sample <= self.bins


@dataclass(frozen=True)
class Plan:
    """Everything that happens, in order, and what to record of it."""

    shown: tuple[Shown, ...]
    wanted: Wanted
    stimulus_id: tuple[str, ...]  # by image index
    probe_stimulus_id: tuple[str, ...] = ()  # the same for probes, which have other images
    later: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()  # both, of later protocols of a sequence
    loops: Mapping[str, PlannedLoop] = field(default_factory=dict)  # closed loops by name

    def stimuli(self, shown: Shown) -> tuple[str, ...]:
        """Stimulus of each presentation of one run."""
        own = ((self.stimulus_id, self.probe_stimulus_id), *self.later)[shown.part]
        ids = own[1] if shown.stage == "probe" else own[0]
        return tuple(ids[image] for image in shown.images)

    def different_phases(self, stage: str | None = None) -> list[PhasePlan]:
        """All phases, or those of one stage; a phase that several trials share appears once."""
        chosen = (shown for shown in self.shown if stage in (None, shown.stage))
        return list({id(phase): phase for shown in chosen for phase in shown.phases}.values())

    @property
    def lasting(self) -> list[PhasePlan]:
        """Phases whose length a closed loop sets."""
        return [p for p in self.different_phases() if any(slot.what == "duration" for slot in p.slots)]

    @property
    def plastic(self) -> bool:
        """Whether any plasticity window opens."""
        return any(phase.eta for phase in self.different_phases())


@dataclass(frozen=True)
class Sample:
    """The recorded values of one `Shown`.

    ``values``: variable to population to (presentation, time_bin, unit), one bin where ``every_ms`` is
    None. ``weights``: projection to (post, pre) after the run, where due, and
    "pre->post:variable" to the state of its rule. ``time_ms``: simulated time at its end.
    ``loops``: variables of closed loops by "LOOP:VARIABLE", of a trial. ``states``: state of rules sampled as
    rates are, by "pre->post:variable", (time_bin, ...), which all presentations share. ``shorter_ms``: by how
    much this and all earlier trials together were shorter than planned, where closed loops set durations.
    """

    shown: Shown
    values: Mapping[str, Mapping[str, np.ndarray]]
    weights: Mapping[str, np.ndarray]
    time_ms: float
    loops: Mapping[str, np.ndarray] = field(default_factory=dict)
    states: Mapping[str, np.ndarray] = field(default_factory=dict)
    shorter_ms: float = 0.0


@dataclass(frozen=True)
class Conditions:
    """What a backend receives from an experiment in addition to network and seed.

    The first four concern dynamics in time; a backend that computes equilibria ignores them. ``state`` is the
    state from which the network starts; None draws its weights from the seed.
    """

    dt_ms: float = 1.0
    apical_tau_ms: float | Mapping[str, float] = 10.0
    noise: float | Mapping[str, float] = 0.0
    engine: str = "batched"
    state: State | None = None


class Session(Protocol):
    """A network being simulated, on any backend.

    One that closes loops (``cortex_sim.protocol.loop_running``) has the attribute ``closes_loops = True``.
    """

    def check(self, plan: Plan) -> None:
        """Raise if this session cannot carry out the plan, before anything is written."""

    def carry_out(self, plan: Plan, first: int, keep: Callable[[Sample], None]) -> None:
        """Run ``plan.shown[first:]``; ``keep`` is called after each, when `checkpoint` is valid."""

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that the next trial depends on, by name."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to a `checkpoint`."""

    def attributes(self) -> dict[str, Any]:
        """Provenance of the recording: network, rule, seed, backend, version."""
