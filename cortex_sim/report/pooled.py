"""One row for several sessions or animals: the pooled score of every model and population."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cortex_sim.checks import listed, require_known
from cortex_sim.compare.chance import Chance
from cortex_sim.compare.control_warnings import control_warnings
from cortex_sim.compare.course import Course, TimeBin
from cortex_sim.compare.pooling import SeedMean, Session, pooled
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.scores import ScoreRow
from cortex_sim.errors import DataError
from cortex_sim.report.comparing import Cell, Neural, Settings

POOLS = ("sessions", "animals")


def require_poolable(pool: str, data: Mapping[str, Neural | Course]) -> None:
    """Refuse data from which nothing can be drawn, before work starts."""
    require_known("--pool", pool, dict.fromkeys(POOLS), DataError)
    if len(data) < 2:
        raise DataError(
            f"--pool {pool}: there is only one data set, {listed(data)}; add others with --also, or give "
            f"a file with several sessions"
        )
    animals = [animal_of(one) for one in data.values()]
    if pool == "animals" and len(set(animals)) < 2:
        known = f"all are of {animals[0]}" if animals[0] else "the files do not say which animal each is of"
        raise DataError(f"--pool animals: {known}; use --pool sessions, or add the array animal to the files")
    single = sorted({animal for animal in animals if animals.count(animal) < 2})
    if pool == "sessions" and single:
        raise DataError(
            f"--pool sessions: each of {listed(single)} has only one session, so how sessions vary is "
            f"unknown; give more sessions, or use --pool animals"
        )


def animal_of(neural: Neural | Course) -> str:
    """The animal of all units, or nothing where it is unknown or there are several."""
    one = neural.each[0] if isinstance(neural, Course) else neural
    labels = set(np.asarray(one.units.get("animal", [])).astype(str).tolist())
    return labels.pop() if len(labels) == 1 else ""


def pooled_rows(
    cells: Sequence[Cell],
    scores: Sequence[ScoreRow],
    data: Mapping[str, Neural | Course],
    pool: str,
    settings: Settings,
    same_stimuli: bool,
) -> list[ScoreRow]:
    """One row for each model, population, metric and time bin that all data sets have.

    Parameters
    ----------
    cells : sequence of Cell
    scores : sequence of ScoreRow
        Rows of the cells.
    data : mapping of str to Responses, Dissimilarities or Course
    pool : {"sessions", "animals"}
    settings : Settings
    same_stimuli : bool
        Whether equal stimulus ids mean equal stimuli in all data.
    """
    rows = {_key(row.data, row.recording, row.population, row.metric, _time(row)): row for row in scores}
    groups: dict[tuple[str, str, str, TimeBin | None], list[Cell]] = {}
    for cell in cells:
        if not cell.reason:
            key = (cell.entry, cell.population, cell.metric.name, cell.time_bin)
            groups.setdefault(key, []).append(cell)
    found = []
    for of in groups.values():
        if len(of) == len(data):
            each = [rows[_key(c.data, c.entry, c.population, c.metric.name, c.time_bin)] for c in of]
            neural = [_at(data[cell.data], cell.time_bin) for cell in of]
            shared = shared_by_all(neural, same_stimuli)
            found.append(_pooled(of, each, neural, pool, settings, shared))
    return found


def shared_by_all(data: Iterable[Neural | Course], same_stimuli: bool) -> bool:
    """Whether all data are of the same stimuli, in the same order."""
    each = [one.each[0] if isinstance(one, Course) else one for one in data]
    return same_stimuli and all(one.stimuli == each[0].stimuli for one in each)


def _key(data: str, *rest: str | TimeBin | None) -> tuple[str | TimeBin | None, ...]:
    return (data, *rest)


def _time(row: ScoreRow) -> TimeBin | None:
    if row.time_bin_start is None or row.time_bin_end is None:
        return None
    return row.time_bin_start, row.time_bin_end


def _at(neural: Neural | Course, time: TimeBin | None) -> Responses | Dissimilarities:
    if not isinstance(neural, Course):
        return neural
    assert time is not None
    return neural.at(time)


def _pooled(
    cells: Sequence[Cell],
    rows: Sequence[ScoreRow],
    neural: Sequence[Responses | Dissimilarities],
    pool: str,
    settings: Settings,
    shared: bool,
) -> ScoreRow:
    sessions = [
        Session.of(cell.data, SeedMean(cell.evaluations), one, animal_of(one))
        for cell, one in zip(cells, neural, strict=True)
    ]
    mixed = len({row.convention for row in rows}) > 1  # some have no repeats, so no ceiled score
    found = pooled(
        sessions,
        over=pool,
        shared_stimuli=shared,
        level=settings.level,
        resamples=settings.resamples,
        seed=settings.seed,
        raw=mixed,
    )
    weights = found.weights
    raw = float(weights @ [cell.raw for cell in cells])
    chance = _chance([cell.chance for cell in cells], weights)
    untrained = None if mixed else _mean(rows, weights, lambda row: row.control_untrained)
    notes = [
        f"{one.name}: {score:.3f}, {one.neuroids} units, {one.stimuli} stimuli"
        for one, score in zip(sessions, found.scores, strict=True)
    ]
    if mixed:
        notes.append("data without repeats have no ceiled score: raw scores are pooled")
    said = control_warnings(raw, chance, score=found.score, untrained=untrained)
    return replace(
        rows[0],
        data=f"pooled over {pool}",
        score=found.score,
        ci_low=found.interval.low,
        ci_high=found.interval.high,
        raw=raw,
        convention="raw" if mixed else rows[0].convention,
        stimuli=rows[0].stimuli if shared else sum(row.stimuli for row in rows),
        units=sum(row.units for row in rows),
        neuroids=None if rows[0].neuroids is None else sum(row.neuroids or 0 for row in rows),
        repeats=None if any(row.repeats is None for row in rows) else max(row.repeats or 0 for row in rows),
        ceiling=_mean(rows, weights, lambda row: row.ceiling),
        ceiling_high=_mean(rows, weights, lambda row: row.ceiling_high),
        control_shifted=chance.shifted if chance else None,
        control_untrained=untrained,
        control_permuted=chance.permuted if chance else None,
        permuted_sd=chance.spread if chance else None,
        reliability=_mean(rows, weights, lambda row: row.reliability),
        recovery=None,
        excluded={why: sum(row.excluded.get(why, 0) for row in rows) for why in rows[0].excluded},
        interval=f"{settings.level:.0%}: {found.interval.method}",
        notes=tuple(notes),
        warnings=tuple(said),
    )


def _mean(
    rows: Sequence[ScoreRow], weights: np.ndarray, of: Callable[[ScoreRow], float | None]
) -> float | None:
    """Weighted like the score; None where one is unknown."""
    values = [value for value in map(of, rows) if value is not None]
    return float(weights @ values) if len(values) == len(rows) else None


def _chance(each: Sequence[Chance | None], weights: np.ndarray) -> Chance | None:
    """Chance of the weighted mean; sessions are permuted independently, so that variances add up."""
    known = [one for one in each if one is not None]
    if len(known) < len(each):
        return None
    spread = float(np.sqrt(weights**2 @ [one.spread**2 for one in known]))
    return Chance(
        float(weights @ [one.shifted for one in known]),
        float(weights @ [one.permuted for one in known]),
        spread,
        min(one.permutations for one in known),
    )
