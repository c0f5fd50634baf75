"""A metric at each time bin of neural data."""

from __future__ import annotations

from typing import Any

from cortex_sim.compare.course import Course, TimeBin, aligned
from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.errors import DataError


def evaluations_over_time(
    metric: Metric, model: Responses | Course, neural: Responses | Dissimilarities | Course, *, seed: int = 0
) -> list[tuple[TimeBin, Evaluation | DataError]]:
    """The evaluation of each time bin, or why there is none, as in a bin in which no neuroid varies.

    Parameters
    ----------
    metric : Metric
    model : Responses or Course
    neural : Responses, Dissimilarities or Course
        A side without time is compared with every bin of the other; if both have time, in their common bins.
    seed : int
        The same for all bins, so that they share folds and half-splits.

    Raises
    ------
    DataError
        If neither has time, or both have but no bin in common.
    """
    if not isinstance(model, Course) and not isinstance(neural, Course):
        raise DataError(f"over time: {model.name} and {neural.name} have no time bins; give a Course")
    found = []
    for time, responses, data in aligned(model, neural):
        assert time is not None
        found.append((time, _evaluated(metric, responses, data, seed)))
    return found


def _evaluated(
    metric: Metric, model: Responses, neural: Responses | Dissimilarities, seed: int
) -> Evaluation | DataError:
    try:
        return metric.evaluate(model, neural, seed=seed)
    except DataError as refused:
        return refused


def over_time(
    metric: Metric, model: Responses | Course, neural: Responses | Dissimilarities | Course, *, seed: int = 0
) -> list[dict[str, Any]]:
    """One row per time bin, with the metric's values.

    A row holds ``bin``, its middle in ms, ``time_bin_start``, ``time_bin_end``, ``score``, ``raw``,
    ``ceiling_low``, ``ceiling_high``, ``reliability``, ``stimuli``, ``units`` and ``reason``. What is unknown
    is None, never NaN, and ``reason`` says why a bin has no score. ``pandas.DataFrame(rows)`` makes a table
    of them. Parameters are those of `evaluations_over_time`.

    Raises
    ------
    DataError
        If no bin can be evaluated, with the first one's reason.
    """
    rows = [_row(*found) for found in evaluations_over_time(metric, model, neural, seed=seed)]
    if all(row["score"] is None for row in rows):
        first = rows[0]
        raise DataError(
            f"over time: no time bin has a score; {first['time_bin_start']:g} to {first['time_bin_end']:g} "
            f"ms: {first['reason']}"
        )
    return rows


def _row(time: TimeBin, evaluation: Evaluation | DataError) -> dict[str, Any]:
    start, end = time
    row: dict[str, Any] = {"bin": (start + end) / 2, "time_bin_start": start, "time_bin_end": end}
    row |= dict.fromkeys(
        ("score", "raw", "ceiling_low", "ceiling_high", "reliability", "stimuli", "units", "reason")
    )
    if isinstance(evaluation, DataError):
        return {**row, "reason": str(evaluation)}
    row |= {"raw": evaluation.raw(), "stimuli": evaluation.stimuli, "units": evaluation.units}
    row |= {"reliability": evaluation.reliability}
    if evaluation.ceiling is not None:
        row["ceiling_low"], row["ceiling_high"] = evaluation.ceiling
    try:
        row["score"] = evaluation.score()
    except DataError as refused:  # a ceiling that cannot be divided by
        row["reason"] = str(refused)
    return row
