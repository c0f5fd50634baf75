"""Jobs of the study of functions: baselines and trained rules, tuned and tested, at two costs of a gradient.

A gradient with its value counts as one evaluation, or (``counted``) as n + 1. Results hold, for every task of
each condition ("n10 ackley"), the level at the end and the evaluations until it was solved, as those of
`cortex_sim.tdca.functions.settings.FunctionSettings.outcome` do.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cortex_sim.errors import RunError
from cortex_sim.runs.results import FINGERPRINT
from cortex_sim.tdca.functions.baselines import GRIDS
from cortex_sim.tdca.functions.settings import NEVER_SEEN, TRAINED
from cortex_sim.tdca.functions.tasks import Tasks, draw
from cortex_sim.tdca.functions.testing import TUNED, Course, course, starts, tested_tasks
from cortex_sim.tdca.studies.jobs import Folders, Result

DIMENSIONS = (2, 10, 30)
EVALUATIONS = 400


def budget(order: int, n: int, counted: bool) -> int:
    """Steps of one point that `EVALUATIONS` allow, on functions of n variables."""
    return max(1, EVALUATIONS // (n + 1)) if counted and order else EVALUATIONS


@dataclass(frozen=True)
class Baseline:
    """One baseline: its settings chosen on tasks of the trained families, then tested on all families.

    Parameters
    ----------
    arm : str
        Key of `cortex_sim.tdca.functions.baselines.GRIDS`.
    counted : bool
        Whether a gradient with its value counts as n + 1 evaluations.
    tuned, tested : int
        Tasks of each family to tune and to test on.
    dimensions : tuple of int
    """

    arm: str
    counted: bool = False
    tuned: int = 16
    tested: int = 32
    dimensions: tuple[int, ...] = DIMENSIONS

    @property
    def key(self) -> str:
        """Name of its result."""
        return f"{self.arm}{'_counted' if self.counted else ''}-0"

    @property
    def source(self) -> str | None:
        """None: it needs no other job."""
        return None

    def configuration(self, folders: Folders) -> dict[str, Any]:
        """Its grid, budget and numbers of tasks."""
        grid = [{"is": type(g).__name__, **asdict(g)} for g in GRIDS[self.arm]]
        return {**asdict(self), "grid": grid, "evaluations": EVALUATIONS, "families": [TRAINED, NEVER_SEEN]}

    def do(self, folder: Path, folders: Folders) -> Result:
        """Tune and test."""
        torch.set_num_threads(1)
        chosen, found = {}, {}
        for n in self.dimensions:
            best = self.tune(n)
            chosen[f"n{n}"] = asdict(best)
            made = budget(best.order, n, self.counted)
            for name, tasks in tested_tasks([*TRAINED, *NEVER_SEEN], n, self.tested):
                found[f"n{n} {name}"] = course(best.run(tasks, made, starts(n)), tasks).as_data(0)
        return {"arm": self.arm, "order": best.order, "settings": chosen, "per_life": found, "missing": []}

    def tune(self, n: int) -> Any:
        """Settings that solve most tasks of the trained families; among equals, those with lower levels."""
        grid = GRIDS[self.arm]
        if len(grid) == 1:
            return grid[0]
        tasks = draw(TRAINED, n, self.tuned, torch.Generator().manual_seed(TUNED + n), torch.float64)
        return max(grid, key=lambda settings: _score(self._run(settings, n, tasks)))

    def _run(self, settings: Any, n: int, tasks: Tasks) -> Course:
        made = budget(settings.order, n, self.counted)
        return course(settings.run(tasks, made, torch.Generator().manual_seed(TUNED)), tasks)


def _score(ran: Course, member: int = 0) -> tuple[float, float]:
    level = np.log10(np.clip(ran.level[member, :, -1], 1e-4, 1e4))
    return float(ran.solved[member].mean()), -float(level.mean())


@dataclass(frozen=True)
class Counted:
    """A trained first-order rule, tested where a gradient with its value counts as n + 1 evaluations.

    Parameters
    ----------
    trained : str
        Name of the outer loop's job.
    seed : int
    """

    trained: str
    seed: int

    @property
    def key(self) -> str:
        """Name of its result."""
        return f"{self.trained}_counted-{self.seed}"

    @property
    def source(self) -> str | None:
        """The outer loop's job."""
        return f"{self.trained}-{self.seed}"

    def configuration(self, folders: Folders) -> dict[str, Any]:
        """Its budget, and the configuration of its outer loop."""
        home = folders.kept(f"{self.trained}-{self.seed}") or {}
        return {**asdict(self), "source": home.get(FINGERPRINT), "evaluations": EVALUATIONS}

    def do(self, folder: Path, folders: Folders) -> Result:
        """Test on every family."""
        torch.set_num_threads(1)
        run = folders.run(f"{self.trained}-{self.seed}")
        settings, phi = trained(run)
        rule, tests, found = settings.inner_rule(), settings.tests(), {}
        families: Sequence[str] = [*settings.families, *settings.never_seen]
        for n in tests.dimensions:
            for name, tasks in tested_tasks(families, n, tests.tasks):
                steps = rule.run(phi, tasks, budget(1, n, True), starts(n))
                found[f"n{n} {name}"] = course(steps, tasks).as_data(0)
        return {"arm": self.trained, "order": 1, "per_life": found, "missing": []}


