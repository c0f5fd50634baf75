"""The layout of a recording: presentations, neuroids, time bins, snapshots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cortex_sim.checks import listed
from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.protocol.loop_running import recorded_variables
from cortex_sim.protocol.time_bins import time_bins
from cortex_sim.recording.making import MEANING, places

if TYPE_CHECKING:
    from cortex_sim.protocol.plan import Plan

Rows = Mapping[str, np.ndarray]  # variable to values, presentations or snapshots first

_TIME = {
    "snapshot_ms": "simulated time of the snapshot",
    "time_bin_start": "start of the time bin within the trial",
    "time_bin_end": "end of the time bin within the trial",
}
_LOOP = "variable of a closed loop: as it acted in the trial, or, if it does not act, after the trial"
_COUNTS = {"snapshot_trial": "trials before the snapshot; 0: initial weights"}

_TYPES = {
    **dict.fromkeys(("repetition", "trial", "block", "protocol", "snapshot_trial"), np.int64),
    **dict.fromkeys(("stimulus_id", "arm", "stage", "snapshot_arm"), np.str_),
}


@dataclass(frozen=True)
class ArmLayout:
    """What one arm records, and the position of each row.

    Parameters
    ----------
    arm : str
    net : Network
    plan : Plan
    initial : mapping
        Weights before the first trial, (post, pre) by projection, and the state of rules. They become a
        first snapshot if everything that is recorded in snapshots is among them.
    """

    arm: str
    net: Network
    plan: Plan
    initial: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def populations(self) -> tuple[str, ...]:
        """Recorded populations; all of them unless the plan names some."""
        return tuple(self.plan.wanted.populations) or tuple(self.net.populations)

    @property
    def starts(self) -> bool:
        """Whether a snapshot of the initial weights comes first."""
        wanted = (*self.plan.wanted.weights, *self.plan.wanted.states)
        return bool(wanted) and all(name in self.initial for name in wanted)

    @cached_property
    def loops(self) -> dict[str, tuple[int, ...]]:
        """Recorded variables of closed loops, "LOOP:VARIABLE", and their shapes."""
        return {
            f"{name}:{variable}": one.state[variable].shape
            for name, one in self.plan.loops.items()
            for variable in recorded_variables(one)
        }

    @cached_property
    def bins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Start, end and phase of the time bins; None where there is one value per presentation.

        A protocol whose probes have time bins has phases of the same lengths in trials and probes; where
        trials differ in length, the bins are those that all trials have.
        """
        every = self.plan.wanted.every_ms
        return None if every is None else time_bins(self.plan.shown[0], every, self.plan.wanted.bins)

    @cached_property
    def presentations(self) -> dict[str, np.ndarray]:
        """Coordinates of every presentation of the arm, in the order in which they are shown."""
        seen: Counter[tuple[str, str]] = Counter()
        rows = []
        for shown in self.plan.shown:
            for trial, stimulus in zip(shown.trials, self.plan.stimuli(shown), strict=True):
                count = seen[shown.stage, stimulus]
                rows.append((stimulus, count, trial, shown.block, shown.stage, shown.part))
                seen[shown.stage, stimulus] += 1
        stimulus_id, repetition, trials, blocks, stages, protocols = zip(*rows, strict=True)
        return {
            "stimulus_id": np.asarray(stimulus_id, dtype=str),
            "repetition": np.asarray(repetition),
            "arm": np.asarray([self.arm] * len(rows), dtype=str),
            "trial": np.asarray(trials),
            "block": np.asarray(blocks),
            "stage": np.asarray(stages, dtype=str),
            "protocol": np.asarray(protocols),
        }


