"""Recorder: keeps the samples that a session delivers after every trial, in memory or in chunks on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cortex_sim.errors import RunError
from cortex_sim.recording.layout import ArmLayout, Layout, Rows, flat_shape

if TYPE_CHECKING:
    from cortex_sim.protocol.plan import Sample

CHUNK_SECONDS = 5.0  # what an interruption costs at most, in addition to the running trial
CHUNK_BYTES = 32 * 2**20

State = Callable[[], Mapping[str, np.ndarray]]


class Store(Protocol):
    """Where the chunks of one arm go: `Memory`, or `Parts` on disk."""

    done: int

    def add(self, rows: Rows, state: Mapping[str, np.ndarray], done: int) -> None:
        """Keep a chunk; after it, ``done`` of the plan's `Shown` are kept."""

    def read(self, names: list[str]) -> Iterator[Rows]:
        """Those variables, chunk by chunk."""

    def lengths(self, name: str) -> int:
        """Rows of a variable in all chunks."""


class Memory:
    """Chunks of one arm, in memory; the state is not needed and not kept."""

    def __init__(self) -> None:
        self.chunks: list[Rows] = []
        self.done = 0

    def add(self, rows: Rows, state: Mapping[str, np.ndarray], done: int) -> None:
        """Keep a chunk."""
        self.chunks.append(rows)
        self.done = done

    def read(self, names: list[str]) -> Iterator[Rows]:
        """Those variables, chunk by chunk."""
        for rows in self.chunks:
            yield {name: rows[name] for name in names if name in rows}

    def lengths(self, name: str) -> int:
        """Rows of a variable in all chunks."""
        return sum(len(rows[name]) for rows in self.chunks if name in rows)


