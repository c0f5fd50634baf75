"""Stimuli presented to a network in time, as rate dynamics on brian2: settled rates, or their time course."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.checks import look_up, require_known
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.planning import plan
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.record import Record
from cortex_sim.protocol.values import above_zero
from cortex_sim.responding.candidates import Candidate

if TYPE_CHECKING:
    from cortex_sim.backends.brian2 import Simulation

PHASE = "present"
_BATCH_BYTES = 2**26
Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class InTime:
    """How stimuli are presented in time: each from rest, held, with nothing learned.

    Parameters
    ----------
    present_ms : float
        How long each stimulus is presented. Rates are those at the end: settled, if that is many times the
        sum of all populations' time constants.
    every_ms : float, optional
        Length of time bins; the value in a bin is the value at its end. None keeps only the last value.
    dt_ms : float, default 1.0
        Time step.
    """

    present_ms: float
    every_ms: float | None = None
    dt_ms: float = 1.0

    def __post_init__(self) -> None:
        for name in ("present_ms", "every_ms", "dt_ms"):
            given = getattr(self, name)
            if given is not None or name != "every_ms":
                object.__setattr__(self, name, above_zero("InTime", name, given))


class Presenter:
    """A candidate built on brian2 and presented with stimuli batch by batch.

    Parameters
    ----------
    candidate : Candidate
    populations, variables : sequence of str
        What is recorded; the populations in the network's order.
    timing : InTime
    batch : int, optional
        Presentations side by side; by default as many as fill 64 MiB with recorded values, at most 64.

    Raises
    ------
    DataError, DeclarationError, RunError
        If these cannot be recorded, or durations are not multiples of the time step.
    """

    def __init__(
        self,
        candidate: Candidate,
        populations: Sequence[str] | None,
        variables: Sequence[str] | None,
        timing: InTime,
        batch: int | None,
    ) -> None:
        from cortex_sim import brian2
        from cortex_sim.protocol.time_bins import time_bins

        self.candidate, self.timing = candidate, timing
        self.variables = _variables(variables)
        self.populations = _populations(candidate, populations)
        self.simulation: Simulation = brian2.build(
            candidate.net, candidate.seed, dt_ms=timing.dt_ms, state=candidate.state
        )
        tried = plan(
            self._protocol(np.zeros((1, *candidate.shape), np.float32)), candidate.net, candidate.seed
        )
        self.simulation.check(tried)
        self.bins = None if timing.every_ms is None else time_bins(tried.shown[0], timing.every_ms)
        self.batch = self._fitting() if batch is None else batch

    def _fitting(self) -> int:
        bins = 1 if self.bins is None else len(self.bins[0])
        neuroids = sum(self.candidate.net.populations[name].size for name in self.populations)
        return int(max(1, min(64, _BATCH_BYTES // (8 * neuroids * bins * len(self.variables)))))

    def _protocol(self, x: np.ndarray) -> Protocol:
        shown = Phase(PHASE, self.timing.present_ms, drive={self.candidate.stimulated: x})
        record = Record(self.variables, self.populations, every_ms=self.timing.every_ms)
        return Protocol(shown, batch=len(x), record=record)

    def coordinates(self) -> dict[str, Any]:
        """Coordinates of time bins; none where every presentation has one value."""
        if self.bins is None:
            return {}
        start, end, phase = self.bins
        return {
            "time_bin_start": ("time_bin", start, {"units": "ms", "long_name": "start of the time bin"}),
            "time_bin_end": ("time_bin", end, {"units": "ms", "long_name": "end of the time bin"}),
            "phase": ("time_bin", phase),
        }

    def attributes(self) -> dict[str, Any]:
        """Provenance of the recording."""
        bins = {} if self.timing.every_ms is None else {"every_ms": self.timing.every_ms}
        return {**self.simulation.attributes(), "present_ms": self.timing.present_ms, **bins}

    def batches(self, stimuli: StimulusSet) -> Iterator[Rows]:
        """Every batch's values, (presentation, neuroid[, time_bin]) by variable."""
        for first in range(0, len(stimuli), self.batch):
            x, _ = stimuli.batch(np.arange(first, min(first + self.batch, len(stimuli))))
            recorded = self.simulation.run(self._protocol(x))
            yield {variable: recorded[variable].values for variable in self.variables}


def _variables(given: Sequence[str] | None) -> tuple[str, ...]:
    names = ["rate", "drive"] if given is None else [given] if isinstance(given, str) else list(given)
    for name in names:
        require_known("variable", name, dict.fromkeys(("rate", "drive", "credit")), DataError)
    if "credit" in names:
        raise DataError(
            "respond: in time a stimulus alone causes no credit; record it with a protocol that nudges "
            "(simulate), or at equilibrium (--backend torch)"
        )
    return tuple(dict.fromkeys(["rate", *names]))


def _populations(candidate: Candidate, given: Sequence[str] | None) -> tuple[str, ...]:
    known = candidate.net.populations
    names = list(known) if given is None else [given] if isinstance(given, str) else list(given)
    chosen = {look_up("population", name, known, DataError).name for name in names}
    if not chosen:
        raise DataError(f"respond: name at least one population of {', '.join(known)}")
    return tuple(name for name in known if name in chosen)