@dataclass(frozen=True)
class Layout:
    """One Dataset for all arms, one after another.

    Raises
    ------
    RunError
        If the arms cannot share one, because their neuroids, time bins, variables or recorded weights differ.
    """

    arms: tuple[ArmLayout, ...]

    def __post_init__(self) -> None:
        first = self.arms[0]
        for other in self.arms[1:]:
            for what, of in _SHARED.items():
                ours, theirs = of(first), of(other)
                if ours != theirs:
                    raise RunError(
                        f"arms {first.arm} and {other.arm} cannot share a recording: {what} differ, "
                        f"{_summary(ours)} and {_summary(theirs)}; record the same in every arm, or run them "
                        f"into separate files (arms=[{other.arm!r}], --arm {other.arm})"
                    )
            for name in first.loops.keys() & other.loops.keys():
                if first.loops[name] != other.loops[name]:
                    raise RunError(
                        f"arms {first.arm} and {other.arm} cannot share a recording: {name} of their closed "
                        f"loops has shape {first.loops[name]} and {other.loops[name]}; give one of the loops "
                        "another name=..."
                    )

    @property
    def variables(self) -> tuple[str, ...]:
        """Recorded variables of neuroids."""
        return tuple(self.arms[0].plan.wanted.variables)

    @property
    def sampled_states(self) -> tuple[str, ...]:
        """Variables of rules that are sampled as rates are, as "pre->post:variable"."""
        return tuple(self.arms[0].plan.wanted.sampled_states)

    @property
    def sampled(self) -> list[str]:
        """Names of everything that a sample holds."""
        return [*self.variables, *self.sampled_states, *self.loops]

    @property
    def weights(self) -> dict[str, str]:
        """Variable of each recorded projection."""
        return {name: f"weight:{name}" for name in self.arms[0].plan.wanted.weights}

    @cached_property
    def loops(self) -> dict[str, tuple[int, ...]]:
        """Recorded variables of the closed loops of all arms, and their shapes."""
        return {name: shape for arm in self.arms for name, shape in arm.loops.items()}

    @property
    def states(self) -> dict[str, str]:
        """Variable of each recorded state of a rule, by "pre->post:variable"."""
        return {name: f"state:{name}" for name in self.arms[0].plan.wanted.states}

    @property
    def snapshots(self) -> dict[str, str]:
        """Variables of everything that snapshots hold."""
        return self.weights | self.states

    def by_presentation(self) -> list[str]:
        """Names of everything that has one row per presentation."""
        own = ["stimulus_id", "repetition", "arm", "trial", "block", "stage"]
        sequence = ["protocol"] if any(arm.plan.later for arm in self.arms) else []
        return [*self.sampled, *own, *sequence]

    def by_snapshot(self) -> list[str]:
        """Names of everything that has one row per snapshot; none where there are none."""
        if not self.snapshots:
            return []
        return [*self.snapshots.values(), "snapshot_ms", "snapshot_trial", "snapshot_arm"]

    def shape(self, variable: str) -> tuple[int, ...]:
        """Shape of one row of a variable."""
        first = self.arms[0]
        if variable.startswith("weight:"):
            return flat_shape(first.net, variable.removeprefix("weight:"))
        if variable.startswith("state:"):
            return tuple(length for _, length in state_axes(first.net, variable.removeprefix("state:")))
        bins = () if first.bins is None else (len(first.bins[0]),)
        if variable in self.sampled_states:
            return (*(length for _, length in state_axes(first.net, variable)), *bins)
        if variable not in self.variables:
            return self.loops.get(variable, ())
        every = first.net.every_population
        return (sum(every[name].size for name in first.populations), *bins)

    def empty(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Empty arrays of these variables, with the types that rows will have."""
        return {name: np.zeros((0, *self.shape(name)), dtype=_TYPES.get(name, np.float64)) for name in names}

    def dataset(self, rows: Rows, attributes: Mapping[str, Any]) -> xr.Dataset:
        """Rows of presentations and snapshots, with the names, units and coordinates of everything."""
        first = self.arms[0]
        bins = () if first.bins is None else ("time_bin",)
        data: dict[str, Any] = {}
        for name in self.variables:
            dims = ("presentation", "neuroid", *bins)
            data[name] = (dims, rows[name], {"units": "1", "long_name": MEANING[name]})
        for name in self.sampled_states:
            dims = ("presentation", *(axis for axis, _ in state_axes(first.net, name)), *bins)
            data[name] = (dims, rows[name], _state_labels(name))
        for name, variable in self.weights.items():
            kernel = first.net.weight_shape(first.net.projections[name])
            labels: dict[str, Any] = {"units": "1", "long_name": f"weights of {name}"}
            if len(kernel) != 2:
                labels["shape"] = list(kernel)
            if (groups := first.net.operator(first.net.projections[name]).groups) > 1:
                labels["groups"] = groups
            data[variable] = (("snapshot", f"post:{name}", f"pre:{name}"), rows[variable], labels)
        for name, shape in self.loops.items():
            if shape:  # a number per trial is a coordinate
                axes = [f"{name}:{axis}" for axis in range(len(shape))]
                data[name] = (("presentation", *axes), rows[name], {"units": "1", "long_name": _LOOP})
        for name, variable in self.states.items():
            axes = [axis for axis, _ in state_axes(first.net, name)]
            data[variable] = (("snapshot", *axes), rows[variable], _state_labels(name))
        coordinates = {
            name: ("presentation", rows[name]) for name in self.by_presentation() if name not in data
        } | places(first.net, first.populations)
        for name in self.by_snapshot():
            if name not in data:
                coordinates[name] = ("snapshot", rows[name])
        if first.bins is not None:
            named = zip(("time_bin_start", "time_bin_end", "phase"), first.bins, strict=True)
            coordinates |= {name: ("time_bin", values) for name, values in named}
        made = xr.Dataset(data, coordinates, dict(attributes))
        for name, meaning in (_TIME | _COUNTS | dict.fromkeys(self.loops, _LOOP)).items():
            if name in made.coords:
                made[name].attrs = {"units": "ms" if name in _TIME else "1", "long_name": meaning}
        return made


def flat_shape(net: Network, projection: str) -> tuple[int, int]:
    """Shape (post, pre) of recorded weights; for a kernel (channels out, channels in × rows × columns)."""
    shape = net.weight_shape(net.projections[projection])
    return shape[0], math.prod(shape[1:])


def state_axes(net: Network, name: str) -> list[tuple[str, int]]:
    """Axes of a rule's state "pre->post:variable", and their lengths: post, pre, both or neither."""
    projection, _, variable = name.rpartition(":")
    p = net.projections[projection]
    op, template = net.operator(p), np.empty(net.weight_shape(p))
    post, pre = (op.feedback_matrix(template) if p.is_top_down else op.matrix(template)).shape
    axes = {"post": (f"post:{projection}", post), "pre": (f"pre:{projection}", pre)}
    kept = {"PerPost": ("post",), "PerPre": ("pre",), "PerSynapse": ("post", "pre"), "Global": ()}
    return [axes[side] for side in kept[type(p.rule.state[variable]).__name__]]


def _state_labels(name: str) -> dict[str, str]:
    projection, _, called = name.rpartition(":")
    return {"units": "1", "long_name": f"{called} of the rule of {projection}"}


def _neuroids(arm: ArmLayout) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, arm.net.every_population[name].shape) for name in arm.populations]


def _bins(arm: ArmLayout) -> list[tuple[float, float, str]]:
    return [] if arm.bins is None else list(zip(*(of.tolist() for of in arm.bins), strict=True))


def _weights(arm: ArmLayout) -> dict[str, tuple[int, ...]]:
    net = arm.net
    return {name: net.weight_shape(net.projections[name]) for name in sorted(arm.plan.wanted.weights)}


_SHARED = {
    "populations": _neuroids,
    "variables": lambda arm: sorted(arm.plan.wanted.variables),
    "sampled states": lambda arm: {n: state_axes(arm.net, n) for n in sorted(arm.plan.wanted.sampled_states)},
    "time bins": _bins,
    "recorded weights": _weights,
    "recorded states": lambda arm: {n: state_axes(arm.net, n) for n in sorted(arm.plan.wanted.states)},
}


def _summary(value: Any) -> str:
    if isinstance(value, dict):
        return listed(value)
    if isinstance(value, Sequence) and len(value) > 4:
        return f"{len(value)} of them ({value[0]} to {value[-1]})"
    return str(value)
