"""An outer loop's problem, spread over workers if there is more than one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_sim.checks import require_count
from cortex_sim.errors import RunError
from cortex_sim.tdca.workers.crew import Crew, Pool
from cortex_sim.tdca.workers.fitness import SharedFitness
from cortex_sim.tdca.workers.runs import SharedRuns


@dataclass(frozen=True)
class Workers:
    """Worker processes of an outer loop.

    Parameters
    ----------
    count : int
        1: this process alone.
    threads : int
        Threads that torch may use in each.
    address : str, optional
        Address of a running Ray, "auto" for the one that this machine belongs to; by default Ray is started
        here, for this outer loop alone.
    """

    count: int = 1
    threads: int = 1
    address: str | None = None

    def __post_init__(self) -> None:
        require_count("workers", count=self.count, threads=self.threads)

    def check(self, settings: Any, given: Any) -> None:
        """Check, before any work, that the problem can be spread over this many workers.

        Raises
        ------
        RunError
            If there are fewer inner runs (or pairs, or members) than workers, or the problem cannot be split.
        """
        if self.count == 1:
            return
        search = settings.search()
        what, count = _units(search, given)
        if count is not None and self.count > count:
            raise RunError(
                f"--workers {self.count}: exceeds the number of {what} to share, {count}; give at most "
                f"{count}"
            )
        needed = ("outcomes", "compared") if search.serves == "fitness" else ("share", "run_axes")
        missing = [name for name in needed if not hasattr(given, name)]
        if missing:
            raise RunError(
                f"--workers {self.count}: {type(given).__name__} cannot be split, because it has no method "
                f"{missing[0]}; write it (see cortex_sim.tdca.outer.problem), or leave out --workers"
            )


def _units(search: Any, given: Any) -> tuple[str, int | None]:
    """What the workers share, and how many there are."""
    if search.serves == "fitness":
        return "members of a generation", getattr(search, "members", None)
    return ("pairs of inner runs", given.count // 2) if search.twins else ("inner runs", given.count)


@dataclass(frozen=True)
class Spread:
    """The problem to search on, and the crew that works on it; None if this process does."""

    problem: Any
    crew: Crew | None = None

    def described(self, lost_before: int = 0) -> dict[str, int]:
        """For metrics.json: number of workers, and how many were lost, also in earlier sessions."""
        size, lost = (1, 0) if self.crew is None else (self.crew.size, self.crew.lost)
        lost += lost_before
        return {"workers": size} if size == 1 and not lost else {"workers": size, "workers_lost": lost}


Start = Callable[[Any, Path | None, Workers], Pool]


def _ray(settings: Any, data_dir: Path | None, workers: Workers) -> Pool:
    from cortex_sim.tdca.workers.ray_pool import RayPool

    return RayPool(settings, data_dir, workers)


@contextmanager
def spread(
    workers: Workers, settings: Any, data_dir: Path | None, given: Any, start: Start = _ray
) -> Iterator[Spread]:
    """The given problem, spread over workers that end with the context."""
    if workers.count == 1:
        yield Spread(given)
        return
    pool = start(settings, None if data_dir is None else Path(data_dir).resolve(), workers)
    try:
        crew, search = Crew(pool), settings.search()
        if search.serves == "fitness":
            yield Spread(SharedFitness(given, crew), crew)
        else:
            yield Spread(SharedRuns(given, crew, 2 if search.twins else 1), crew)
    finally:
        pool.close()
