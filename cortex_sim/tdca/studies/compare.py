"""Inner runs of an arm as kept on disk, their spread, and paired differences between arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cortex_sim.errors import DataError
from cortex_sim.tdca.studies.jobs import Folders

SEEDS = (0, 1, 2)
BySeed = dict[int, np.ndarray]  # outer seed to accuracy of each inner run


def accuracies_by_seed(
    folders: Folders, name: str, label: str, steps: int, seeds: Sequence[int] = SEEDS
) -> BySeed:
    """Accuracies of an arm, by outer seed; seeds that were not run, and cells that failed, are left out.

    Parameters
    ----------
    folders : Folders
    name : str
        Name of the job.
    label : str
        Tested data: "mnist", "mnist@256", "mnist:units", or the label of a cell.
    steps : int
        Inner steps.
    seeds : sequence of int
        Outer seeds to include.
    """
    found = {}
    for seed in seeds:
        result = folders.kept(f"{name}-{seed}") or {}
        accuracy = result.get("per_life", {}).get(label, {}).get(str(steps))
        if accuracy is not None:
            found[seed] = np.asarray(accuracy, dtype=float)
    return found


def spread(found: Mapping[int, np.ndarray]) -> tuple[float, float] | None:
    """Mean and standard deviation over inner runs and outer seeds together; None if there are none.

    The inner runs are the same under every seed: the spread covers differences between inner runs and between
    outer loops.
    """
    if not found:
        return None
    every = np.concatenate(list(found.values()))
    return float(every.mean()), float(every.std(ddof=1)) if len(every) > 1 else float("nan")


@dataclass(frozen=True)
class Difference:
    """Mean paired difference of accuracy, its 95 % confidence interval, and the number of outer seeds."""

    mean: float
    low: float
    high: float
    seeds: int


def difference(ours: Mapping[int, np.ndarray], theirs: Mapping[int, np.ndarray]) -> Difference | None:
    """Ours minus theirs, paired by outer seed and inner run; a t interval.

    With several seeds in common the unit is the seed, its inner runs averaged: inner runs under one credit
    network are not independent trials of training one. The inner runs are the same under every seed (see
    `cortex_sim.tdca.inner.evaluation.run_to_end`), so that the interval generalises to other outer loops on
    *these* inner runs. With one seed the unit is the inner run, and the interval does not generalise to
    other outer loops. None without a seed in common.

    Raises
    ------
    DataError
        If a seed has different numbers of inner runs on the two sides.
    """
    pairs = _pairs(ours, theirs)
    if not pairs:
        return None
    return _interval(pairs[0] if len(pairs) == 1 else np.array([p.mean() for p in pairs]), len(pairs))


def difference_over_runs(
    ours: Mapping[int, np.ndarray], theirs: Mapping[int, np.ndarray]
) -> Difference | None:
    """Ours minus theirs, each inner run averaged over the outer seeds; a t interval over inner runs.

    It generalises to other inner runs under *these* outer loops, and `difference` to other outer loops on
    these inner runs; neither generalises to both at once. Every seed must have tested the same inner runs.

    Raises
    ------
    DataError
        If seeds or sides have different numbers of inner runs.
    """
    pairs = _pairs(ours, theirs)
    if not pairs:
        return None
    counts = sorted({len(p) for p in pairs})
    if len(counts) > 1:
        raise DataError(
            f"outer seeds have {counts} inner runs; a mean over seeds needs the same inner runs under each"
        )
    return _interval(np.mean(pairs, axis=0), len(pairs))


def _pairs(ours: Mapping[int, np.ndarray], theirs: Mapping[int, np.ndarray]) -> list[np.ndarray]:
    """Differences of each inner run, for every outer seed in common."""
    common = sorted(ours.keys() & theirs.keys())
    for seed in common:
        if len(ours[seed]) != len(theirs[seed]):
            raise DataError(
                f"seed {seed}: {len(ours[seed])} inner runs on one side, {len(theirs[seed])} on the other; "
                f"pairs need the same inner runs, so run both arms with the same testing settings"
            )
    return [ours[seed] - theirs[seed] for seed in common]


def _interval(unit: np.ndarray, seeds: int) -> Difference:
    mean = float(unit.mean())
    if len(unit) < 2:
        return Difference(mean, float("-inf"), float("inf"), seeds)
    half = float(stats.t.ppf(0.975, len(unit) - 1) * unit.std(ddof=1) / np.sqrt(len(unit)))
    return Difference(mean, mean - half, mean + half, seeds)
