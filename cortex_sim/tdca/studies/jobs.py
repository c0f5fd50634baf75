"""Jobs of a study: outer loops by configuration, overrides and seed, each run once and with its result kept.

A job is an outer loop, as by ``cortex-sim evolve``, in ``RUNS/NAME-SEED/run``; its result, with
every inner run, goes to ``RESULTS/NAME-SEED.json`` with the fingerprint of its configuration. Interrupted
jobs are resumed; jobs done with this configuration are not repeated; several programs may share the
folders, and each takes work that no other has taken.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cortex_sim import yaml_text
from cortex_sim.errors import RunError
from cortex_sim.runs import identity, sweep
from cortex_sim.runs.directory import RUN
from cortex_sim.runs.results import FINGERPRINT, FileEach

if TYPE_CHECKING:
    from cortex_sim.tdca.evolving.kinds import OuterProblem

ADDED: dict[str, Any] = {"hold": []}  # settings of outer loops added later, see `cortex_sim.runs.identity`
Report = Callable[[str], None]
Result = dict[str, Any]
SWEEP: dict[str, Any] = {  # reduced settings for studies with many outer loops
    "iterations": 150,
    "testing": {
        "data": ["mnist", "fashion_mnist"],
        "steps": [100, 300, 1000],
        "widths": {},
        "elsewhere": [],
        "controls": [],
    },
}
_KEPT = ("parameters", "iterations", "rule", "searcher", "contained", "missing", "outer_seconds", "seconds")


@dataclass(frozen=True)
class Folders:
    """Folders of runs and of their results.

    Parameters
    ----------
    runs, results : Path
    data : Path, optional
        Folder of named data sets; by default $CORTEX_SIM_DATA.
    """

    runs: Path
    results: Path
    data: Path | None = None

    @property
    def kept_in(self) -> FileEach:
        """Results, one file each."""
        return FileEach(self.results)

    def run(self, key: str) -> Path:
        """A job's own run directory."""
        return self.runs / key / sweep.WORK

    def kept(self, key: str) -> Result | None:
        """A job's result, or None if it has none yet."""
        return self.kept_in.get(key)

    def keep(self, key: str, result: Mapping[str, Any]) -> None:
        """Write a result, whole or not at all; accuracies to five digits."""
        self.kept_in.put(key, rounded(result))


class Work(Protocol):
    """A piece of work that is done once, with a key."""

    @property
    def key(self) -> str:
        """Name of its folder and of its result."""

    @property
    def source(self) -> str | None:
        """Name of the job whose result it builds on, or None."""

    def configuration(self, folders: Folders) -> dict[str, Any]:
        """Plain data that affects its result."""

    def do(self, folder: Path, folders: Folders) -> Result:
        """Do or resume it in a folder, and return the result."""


@dataclass(frozen=True)
class Job:
    """One outer loop.

    Parameters
    ----------
    name : str
        Name of the arm; with the seed, of the run directory and the result.
    config : str
        A shipped configuration as its base.
    seed : int
        Seed of the outer loop.
    overrides : dict
        Settings that replace the configuration's; mappings are merged.
    """

    name: str
    config: str
    seed: int = 0
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name of its run directory and of its result."""
        return f"{self.name}-{self.seed}"

    @property
    def source(self) -> str | None:
        """None: it needs no other job."""
        return None

    def settings(self) -> OuterProblem:
        """Its configuration with overrides. Its own ``testing`` replaces that of the base as a whole."""
        from cortex_sim.tdca.evolving.kinds import made
        from cortex_sim.tdca.evolving.reading import based

        whole = based(self.config, {**self.overrides, "seed": self.seed}).as_dict()
        if "testing" in self.overrides:
            whole["testing"] = self.overrides["testing"]
        return made(whole)

    def configuration(self, folders: Folders) -> dict[str, Any]:
        """Its settings; published data sets count by their name, user files by content."""
        settings = self.settings()
        found = identity.settings_of(settings.as_dict(), (), ADDED)
        files = [path for name in settings.sources() if (path := _file(name)) is not None]
        return {**found, "files": [identity.content(path) for path in files]} if files else found

    def do(self, folder: Path, folders: Folders) -> Result:
        """Run or resume the outer loop."""
        import torch

        from cortex_sim.tdca.evolving.run import evolve

        torch.set_num_threads(1)
        metrics = evolve(self.settings(), folder, folders.data, resume=(folder / RUN).is_file())
        found = {name: metrics[name] for name in (*_KEPT, "per_life")}
        return {"config": self.config, "overrides": self.overrides, **found}

    def write(self, path: Path) -> None:
        """Write its configuration for ``cortex-sim evolve``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml_text.write(self.settings().as_dict()), encoding="utf-8")


def asked(job: Work, folders: Folders) -> sweep.Job:
    """The job in the form of a sweep's job."""
    return sweep.Job(job.key, job.configuration(folders), {}, {"job": job, "folders": folders})


def is_done(job: Work, folders: Folders) -> bool:
    """Whether a result of this configuration is kept."""
    kept = folders.kept(job.key)
    return kept is not None and kept.get(FINGERPRINT) == asked(job, folders).fingerprint


def work(jobs: Iterable[Work], folders: Folders, report: Report, workers: int = 1) -> list[str]:
    """Do every job that is not done yet, in order, with ``workers`` in parallel.

    Returns
    -------
    list of str
        Keys of jobs that failed; the others are done.
    """
    failed: list[str] = []
    # A job's source is done before its configuration is read.
    for _, group in itertools.groupby(jobs, key=lambda job: job.source is None):
        wanted = [asked(job, folders) for job in group]
        ended = sweep.work(wanted, _done, folders.runs, folders.kept_in, workers, report, _shown)
        failed += [job.key for job, end in zip(wanted, ended, strict=True) if end.failed]
    return failed


def _done(job: sweep.Job, folder: Path) -> Result:
    found = job.given["job"].do(folder, job.given["folders"])
    return json.loads(json.dumps(rounded(found), sort_keys=True))


def _shown(result: Mapping[str, Any]) -> str:
    count = len(result["per_life"])
    cells = f"{count} cell" if count == 1 else f"{count} cells"
    return f"{cells}; {result['seconds']:.0f} s" if "seconds" in result else cells


def _file(name: str) -> Path | None:
    from cortex_sim.data import NAMED

    path = Path(name).expanduser()
    return None if name in NAMED or not path.exists() else path


def studied(
    name: str, jobs: Sequence[Work], figures: Callable[[Folders], dict[str, Any]], place: Path = Path("runs")
) -> None:
    """Do a protocol's jobs in ``PLACE/tdca``, then draw its figures into ``PLACE``.

    Raises
    ------
    RunError
        If a job failed; the others were done.
    """
    from cortex_sim.viz.panels import save_figure

    folders = Folders(place / "tdca", place / "tdca" / "results")
    failed = work(jobs, folders, print)
    for title, figure in figures(folders).items():
        save_figure(figure, place / f"{title}.png")
        print(place / f"{title}.png")
    if failed:
        raise RunError(f"protocol {name}: failed jobs: {', '.join(failed)}; the lines above say why")


def rounded(value: Any) -> Any:
    """The value with all its numbers rounded to five digits."""
    match value:
        case float():
            return round(value, 5)
        case dict():
            return {k: rounded(v) for k, v in value.items()}
        case list() | tuple():
            return [rounded(v) for v in value]
    return value
