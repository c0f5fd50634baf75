"""Settings of outer loops over non-convex functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from cortex_sim.checks import require_count, require_known, require_positive
from cortex_sim.errors import RunError
from cortex_sim.registry import make, register, to_data
from cortex_sim.runs.files import write_tensors
from cortex_sim.tdca.evolving.kinds import KIND, Report, content
from cortex_sim.tdca.functions import first_order, zero_order  # noqa: F401 - their names are registered
from cortex_sim.tdca.functions.families import family
from cortex_sim.tdca.functions.problem import FunctionRuns
from cortex_sim.tdca.functions.testing import course, starts, tested_tasks
from cortex_sim.tdca.outer import evolution  # noqa: F401 - likewise

TRAINED = ["sphere", "rosenbrock", "rastrigin", "levy", "styblinski_tang", "himmelblau"]
NEVER_SEEN = ["ackley", "griewank", "schwefel", "beale"]


@dataclass(frozen=True)
class FunctionTesting:
    """What a finished outer loop is tested on.

    Parameters
    ----------
    dimensions : list of int
        Numbers of variables.
    tasks : int
        Tasks for each family and number of variables, the same for every rule and seed.
    controls : list of str
        Controls of the rule, each tested like the rule itself.
    """

    dimensions: list[int] = field(default_factory=lambda: [2, 10, 30])
    tasks: int = 32
    controls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        _require_dimensions("testing", self.dimensions)
        require_count("testing", tasks=self.tasks)
        if not isinstance(self.controls, list):
            raise RunError(f"setting controls of testing must be a list. Got {self.controls!r}")


@register(KIND, "functions")
@dataclass(frozen=True)
class FunctionSettings:
    """All settings of an outer loop whose inner runs minimise functions.

    Parameters
    ----------
    rule : dict
        first_order or zero_order, and its settings.
    families : list of str
        Families to train on, see `cortex_sim.tdca.functions.families`.
    never_seen : list of str
        Families that are only tested.
    dimensions : list of int
        Numbers of variables to train on; every outer update has tasks of each.
    tasks : int
        Tasks in an outer update for each family and number of variables.
    evaluations : int
        Evaluations of a function in an inner run; for first_order, of value and gradient together.
    floor : float
        All values below this, in units of the median over the box, count as equally good in the outer loop.
    searcher : dict
        pgpe, snes or cma_es, and its settings.
    iterations : int
        Outer updates.
    testing : dict
        See `FunctionTesting`.
    seed : int
        Seed of outer parameters, members and tasks.
    checkpoint_every : int
        Outer updates between checkpoints.
    """

    choices: ClassVar[tuple[str, ...]] = ("rule", "searcher")

    rule: dict[str, Any] = field(default_factory=lambda: {"name": "first_order"})
    families: list[str] = field(default_factory=lambda: list(TRAINED))
    never_seen: list[str] = field(default_factory=lambda: list(NEVER_SEEN))
    dimensions: list[int] = field(default_factory=lambda: [2, 10])
    tasks: int = 2
    evaluations: int = 400
    floor: float = 1e-4
    searcher: dict[str, Any] = field(default_factory=lambda: {"name": "pgpe", "members": 16, "sigma": 0.05})
    iterations: int = 100
    testing: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    checkpoint_every: int = 25

    def __post_init__(self) -> None:
        owner = "evolve"
        require_count(owner, tasks=self.tasks, iterations=self.iterations, evaluations=self.evaluations)
        require_count(owner, checkpoint_every=self.checkpoint_every)
        require_positive(owner, floor=self.floor)
        require_count(owner, minimum=0, seed=self.seed)
        _require_dimensions(owner, self.dimensions)
        for name in ("rule", "searcher", "testing"):
            if not isinstance(getattr(self, name), dict):
                raise RunError(f"setting {name} must be a mapping, name: value. Got {getattr(self, name)!r}")
        for name in ("families", "never_seen"):
            if not isinstance(getattr(self, name), list):
                raise RunError(f"setting {name} must be a list. Got {getattr(self, name)!r}")
        if not self.families:
            raise RunError("setting families is empty; give at least one, such as sphere")
        both = sorted(set(self.families) & set(self.never_seen))
        if both:
            raise RunError(f"setting never_seen: {both[0]} is also in families; leave it out of one of them")
        known = dict.fromkeys(f.name for f in fields(FunctionTesting))
        for setting in self.testing:
            require_known("setting of testing", setting, known, RunError)
        self.tests()

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain data, in order."""
        return content(self)

    def described(self) -> dict[str, Any]:
        """Rule and searcher with all their settings."""
        rule, search = to_data("function_rule", self.inner_rule()), to_data("searcher", self.search())
        return {"rule": rule, "searcher": search}

    def sources(self) -> list[str]:
        """None: functions are drawn, not read."""
        return []

    def inner_rule(self) -> Any:
        """The rule of the inner runs."""
        return make("function_rule", self.rule)

    def search(self) -> Any:
        """The searcher."""
        return make("searcher", self.searcher)

    def tests(self) -> FunctionTesting:
        """What is tested at the end."""
        return FunctionTesting(**self.testing)

    def problem(self, data_dir: Path | None) -> tuple[FunctionRuns, Tensor]:
        """Inner runs on the families to train on, and the rule's parameters before training."""
        if self.search().serves != "fitness":
            raise RunError(
                f"setting searcher: {self.searcher['name']} needs inner runs that persist from window to "
                "window, but those on functions are whole; choose pgpe, snes or cma_es"
            )
        rule = self.inner_rule()
        runs = FunctionRuns(rule, self.families, self.dimensions, self.tasks, self.evaluations, self.floor)
        return runs, rule.layout.joined(rule.draw(self.seed))

    def check(self, data_dir: Path | None) -> None:
        """Check that every family has functions of all numbers of variables, and that controls are known."""
        rule, tests = self.inner_rule(), self.tests()
        for name in self.families:
            for n in self.dimensions:
                family(name).best(n)
        for name in (*self.families, *self.never_seen):
            for n in tests.dimensions:
                family(name).best(n)
        for control in tests.controls:
            require_known("control", control, rule.controls, RunError)

    def write(self, phi: Tensor, out: Path) -> None:
        """Write ``outer.safetensors``, every parameter by name."""
        named = self.inner_rule().layout.split(phi)
        arrays = {name: np.ascontiguousarray(p.double().numpy()) for name, p in named.items()}
        write_tensors(out / "outer.safetensors", arrays, {})

    def outcome(self, phi: Tensor, data_dir: Path | None, report: Report) -> dict[str, Any]:
        """Share of tasks solved by family and number of variables; ``per_life`` holds every task.

        A condition is called "n10 ackley", and under a control "n10 ackley:silent".
        """
        rule, tests, given = self.inner_rule(), self.tests(), phi.double()[None]
        found: dict[str, dict[str, list[float | None]]] = {}
        for n in tests.dimensions:
            report(f"testing functions of {n} variables")
            for name, tasks in tested_tasks([*self.families, *self.never_seen], n, tests.tasks):
                for control in (None, *tests.controls):
                    ran = course(rule.run(given, tasks, self.evaluations, starts(n), control), tasks)
                    label = f"n{n} {name}" + (f":{control}" if control else "")
                    found[label] = ran.as_data(0)
        return {"share_solved": self._shares(found), "per_life": found, "missing": []}

    def _shares(self, found: Mapping[str, Mapping[str, list[float | None]]]) -> dict[str, dict[str, float]]:
        """Share solved, of trained families and those never seen, by number of variables and control."""
        tests, shares = self.tests(), {}
        for control in (None, *tests.controls):
            for n in tests.dimensions:
                suffix = f":{control}" if control else ""
                shares[f"n{n}{suffix}"] = {
                    group: _share([found[f"n{n} {name}{suffix}"] for name in names])
                    for group, names in (("trained", self.families), ("never_seen", self.never_seen))
                    if names
                }
        return shares

    def table(self, metrics: Mapping[str, Any]) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        """Share of tasks solved by number of variables and control."""
        rows = [
            (label, *(f"{shares[g]:.1%}" if g in shares else None for g in ("trained", "never_seen")))
            for label, shares in metrics["share_solved"].items()
        ]
        return "share of tasks solved", ("", "trained families", "never seen"), rows

    def draw(self, axes: Any, metrics: Mapping[str, Any]) -> bool:
        """Share solved over evaluations, by number of variables."""
        from cortex_sim.tdca.functions.drawing import draw_shares

        groups = {"trained": self.families, "never seen": self.never_seen}
        draw_shares(axes, metrics["per_life"], self.tests().dimensions, groups, self.evaluations)
        return True


def _share(cells: list[Mapping[str, list[float | None]]]) -> float:
    return float(np.mean([at is not None for cell in cells for at in cell["solved_at"]]))


def _require_dimensions(owner: str, dimensions: Any) -> None:
    if not isinstance(dimensions, list) or not dimensions:
        raise RunError(
            f"{owner}: dimensions must be a list of numbers of variables, such as [2, 10]. Got {dimensions!r}"
        )
    for n in dimensions:
        require_count(owner, minimum=2, dimensions=n)
