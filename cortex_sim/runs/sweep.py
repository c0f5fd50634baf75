"""A sweep: many jobs, several at a time, each done once; a killed sweep resumes to the same result.

``FOLDER/KEY/`` holds a job's own work in ``run/``; its result is kept once it is done, with the fingerprint
of the configuration it was made with. A kept result, or unfinished work, is used only where the
fingerprint is the same; otherwise the job is done again, which is reported.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.recording.fingerprint import fingerprint
from cortex_sim.runs import directory, workers
from cortex_sim.runs.files import write_text
from cortex_sim.runs.results import FINGERPRINT, FileEach, Results, read

RESULT, JOB, WORK = "result.json", "job.json", "run"
CSV, JSON = "results.csv", "results.json"
_PATIENCE = 1.0  # seconds to wait for a job's folder: workers of a killed sweep need some to end
_CLOCK = "seconds"  # suffix of measurements that differ from run to run

Row = dict[str, Any]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Parameters
    ----------
    key : str
        Name of its folder.
    configuration : mapping
        Plain data that decides its result, see `cortex_sim.runs.identity`.
    labels : mapping
        What distinguishes it from the others in the table: rule, seed, settings.
    given : mapping
        Further arguments of its work, such as paths; they do not affect the result.
    """

    key: str
    configuration: Mapping[str, Any]
    labels: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of its configuration."""
        return fingerprint(self.configuration)


Do = Callable[[Job, Path], Mapping[str, Any]]
Shown = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Ended:
    """Outcome of a job: its measurements, or None; a line about it; whether it failed."""

    metrics: Mapping[str, Any] | None
    said: str
    failed: bool = False


def work(
    jobs: Sequence[Job],
    do: Do,
    folder: Path,
    results: Results,
    processes: int = 1,
    report: Report = print,
    shown: Shown | None = None,
) -> list[Ended]:
    """Do every job that is not done yet, each in its own folder.

    Parameters
    ----------
    jobs : sequence of Job
    do : callable
        Does a job in the folder it is given (continuing unfinished work there) and returns what it
        measured, as plain data. With several processes it must be a function of a module.
    folder : Path
        Where the jobs' folders are.
    results : Results
        Where results are kept.
    processes : int
        Jobs in parallel; the processes end with this one. Several programs may share the folders: each
        skips what another process is working on.
    report : callable
        Takes a line about every job.
    shown : callable, optional
        Text to report about a new result, from its measurements.

    Returns
    -------
    list of Ended
        In the order of the jobs.

    Raises
    ------
    RunError
        If two jobs share a key.
    """
    keys = [job.key for job in jobs]
    for key in keys:
        if keys.count(key) > 1:
            raise RunError(f"sweep {folder}: two jobs are called {key}; give each setting once")
    calls = (delayed(_taken)(job, do, folder / job.key, results, os.getpid(), shown) for job in jobs)
    ended = []
    for job, end in zip(jobs, Parallel(n_jobs=processes, return_as="generator")(calls), strict=True):
        report(f"{job.key}: {end.said}")
        ended.append(end)
    return ended


def sweep(jobs: Sequence[Job], do: Do, out: Path, processes: int = 1, report: Report = print) -> list[Row]:
    """Do every job that is not done yet, then write all results as one table, one row per job.

    Parameters
    ----------
    jobs : sequence of Job
    do : callable
        Does a job in the folder it is given (continuing unfinished work there) and returns what it
        measured, as plain data. With several processes it must be a function of a module.
    out : Path
        Folder of the sweep; one that holds a sweep is continued.
    processes : int
        Jobs in parallel. Several sweeps may share a folder: each skips what another process is working on.
    report : callable
        Takes a line about every job.

    Returns
    -------
    list of dict
        Labels and measurements of the finished jobs, in their order. Clocks are left out, so that the
        table of a sweep that was interrupted is the same byte for byte.

    Raises
    ------
    RunError
        If two jobs share a key, or jobs failed; the others were done.
    """
    kept = FileEach(out / "jobs", f"{{key}}/{RESULT}")
    ended = work(jobs, do, out / "jobs", kept, processes, report)
    failed = [job.key for job, end in zip(jobs, ended, strict=True) if end.failed]
    rows = [
        {**job.labels, **_flat(end.metrics)}
        for job, end in zip(jobs, ended, strict=True)
        if end.metrics is not None
    ]
    write_text(out / JSON, json.dumps(rows, indent=1) + "\n") if rows else None
    write_text(out / CSV, as_csv(rows)) if rows else None
    if failed:
        raise RunError(f"sweep {out}: failed: {', '.join(failed)}; the others are done, resume to try again")
    return rows


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as comma-separated values; the columns are those of all rows."""
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _taken(job: Job, do: Do, folder: Path, results: Results, parent: int, shown: Shown | None) -> Ended:
    workers.end_with(parent)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            with directory.held(folder):
                return _done(job, do, folder, results, shown)
        except directory.Busy as busy:
            # The work itself may find a locked folder, such as that of a run started separately.
            if time.monotonic() > until:
                return Ended(None, f"{_where(busy, folder)}; skipped")
            time.sleep(_PATIENCE / 20)
        except CortexSimError as exception:
            return Ended(None, f"failed: {exception}", failed=True)


def _where(busy: directory.Busy, folder: Path) -> str:
    said = str(busy).split(";")[0]
    return said.removeprefix(f"{folder}: ")


def _done(job: Job, do: Do, folder: Path, results: Results, shown: Shown | None) -> Ended:
    kept, mine = results.get(job.key), job.fingerprint
    if kept is not None and kept.get(FINGERPRINT) == mine:
        return Ended(_measured(kept), "already done")
    started = (read(folder / JOB) or {}).get(FINGERPRINT)
    anew = kept is not None or started not in (None, mine)
    if kept is not None:  # it must not be mixed with results of this configuration
        results.drop(job.key)
    if started != mine:
        shutil.rmtree(folder / WORK, ignore_errors=True)
    about = {FINGERPRINT: mine, "configuration": job.configuration}
    write_text(folder / JOB, json.dumps(about, indent=1) + "\n")
    # Through JSON, so that a result read again is the same as one just made.
    metrics = json.loads(json.dumps(do(job, folder / WORK)))
    results.put(job.key, {FINGERPRINT: mine, **metrics})
    said = "done" if shown is None else shown(metrics)
    return Ended(metrics, f"{said}; done again: the kept result has another configuration" if anew else said)


def _measured(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if name != FINGERPRINT}


def _flat(metrics: Mapping[str, Any], under: str = "") -> Row:
    """One level of names, such as ``angle.V1->V2`` for an entry of ``angle``. No clocks."""
    found: Row = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{under}{name}.")
        elif not name.endswith(_CLOCK):
            found[f"{under}{name}"] = value
    return found