#: Factors of η₀, and numbers added to a.
FACTORS, FALLS = (2 / 3, 1.0, 1.5), (0.0, 0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Tuned:
    """A trained first-order rule whose rate and fall are then chosen for each n, like those of baselines.

    Every setting is tried on tasks of the families that the rule was trained on, with the budget of the test;
    network, noise and memories stay as trained.

    Parameters
    ----------
    trained : str
        Name of the outer loop's job.
    seed : int
    counted : bool
        Whether a gradient with its value counts as n + 1 evaluations.
    controls : tuple of str
        Controls of the rule, tested with the settings chosen for the rule itself.
    tuned, tested : int
        Tasks of each family to tune and to test on.
    dimensions : tuple of int
    factors, falls : tuple of float
        Factors of η₀, and numbers added to a, to choose among; with one of each, nothing is chosen.
    called : str
        Word in the job's key.
    """

    trained: str
    seed: int
    counted: bool = False
    controls: tuple[str, ...] = ()
    tuned: int = 16
    tested: int = 32
    dimensions: tuple[int, ...] = DIMENSIONS
    factors: tuple[float, ...] = FACTORS
    falls: tuple[float, ...] = FALLS
    called: str = "tuned"

    @property
    def key(self) -> str:
        """Name of its result."""
        return f"{self.trained}_{self.called}{'_counted' if self.counted else ''}-{self.seed}"

    @property
    def source(self) -> str | None:
        """The outer loop's job."""
        return f"{self.trained}-{self.seed}"

    def configuration(self, folders: Folders) -> dict[str, Any]:
        """Its grid and budget, and the configuration of its outer loop."""
        home = folders.kept(f"{self.trained}-{self.seed}") or {}
        own = asdict(self)
        grid = {"factors": own.pop("factors"), "falls": own.pop("falls")}
        del own["called"]  # a name changes no result
        return {**own, "grid": grid, "source": home.get(FINGERPRINT), "evaluations": EVALUATIONS}

    def do(self, folder: Path, folders: Folders) -> Result:
        """Tune and test."""
        torch.set_num_threads(1)
        settings, phi = trained(folders.run(f"{self.trained}-{self.seed}"))
        rule, chosen, found = settings.inner_rule(), {}, {}
        for n in self.dimensions:
            factor, fall = self.tune(rule, phi, settings.families, n)
            chosen[f"n{n}"] = {"factor": factor, "fall": fall}
            given, made = moved(rule, phi, factor, fall), budget(1, n, self.counted)
            for name, tasks in tested_tasks([*settings.families, *settings.never_seen], n, self.tested):
                for control in (None, *self.controls):
                    label = f"n{n} {name}" + (f":{control}" if control else "")
                    found[label] = course(rule.run(given, tasks, made, starts(n), control), tasks).as_data(0)
        return {"arm": self.trained, "order": 1, "settings": chosen, "per_life": found, "missing": []}

    def tune(self, rule: Any, phi: torch.Tensor, families: Sequence[str], n: int) -> tuple[float, float]:
        """Factor and number that solve most tasks of the families; among equals, those with lower levels."""
        grid = list(itertools.product(self.factors, self.falls))
        if len(grid) == 1:
            return grid[0]
        tasks = draw(families, n, self.tuned, torch.Generator().manual_seed(TUNED + n), torch.float64)
        tried = torch.cat([moved(rule, phi, *setting) for setting in grid])
        steps = rule.run(tried, tasks, budget(1, n, self.counted), torch.Generator().manual_seed(TUNED))
        ran = course(steps, tasks)
        return grid[max(range(len(grid)), key=lambda member: _score(ran, member))]


def moved(rule: Any, phi: torch.Tensor, factor: float, fall: float) -> torch.Tensor:
    """φ (1, parameter) with η₀ times ``factor``, and ``fall`` added to a."""
    named = rule.layout.split(phi)
    named["log_rate"] = named["log_rate"] + math.log(factor)
    named["fall"] = named["fall"] + fall
    return torch.cat([named[name].reshape(1, -1) for name in rule.layout.shapes], 1)


def trained(run: Path) -> tuple[Any, torch.Tensor]:
    """Settings of a finished outer loop, and its parameters (1, parameter), float64.

    Raises
    ------
    RunError
        If there is none.
    """
    from safetensors.numpy import load_file

    from cortex_sim.tdca.evolving.run import saved_settings

    path = run / "outer.safetensors"
    if not path.is_file():
        raise RunError(f"{run}: no outer.safetensors; run its outer loop first")
    settings, named = saved_settings(run), load_file(str(path))
    flat = [np.ravel(named[name]) for name in settings.inner_rule().layout.shapes]
    return settings, torch.from_numpy(np.concatenate(flat))[None]