class Recorder:
    """Keeps the samples of one arm; `keep` is what a session calls after every trial.

    Parameters
    ----------
    layout : Layout
        Of the whole recording.
    arm : ArmLayout
        Of this arm.
    store : Store
        Where chunks go; chunks that it already holds are kept.
    state : callable
        Function that returns the session's state, called when a chunk is full.
    """

    def __init__(self, layout: Layout, arm: ArmLayout, store: Store, state: State) -> None:
        self._layout, self._arm, self._store, self._session_state = layout, arm, store, state
        counts = [len(s.trials) if s.stage == "trial" else 0 for s in arm.plan.shown]
        self._trials = np.cumsum(counts)
        # From the plan, not from the session's clock, which starts again where a run is resumed.
        self._time_ms = np.cumsum([shown.duration_ms for shown in arm.plan.shown])
        self._rows: list[Rows] = []
        self._bytes = 0
        self._began = time.monotonic()
        self.done = store.done
        if self.done == 0 and arm.starts:
            self._take(self._snapshot(arm.initial, 0.0, 0))

    def keep(self, sample: Sample) -> None:
        """Take one sample; a full chunk is written."""
        expected = self._arm.plan.shown[self.done]
        if sample.shown.number != expected.number:
            raise RunError(
                f"arm {self._arm.arm}: sample {sample.shown.number} arrived where {expected.number} was "
                f"expected"
            )
        rows = {name: self._values(sample, name) for name in self._layout.variables}
        rows |= {name: self._state(sample, name) for name in self._layout.sampled_states}
        rows |= {name: _of_loop(sample, name, shape) for name, shape in self._layout.loops.items()}
        if sample.weights:
            time_ms = self._time_ms[self.done] - sample.shorter_ms
            rows |= self._snapshot(sample.weights, time_ms, int(self._trials[self.done]))
        self.done += 1
        self._take(rows)
        if self._bytes > CHUNK_BYTES or time.monotonic() - self._began > CHUNK_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has been kept since the last chunk; call it at the end."""
        if self.done > self._store.done:
            self._store.add(joined(self._rows), self._session_state(), self.done)
            self._rows, self._bytes = [], 0
        self._began = time.monotonic()

    def _take(self, rows: Rows) -> None:
        self._rows.append(rows)
        self._bytes += sum(array.nbytes for array in rows.values())

    def _values(self, sample: Sample, variable: str) -> np.ndarray:
        """(presentation, neuroid[, time_bin]); 0 where a population receives no credit."""
        count = len(sample.shown.trials)
        bins = 1 if self._arm.bins is None else len(self._arm.bins[0])
        parts = []
        for name in self._arm.populations:
            units = self._arm.net.every_population[name].size
            given = sample.values.get(variable, {}).get(name)
            if given is None and variable != "credit":
                raise RunError(
                    f"arm {self._arm.arm}: the backend gave no {variable} of {name}, which is to be recorded"
                )
            values = np.zeros((count, bins, units)) if given is None else np.asarray(given)
            if values.shape != (count, bins, units):
                raise RunError(
                    f"arm {self._arm.arm}: {variable} of {name} has shape {values.shape}, but the protocol "
                    f"records {count} presentations, {bins} time bins and {units} units"
                )
            self._require_finite(values, f"{variable} of {name}", sample.shown.trials)
            parts.append(values.transpose(0, 2, 1))
        whole = np.concatenate(parts, axis=1)
        return whole[:, :, 0] if self._arm.bins is None else whole

    def _state(self, sample: Sample, name: str) -> np.ndarray:
        """A rule's state as sampled with the rates, (presentation, ...[, time_bin])."""
        shape = self._layout.shape(name)
        if name not in sample.states:
            raise RunError(f"arm {self._arm.arm}: the backend gave no {name}, which is to be recorded")
        values = np.moveaxis(np.asarray(sample.states[name], dtype=float), 0, -1)
        values = values[..., 0] if self._arm.bins is None else values
        if values.shape != shape:
            raise RunError(
                f"arm {self._arm.arm}: {name} has shape {values.shape}, but the protocol records {shape}"
            )
        self._require_finite(values, f"the state {name}", sample.shown.trials)
        return np.repeat(values[None], len(sample.shown.trials), axis=0)

    def _snapshot(self, weights: Mapping[str, np.ndarray], time_ms: float, trials: int) -> Rows:
        rows = {"snapshot_ms": np.asarray([float(time_ms)]), "snapshot_trial": np.asarray([trials])}
        for name, variable in self._layout.weights.items():
            if name not in weights:
                raise RunError(
                    f"arm {self._arm.arm}: the backend gave no weights of {name}, which are to be recorded"
                )
            values = np.asarray(weights[name])
            self._require_finite(values, f"the weights of {name}", (trials,))
            rows[variable] = values.reshape(1, *flat_shape(self._arm.net, name))
        for name, variable in self._layout.states.items():
            if name not in weights:
                raise RunError(
                    f"arm {self._arm.arm}: the backend gave no state {name}, which is to be recorded"
                )
            values = np.asarray(weights[name], dtype=float)
            self._require_finite(values, f"the state {name}", (trials,))
            rows[variable] = values.reshape(1, *self._layout.shape(variable))
        return rows

    def _require_finite(self, values: np.ndarray, what: str, trials: tuple[int, ...]) -> None:
        if not np.isfinite(values).all():
            raise RunError(
                f"arm {self._arm.arm}: {what} became infinite or NaN in trial {trials[0]}; lower the "
                "learning rate or the gain of what drives it"
            )


def _of_loop(sample: Sample, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """(presentation, *shape); NaN in probes and in arms that have no such loop."""
    return np.full((len(sample.shown.trials), *shape), sample.loops.get(name, np.nan), dtype=np.float64)


def joined(chunks: Sequence[Rows]) -> dict[str, np.ndarray]:
    """Chunks concatenated, each variable where it occurs."""
    names = dict.fromkeys(name for rows in chunks for name in rows)
    return {name: np.concatenate([rows[name] for rows in chunks if name in rows]) for name in names}
