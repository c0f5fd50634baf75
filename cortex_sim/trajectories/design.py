"""What a study of rules varies and holds fixed: rules, architectures, seeds, rates, snapshots."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cortex_sim.checks import look_up, require_count, require_positive
from cortex_sim.errors import DataError
from cortex_sim.runs import identity
from cortex_sim.trajectories import statistics
from cortex_sim.trajectories.architectures import ARCHITECTURES, Architecture
from cortex_sim.trajectories.measuring import CONDITIONS, FULL, Condition

RULES = (
    "backprop",
    "gait_prop",
    "sign_symmetric",
    "weight_mirror",
    "kolen_pollack",
    "feedback_alignment",
    "direct_feedback_alignment",
    "tdca",
)
FORMAT = 1  # of a run's file; with another number all runs are repeated


@dataclass(frozen=True)
class Run:
    """One network in training."""

    rule: str
    architecture: Architecture
    seed: int
    rate: float

    @property
    def key(self) -> str:
        """Name of its folder."""
        return f"{self.architecture.name}-{self.rule}-{self.rate:g}-{self.seed}"


@dataclass(frozen=True)
class Design:
    """All combinations of rules, architectures, seeds and rates, and how each is observed.

    Every rule is trained from the same initial weights, on the same batches in the same order, by plain
    stochastic gradient descent at the same rates, with the same decay: what differs is how credit arrives.

    Parameters
    ----------
    rules : sequence of str
        Words of `Network.with_rule`; "tdca" takes the credit network that ships for ten classes.
    architectures : sequence of Architecture
    seeds : sequence of int
        Of initial weights, feedback and the order of presentations.
    rates : sequence of float
        Learning rates, all of them for every rule.
    steps : sequence of int
        Updates after which a snapshot is taken, increasing; 0 is before learning.
    data : str
        A data set of `cortex_sim.data.load`.
    batch_size, probes : int
        Presentations per update; number of test stimuli, the first ones, whose responses and credit are
        observed.
    conditions : sequence of Condition
        The first must be the exact one, `FULL`.
    """

    rules: Sequence[str] = RULES
    architectures: Sequence[Architecture] = ARCHITECTURES
    seeds: Sequence[int] = (0, 1, 2)
    rates: Sequence[float] = (0.015, 0.03, 0.06)
    steps: Sequence[int] = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    data: str = "digits"
    batch_size: int = 32
    probes: int = 64
    conditions: Sequence[Condition] = CONDITIONS

    def __post_init__(self) -> None:
        from cortex_sim.rules.base import WORDS

        for rule in self.rules:
            look_up("rule", rule, WORDS, DataError)
        for name in ("rules", "architectures", "seeds", "rates", "steps"):
            values = [getattr(v, "name", v) for v in getattr(self, name)]
            if not values or len(set(values)) < len(values):
                raise DataError(f"design: {name} must have at least one entry, and none twice. Got {values}")
        if list(self.steps) != sorted(self.steps) or self.steps[0] != 0:
            raise DataError(f"design: steps must increase from 0. Got {list(self.steps)}")
        require_positive("design", **{f"rates[{i}]": rate for i, rate in enumerate(self.rates)})
        require_count("design", batch_size=self.batch_size)
        require_count("design", minimum=2, probes=self.probes)
        if not self.conditions or self.conditions[0] != FULL:
            raise DataError("design: the first condition must be FULL, the exact observation of all units")

    @property
    def runs(self) -> list[Run]:
        """Every run, in the order of work: seed by seed, so that a study cut short is balanced."""
        found = itertools.product(self.seeds, self.architectures, self.rates, self.rules)
        return [Run(rule, architecture, seed, rate) for seed, architecture, rate, rule in found]

    def configuration(self, run: Run) -> dict[str, Any]:
        """Plain data that decides a run's result; data count by their content."""
        return {
            "format": FORMAT,
            "statistics": statistics.names(),
            "data": identity.of_data(self.data),
            "batch_size": self.batch_size,
            "probes": self.probes,
            "steps": list(self.steps),
            "conditions": [asdict(condition) for condition in self.conditions],
            "rule": run.rule,
            "seed": run.seed,
            "rate": run.rate,
            "architecture": {**asdict(run.architecture), "init": repr(run.architecture.init)},
        }

    def replace(self, **changes: Any) -> Design:
        """The design with other settings."""
        return replace(self, **changes)


#: The study: 432 runs.
STUDY = Design()

#: A small version, one minute on one thread, to see the study run; too few runs for conclusions.
SMALL = Design(
    rules=("backprop", "gait_prop", "feedback_alignment", "direct_feedback_alignment"),
    architectures=(ARCHITECTURES[0], ARCHITECTURES[2], ARCHITECTURES[5]),
    seeds=(0,),
    rates=(0.03, 0.06),
    steps=(0, 1, 4, 16, 64, 256),
    conditions=(FULL, CONDITIONS[2], CONDITIONS[6]),
)
