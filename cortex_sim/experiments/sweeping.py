"""An experiment run with many seeds and settings, in parallel, gathered into one dataset."""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim.calling import known_arguments
from cortex_sim.checks import require_count, require_path, short
from cortex_sim.errors import DataError, RunError
from cortex_sim.experiments import running
from cortex_sim.experiments.sweep_sources import Source
from cortex_sim.recording import sweeps
from cortex_sim.runs import directory
from cortex_sim.runs.interrupted import saying
from cortex_sim.runs.progress import bar
from cortex_sim.runs.results import FileEach
from cortex_sim.runs.sweep import RESULT, WORK, Job, work

if TYPE_CHECKING:
    import xarray as xr

RECORDING, SWEEP, JOBS = "recording.nc", "sweep.nc", "jobs"
AS_DECLARED = "as declared"


@known_arguments("cs.sweep")
def sweep(
    experiment: Any,
    seeds: int | Iterable[int] = 5,
    settings: Mapping[str, Sequence[Any]] | None = None,
    *,
    backend: str = "brian2",
    out: str | Path | None = None,
    arms: Sequence[str] | None = None,
    jobs: int = 1,
    resume: bool = False,
    progress: bool = True,
    report: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Run an experiment with every seed and every combination of settings.

    Parameters
    ----------
    experiment : callable, str or Experiment
        A function ``experiment(seed, ...)``; the name or path of a protocol; or an experiment, the same for
        all seeds. Everything is checked with all seeds and settings before the first run.
    seeds : int or iterable of int, default 5
        Number of seeds, counted from 0, or the seeds themselves.
    settings : mapping of name to values, optional
        Arguments of the function, settings of the experiment (``dt_ms``, ``noise``, …) or of the protocols
        of all arms (``eta_per_s``, ``repeat``, …), each with the values to try.
    backend : str, default "brian2"
        As in `cortex_sim.experiments.running.run`.
    out : path, optional
        New folder for a recording of each job and for ``sweep.nc``. Without it the dataset is returned in
        memory and no file is kept.
    arms : list of str, optional
        Only these arms.
    jobs : int, default 1
        Runs in parallel, one process each.
    resume : bool, default False
        Continue in ``out``; interrupted runs continue where they stopped, to the same files bit for bit.
    progress : bool, default True
        Show a bar in a terminal or a notebook, or a line each minute in a log.
    report : callable, optional
        Called with one line about every run.

    Returns
    -------
    xarray.Dataset
        A recording with two more dims, ``setting`` and ``seed``, which every figure of `cs.viz` accepts;
        ``sweep.isel(setting=0, seed=3)`` is a plain recording.

    Raises
    ------
    RunError
        If a setting is unknown, ``out`` already exists, a run failed (the others are kept), or recordings
        have different sizes, which cannot be gathered.
    """
    source, numbers, combinations = Source(experiment), _seeds(seeds), _combinations(settings or {})
    require_count("sweep", jobs=jobs)
    if out is None:
        if resume:
            raise RunError("sweep: resume needs out, the folder to continue in")
        with (
            tempfile.TemporaryDirectory() as folder,
            saying("sweep: interrupted; without out, the finished runs are not kept"),
        ):
            place = Path(folder)
            _run(_jobs(source, numbers, combinations, backend, arms), place, jobs, progress, report)
            with sweeps.opened(_gathered(place, numbers, combinations)) as found:
                return found.load()
    place = require_path("out", out, RunError)
    if not resume:
        directory.require_new(place)
    made = _jobs(source, numbers, combinations, backend, arms)
    with saying(f"{place}: interrupted; finished runs are kept, continue with resume=True (--resume)"):
        _run(made, place, jobs, progress, report)
        return sweeps.opened(_gathered(place, numbers, combinations))


def recorded(job: Job, folder: Path) -> Mapping[str, Any]:
    """Run one experiment into its folder, continuing what an interruption left there."""
    given = job.given
    folder.mkdir(parents=True, exist_ok=True)
    experiment = given["source"].experiment(given["seed"], given["settings"])
    started = any(folder.iterdir())
    with running.run(
        experiment,
        given["backend"],
        given["seed"],
        out=folder / RECORDING,
        arms=given["arms"],
        resume=started,
        progress=False,
    ) as found:
        return {"sizes": {str(dim): int(size) for dim, size in found.sizes.items()}}


def key_of(label: str, seed: int) -> str:
    """Name of a job's folder."""
    return re.sub(r"[^\w.=+-]", "_", f"{label}-seed={seed}")


def label_of(settings: Mapping[str, Any]) -> str:
    """A setting in words, such as "eta_per_s=0.1, repeat=2"."""
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or AS_DECLARED


def _seeds(given: int | Iterable[int]) -> list[int]:
    if isinstance(given, Iterable):
        numbers = list(given)
    else:
        require_count("sweep", seeds=given)
        numbers = list(range(given))
    for seed in numbers:
        require_count("sweep", minimum=0, seed=seed)
    if not numbers or len(set(numbers)) < len(numbers):
        raise RunError(f"sweep: seeds must be one or more different whole numbers. Got {numbers}")
    return numbers


def _combinations(settings: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    if not isinstance(settings, Mapping):
        raise RunError(
            "sweep: settings must map each setting to the values to try, such as "
            f'{{"eta_per_s": [0.1, 0.2]}}. Got {short(settings)}'
        )
    for name, values in settings.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise RunError(
                f"sweep: setting {name} must be a list of values to try, such as {{{name!r}: [{values!r}]}}. "
                f"Got {values!r}"
            )
        if not list(values):
            raise RunError(f"sweep: setting {name} has no values; give at least one")
    return [dict(zip(settings, values, strict=True)) for values in itertools.product(*settings.values())]


def _jobs(
    source: Source,
    seeds: list[int],
    combinations: list[dict[str, Any]],
    backend: str,
    arms: Sequence[str] | None,
) -> list[Job]:
    """A job for each setting and seed; its configuration is what its numbers depend on."""
    made = []
    for settings, seed in itertools.product(combinations, seeds):
        configuration = running.identity(source.experiment(seed, settings), backend, seed, arms)
        label = label_of(settings)
        given = {"source": source, "seed": seed, "settings": settings, "backend": backend, "arms": arms}
        made.append(Job(key_of(label, seed), configuration, {"setting": label, "seed": seed}, given))
    return made


def _run(
    jobs: list[Job], place: Path, processes: int, progress: bool, report: Callable[[str], None] | None
) -> None:
    kept = FileEach(place / JOBS, f"{{key}}/{RESULT}")
    with bar(len(jobs), "runs", progress) as done:

        def said(line: str) -> None:
            done.advance(1, "sweep")
            if report is not None:
                report(line)

        ended = work(jobs, recorded, place / JOBS, kept, processes, said)
    failed = {job.key: end.said for job, end in zip(jobs, ended, strict=True) if end.metrics is None}
    if failed:
        key, first = next(iter(failed.items()))
        raise RunError(
            f"sweep {place}: {len(failed)} of {len(jobs)} runs did not finish, the first of them {key} "
            f"({first}); the others are kept. Resume (--resume) to try again"
        )


def _gathered(place: Path, seeds: list[int], combinations: list[dict[str, Any]]) -> Path:
    """``sweep.nc`` of all recordings."""
    whole = [label_of(settings) for settings in combinations]
    recordings = [
        [place / JOBS / key_of(label, seed) / WORK / RECORDING for seed in seeds] for label in whole
    ]
    varied = {n for n in combinations[0] if len({repr(settings[n]) for settings in combinations}) > 1}
    labels = [label_of({n: v for n, v in s.items() if n in varied or not varied}) for s in combinations]
    columns = {name: [settings[name] for settings in combinations] for name in combinations[0]}
    path = place / SWEEP
    try:
        sweeps.gather(recordings, labels, seeds, columns, path)
    except DataError as exception:
        raise RunError(
            f"sweep {place}: {exception}; remove that run's folder in {place / JOBS} and resume (--resume), "
            "which repeats it"
        ) from None
    return path


def as_value(text: str) -> Any:
    """Value of a setting given as text: read as JSON if it is JSON (numbers, true, lists), else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
