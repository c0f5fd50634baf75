"""Jobs of a study: outer loops by configuration, overrides and seed, each run once and its result kept.

A job is a ``cortex-sim evolve`` of its own in ``RUNS/NAME-SEED``; its result, every life apart, goes to
``RESULTS/NAME-SEED.json``. What is interrupted goes on; what is done is left alone; several workers may
share the folders, each takes what no other is at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from cortex_sim import yaml_text
from cortex_sim.errors import RunError

Told = Callable[[str], None]
Result = dict[str, Any]
SWEEP: dict[
    str, Any
] = {  # what many outer loops of one study afford: settings that replace the first table's
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
    """Where runs are, and where their results are kept.

    Parameters
    ----------
    runs, results : Path
    data : Path, optional
        Where named data sets are; else $CORTEX_SIM_DATA.
    """

    runs: Path
    results: Path
    data: Path | None = None

    def result(self, key: str) -> Path:
        """File of a job's result."""
        return self.results / f"{key}.json"

    def kept(self, key: str) -> Result | None:
        """A job's result, or None while it has none."""
        path = self.result(key)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def keep(self, key: str, result: Result) -> None:
        """Write a result, whole or not at all; accuracies to five digits."""
        self.results.mkdir(parents=True, exist_ok=True)
        part = self.result(key).with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(_rounded(result), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        part.replace(self.result(key))


class Work(Protocol):
    """Something with a key that is done once."""

    @property
    def key(self) -> str:
        """Name of its run directory and of its result."""

    def do(self, folders: Folders) -> str:
        """Do it, keep the result and say how it went."""


@dataclass(frozen=True)
class Job:
    """One outer loop.

    Parameters
    ----------
    name : str
        Of the arm; with the seed, of the run directory and the result.
    config : str
        A shipped configuration, on which it builds.
    seed : int
        Of the outer loop.
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

    def do(self, folders: Folders) -> str:
        """Run it in a process of its own, from where it stopped."""
        out, settings = folders.runs / self.key, folders.runs / f"{self.key}.yaml"
        self.write(settings)
        command = ["evolve", str(settings), "--out", str(out), "--json"]
        if (out / "run.yaml").is_file():
            command.append("--resume")
        metrics = called(command, folders)
        result = {name: metrics[name] for name in _KEPT} | {"per_life": metrics["per_life"]}
        folders.keep(self.key, {"config": self.config, "overrides": self.overrides, **result})
        return said(metrics)

    def write(self, path: Path) -> None:
        """Write its configuration. Its own ``testing`` replaces the base's whole."""
        from cortex_sim.tdca.evolving.settings import configured

        content = {"base": self.config, **self.overrides, "seed": self.seed}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml_text.write(content), encoding="utf-8")
        whole = configured(str(path)).as_dict()
        if "testing" in self.overrides:
            whole["testing"] = self.overrides["testing"]
        path.write_text(yaml_text.write(whole), encoding="utf-8")


def called(arguments: list[str], folders: Folders) -> dict[str, Any]:
    """What a command of cortex-sim prints last, run by one thread.

    Raises
    ------
    RunError
        With the command's own last line, if it fails.
    """
    data = [] if folders.data is None else ["--data-dir", str(folders.data)]
    command = [sys.executable, "-m", "cortex_sim", *arguments, *data, "--threads", "1"]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=alone, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RunError(lines[-1])
    return json.loads(done.stdout.splitlines()[-1])


def said(metrics: Mapping[str, Any]) -> str:
    """One line about a finished outer loop."""
    label, cells = next(iter(metrics["test_accuracy"].items()))
    shown = ", ".join(f"{mean:.3f} ({steps})" for steps, (mean, _) in cells.items())
    return f"{label} {shown}; {metrics['seconds']:.0f} s"


def work(jobs: Iterable[Work], folders: Folders, told: Told, workers: int = 1) -> list[str]:
    """Do every job that is not done yet, in order, ``workers`` side by side.

    Returns
    -------
    list of str
        Keys of jobs that failed; the others go on.
    """
    failed: list[str] = []

    def take(job: Work) -> None:
        if folders.result(job.key).is_file():
            return
        folders.runs.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folders.runs / f"{job.key}.lock", timeout=0):
                if not folders.result(job.key).is_file():  # else done by another in between
                    told(f"{job.key}: {job.do(folders)}")
        except Timeout:
            told(f"{job.key}: another worker is at it")
        except RunError as error:
            failed.append(job.key)
            told(f"{job.key}: failed: {error}")

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(take, jobs))
    return failed


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
        raise RunError(f"protocol {name}: failed: {', '.join(failed)}; see above")


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 5)
        case dict():
            return {k: _rounded(v) for k, v in value.items()}
        case list() | tuple():
            return [_rounded(v) for v in value]
    return value
