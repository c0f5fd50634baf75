"""A sweep: many jobs, several at a time, each done once; killed, it goes on and ends as if it had not been.

``OUT/jobs/KEY/`` holds a job's own work in ``run/``, and its ``result.json`` once it is done, with the
fingerprint of the configuration it was made with. A kept result, or work that was begun, is gone on with only
where the fingerprint is the same.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.recording.fingerprint import fingerprint
from cortex_sim.runs import directory
from cortex_sim.runs.files import write_text

RESULT, BEGUN, WORK = "result.json", "job.json", "run"
CSV, JSON = "results.csv", "results.json"
_CLOCK = "seconds"  # ends the names of measurements that no two runs share

Row = dict[str, Any]
Told = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Parameters
    ----------
    key : str
        Name of its folder.
    configuration : mapping
        Plain data that decides its result.
    labels : mapping
        What tells it from the others in the table: rule, seed, settings.
    """

    key: str
    configuration: Mapping[str, Any]
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Of its configuration."""
        return fingerprint(self.configuration)


Do = Callable[[Job, Path], Mapping[str, Any]]


@dataclass(frozen=True)
class _Ended:
    """What became of a job: its measurements, or why it has none."""

    metrics: Mapping[str, Any] | None
    said: str
    failed: bool = False


def sweep(jobs: Sequence[Job], do: Do, out: Path, processes: int = 1, told: Told = print) -> list[Row]:
    """Do every job that is not done yet, then write all results as one table, a row a job.

    Parameters
    ----------
    jobs : sequence of Job
    do : callable
        Does a job in the folder it is given (going on with what stands there) and returns what it
        measured, as plain data. With several processes it must be a function of a module.
    out : Path
        Folder of the sweep; one that holds a sweep is gone on with.
    processes : int
        Jobs side by side. Several sweeps may share a folder: each skips what another is at.
    told : callable
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
    keys = [job.key for job in jobs]
    for key in keys:
        if keys.count(key) > 1:
            raise RunError(f"sweep {out}: two jobs are called {key}; give each setting once")
    calls = (delayed(_taken)(job, do, out / "jobs" / job.key) for job in jobs)
    rows, failed = [], []
    for job, ended in zip(jobs, Parallel(n_jobs=processes, return_as="generator")(calls), strict=True):
        told(f"{job.key}: {ended.said}")
        if ended.failed:
            failed.append(job.key)
        if ended.metrics is not None:
            rows.append({**job.labels, **_flat(ended.metrics)})
    write_text(out / JSON, json.dumps(rows, indent=1) + "\n") if rows else None
    write_text(out / CSV, as_csv(rows)) if rows else None
    if failed:
        raise RunError(f"sweep {out}: failed: {', '.join(failed)}; the others are done, resume to try again")
    return rows


def kept(folder: Path, job: Job) -> Mapping[str, Any] | None:
    """A job's result, or None while there is none of its configuration."""
    found = _read(folder / RESULT)
    return found["metrics"] if found.get("fingerprint") == job.fingerprint else None


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as comma-separated values; the columns are those of all rows."""
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _taken(job: Job, do: Do, folder: Path) -> _Ended:
    try:
        with directory.held(folder):
            return _done(job, do, folder)
    except directory.Busy:
        return _Ended(None, "another process is at it; left to it")
    except CortexSimError as error:
        return _Ended(None, f"failed: {error}", failed=True)


def _done(job: Job, do: Do, folder: Path) -> _Ended:
    metrics = kept(folder, job)
    if metrics is not None:
        return _Ended(metrics, "done before")
    begun, said = _read(folder / BEGUN).get("fingerprint"), "done"
    if begun not in (None, job.fingerprint):
        said = "done anew: what was kept is of another configuration"
        shutil.rmtree(folder / WORK, ignore_errors=True)
        (folder / RESULT).unlink(missing_ok=True)
    mark = {"fingerprint": job.fingerprint}
    write_text(folder / BEGUN, json.dumps({**mark, "configuration": job.configuration}, indent=1) + "\n")
    # Through JSON, so that a result read again is the same as one just made.
    metrics = json.loads(json.dumps(do(job, folder / WORK)))
    write_text(folder / RESULT, json.dumps({**mark, "metrics": metrics}, indent=1) + "\n")
    return _Ended(metrics, said)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{path}: damaged; remove it to do the job again")
    return found


def _flat(metrics: Mapping[str, Any], under: str = "") -> Row:
    """One level of names; ``angle.V1->V2`` for what stood inside ``angle``. No clocks."""
    found: Row = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{under}{name}.")
        elif not name.endswith(_CLOCK):
            found[f"{under}{name}"] = value
    return found
