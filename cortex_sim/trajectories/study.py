"""A study of rules: every run once, then one tidy file; an interrupted study continues where it stopped."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.checks import require_path
from cortex_sim.errors import DataError, RunError
from cortex_sim.runs import identity, sweep
from cortex_sim.runs.results import FileEach
from cortex_sim.trajectories import statistics
from cortex_sim.trajectories.architectures import PLACES
from cortex_sim.trajectories.design import Design, Run

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.data.images import ImageSet

TRAJECTORY = "trajectory.nc"
DIMS = ("run", "snapshot", "population", "statistic")


def study(
    design: Design, folder: str | Path, processes: int = 1, report: Callable[[str], None] = print
) -> xr.Dataset:
    """Train and record every run that is not done yet, and return all of them in one data set.

    Parameters
    ----------
    design : Design
    folder : path
        Where runs are kept, each in its own folder, written whole or not at all; created if missing. An
        interrupted study is continued, and another study may share the folder.
    processes : int, default 1
        Runs in parallel.
    report : callable
        Called with a line about every run.

    Returns
    -------
    xarray.Dataset
        See `merged`.

    Raises
    ------
    RunError
        If runs failed for another reason than divergence; the other runs are kept.
    """
    place = require_path("study", folder, RunError)
    place.mkdir(parents=True, exist_ok=True)
    runs = design.runs
    jobs = [
        sweep.Job(run.key, design.configuration(run), given={"run": run, "design": design}) for run in runs
    ]
    kept = FileEach(place, f"{{key}}/{sweep.RESULT}")
    ended = sweep.work(jobs, _recorded, place, kept, processes, report, _shown)
    failed = [run.key for run, end in zip(runs, ended, strict=True) if end.metrics is None]
    if failed:
        raise RunError(
            f"study {folder}: {len(failed)} of {len(runs)} runs failed, the first {failed[0]}; run it again "
            "to continue"
        )
    return merged(
        design, place, {run.key: dict(end.metrics or {}) for run, end in zip(runs, ended, strict=True)}
    )


def _recorded(job: sweep.Job, folder: Path) -> dict[str, Any]:
    """Record one run into its folder; a run that diverges leaves no file, and its result says why."""
    import torch

    from cortex_sim import recording
    from cortex_sim.backends.torch.training import Diverged
    from cortex_sim.trajectories.record import record

    torch.set_num_threads(1)
    design: Design = job.given["design"]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = record(job.given["run"], design, _images(design.data, repr(identity.of_data(design.data))))
    except Diverged as exception:
        return {"diverged": str(exception)}
    recording.save(found, folder / TRAJECTORY)
    return {"test_accuracy": round(float(found["accuracy"][-1]), 5)}


@functools.lru_cache(maxsize=1)
def _images(name: str, content: str) -> ImageSet:
    from cortex_sim.data import load

    return load(name).standardised()


def _shown(metrics: Mapping[str, Any]) -> str:
    return "diverged" if "diverged" in metrics else f"test accuracy {metrics['test_accuracy']:.3f}"


def merged(design: Design, folder: Path, metrics: Mapping[str, Mapping[str, Any]]) -> xr.Dataset:
    """All recorded runs as one tidy data set without NaN.

    Parameters
    ----------
    design : Design
    folder : Path
        Where the runs are.
    metrics : mapping
        Result of each run by key; runs that diverged are left out, and listed in the attribute ``diverged``.

    Returns
    -------
    xarray.Dataset
        ``value`` (run, snapshot, population, statistic), what is observed exactly; ``measured`` (condition,
        run, snapshot, population, statistic), the same with fewer units or noise; ``accuracy`` and ``loss``
        (run, snapshot). Coordinates: ``rule``, ``architecture``, ``activation``, ``seed``, ``rate`` (run);
        ``step`` (snapshot); ``depth`` and ``units`` (run, population), the relative depth of the population
        among the hidden ones, 0 to 1, and its size; ``observable`` and ``scale_free`` (statistic);
        ``observed_units`` (0: all), ``snr`` (infinite: no noise) and ``noise`` (condition).
    """
    import xarray as xr

    import cortex_sim

    kept = [run for run in design.runs if "diverged" not in metrics[run.key]]
    if not kept:
        raise DataError(f"study {folder}: every run diverged; give lower rates")
    parts = [_read(folder / run.key / sweep.WORK / TRAJECTORY) for run in kept]
    values = np.stack([part["value"].values for part in parts], axis=1)
    names = statistics.names()
    found = xr.Dataset(
        {
            "value": (DIMS, values[0]),
            "measured": (("condition", *DIMS), values[1:]),
            "accuracy": (DIMS[:2], np.stack([part["accuracy"].values for part in parts])),
            "loss": (DIMS[:2], np.stack([part["loss"].values for part in parts])),
        },
        coords={
            **_of_runs(kept),
            "step": ("snapshot", np.array(design.steps)),
            "population": list(PLACES),
            "depth": (("run", "population"), np.array([_depths(run) for run in kept])),
            "units": (("run", "population"), np.stack([part["units"].values for part in parts])),
            "statistic": names,
            "observable": ("statistic", [statistics.observable_of(name) for name in names]),
            "scale_free": ("statistic", [statistics.is_scale_free(name) for name in names]),
            **_of_conditions(design),
        },
        attrs={
            "data": design.data,
            "batch_size": design.batch_size,
            "probes": design.probes,
            "diverged": json.dumps([run.key for run in design.runs if run not in kept]),
            "version": cortex_sim.__version__,
        },
    )
    _describe(found)
    return found


def _of_runs(runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "run": [run.key for run in runs],
        "rule": ("run", [run.rule for run in runs]),
        "architecture": ("run", [run.architecture.name for run in runs]),
        "activation": ("run", [run.architecture.activation for run in runs]),
        "seed": ("run", [run.seed for run in runs]),
        "rate": ("run", [run.rate for run in runs]),
    }


def _of_conditions(design: Design) -> dict[str, Any]:
    others = design.conditions[1:]
    return {
        "condition": np.array([c.name for c in others], dtype=str),
        "observed_units": ("condition", np.array([c.units or 0 for c in others], dtype=int)),
        "snr": ("condition", np.array([c.snr or np.inf for c in others], dtype=float)),
        "noise": ("condition", np.array([c.noise if c.snr else "none" for c in others], dtype=str)),
    }


def _depths(run: Run) -> list[float]:
    last = len(run.architecture.hidden) - 1
    return [place / last for place in run.architecture.places]


def _describe(found: xr.Dataset) -> None:
    """Units, long names and compression."""
    for name, text in {
        "value": "statistic of a population, all units, without noise",
        "measured": "statistic of a population as observed under a condition",
        "accuracy": "share of test stimuli classified correctly",
        "loss": "mean objective on the test stimuli",
        "depth": "relative depth among hidden populations",
        "units": "units of the population",
        "step": "updates done",
        "rate": "learning rate",
        "observed_units": "units observed of each population, 0 for all",
        "snr": "variance of the observable over that of the noise",
    }.items():
        found[name].attrs = {"units": "1", "long_name": text}
    for variable in found.data_vars.values():
        variable.encoding = {"zlib": True, "complevel": 4}


def _read(path: Path) -> xr.Dataset:
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            return opened.load()
    except (OSError, ValueError, KeyError) as exception:
        raise RunError(
            f"{path}: a run's trajectory is missing or damaged ({exception}); remove {path.parents[1]} and "
            "run the study again"
        ) from None


def load(path: str | Path) -> xr.Dataset:
    """The tidy data set of a study, read into memory.

    Raises
    ------
    DataError
        If there is no such file, or it is not of a study.
    """
    import xarray as xr

    place = require_path("study", path, DataError)
    if not place.is_file():
        raise DataError(f"study {path}: no such file; make it with python protocols/rule_from_trajectory.py")
    try:
        with xr.open_dataset(place, engine="h5netcdf") as opened:
            found = opened.load()
    except (OSError, ValueError, KeyError) as exception:
        raise DataError(f"study {path}: cannot be read ({exception}); use another copy") from None
    if "value" not in found or found["value"].dims != DIMS:
        raise DataError(
            f"study {path}: needs a variable value with dimensions {', '.join(DIMS)}; give a file that "
            "python protocols/rule_from_trajectory.py wrote"
        )
    return found
