"""Augmented random search for benchmarks/reinforcement.py, with as many episodes, and tuned in R."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from cortex_sim.tdca.evolving.reading import configured
from cortex_sim.tdca.reinforcement.ars import GRID, RandomSearch, searched, tuned
from cortex_sim.tdca.reinforcement.named import environment
from cortex_sim.tdca.studies.jobs import Folders, Result

_TUNING = 4  # searches in R of each point of the grid


@dataclass(frozen=True)
class SearchJob:
    """Searches in D, R and E, with the step and noise that do best in R.

    Parameters
    ----------
    environment : str
    hidden : int
        Tanh units; 0 for a linear policy.
    seed : int
    """

    environment: str
    hidden: int
    seed: int

    @property
    def key(self) -> str:
        """Name of its result."""
        return f"{self.environment}_ars_{'mlp' if self.hidden else 'linear'}-{self.seed}"

    @property
    def source(self) -> str | None:
        """None: it builds on no other job."""
        return None

    def search(self) -> RandomSearch:
        """The search, with as many episodes as an inner run of the configuration."""
        practice = configured(f"reinforcement_{self.environment}").practised()
        directions = 4
        return RandomSearch(directions, practice.episodes // (2 * directions), practice.updates, self.hidden)

    def configuration(self, folders: Folders) -> dict[str, Any]:
        """Plain data that affects its result."""
        tests = asdict(configured(f"reinforcement_{self.environment}").tests())
        return {"job": asdict(self), "search": asdict(self.search()), "tests": tests, "grid": list(GRID)}

    def do(self, folder: Path, folders: Folders) -> Result:
        """Tune in R, then search in every setting."""
        torch.set_num_threads(1)
        env, search = environment(self.environment), self.search()
        tests = configured(f"reinforcement_{self.environment}").tests()
        step, noise = tuned(search, env, _TUNING)
        letters, runs = "".join(tests.settings), tests.inner_runs * len(tests.settings)
        alpha, nu = torch.full((runs,), step), torch.full((runs,), noise)
        found = searched(search, env, letters, runs, alpha, nu, self.seed, tests.after)
        curve = found.pop("curve")
        per_life = {
            letter: {
                **{name: v[i :: len(letters)].tolist() for name, v in found.items()},
                "curve": curve[:, i :: len(letters)].mean(1).tolist(),
            }
            for i, letter in enumerate(letters)
        }
        return {"search": asdict(search), "step": step, "noise": noise, "per_life": per_life}
