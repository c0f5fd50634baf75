"""A metric at each time bin of neural data."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.errors import DataError

TimeBins = Sequence[tuple[Hashable, Responses]]
NeuralTimeBins = Sequence[tuple[Hashable, Responses | Dissimilarities]]


def evaluations_over_time(
    metric: Metric, model: Responses | TimeBins, neural: NeuralTimeBins, *, seed: int = 0
) -> list[tuple[Hashable, Evaluation | DataError]]:
    """The evaluation of each time bin, or why there is none, as in a bin in which no neuroid varies.

    Parameters
    ----------
    metric : Metric
    model : Responses, or sequence of (label, Responses)
        One response to each stimulus, compared with all bins; or responses in the same bins as the data.
    neural : sequence of (label, Responses or Dissimilarities)
        Labels are unique, such as the start of the bin in ms.
    seed : int
        The same for all bins, so that they share folds and half-splits.
    """
    labels = [label for label, _ in neural]
    if not labels or len(set(labels)) < len(labels):
        raise DataError(f"over time: give bins with unique labels, such as their starts in ms. Got {labels}")
    if isinstance(model, Responses):
        models = [model] * len(labels)
    else:
        theirs = [label for label, _ in model]
        if theirs != labels:
            raise DataError(
                f"over time: the model must have the bins of the neural data, {labels}, or none. Got {theirs}"
            )
        models = [responses for _, responses in model]
    return [
        (label, _evaluated(metric, responses, data, seed))
        for responses, (label, data) in zip(models, neural, strict=True)
    ]


def _evaluated(
    metric: Metric, model: Responses, neural: Responses | Dissimilarities, seed: int
) -> Evaluation | DataError:
    try:
        return metric.evaluate(model, neural, seed=seed)
    except DataError as refused:
        return refused


def over_time(
    metric: Metric, model: Responses | TimeBins, neural: NeuralTimeBins, *, seed: int = 0
) -> list[dict[str, Any]]:
    """One row per time bin, of the metric's values in it.

    A row holds ``bin``, ``score``, ``raw``, ``ceiling_low``, ``ceiling_high``, ``reliability``, ``stimuli``,
    ``units`` and ``reason``. What is unknown is None, never NaN, and ``reason`` says why a bin has no score.
    ``pandas.DataFrame(rows)`` makes a table of them. Parameters are those of `evaluations_over_time`.

    Raises
    ------
    DataError
        If no bin can be evaluated, with the first one's reason.
    """
    found = evaluations_over_time(metric, model, neural, seed=seed)
    rows = [_row(label, evaluation) for label, evaluation in found]
    if all(row["score"] is None for row in rows):
        raise DataError(f"over time: no bin has a score; bin {rows[0]['bin']}: {rows[0]['reason']}")
    return rows


def _row(label: Hashable, evaluation: Evaluation | DataError) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(
        ("score", "raw", "ceiling_low", "ceiling_high", "reliability", "stimuli", "units", "reason")
    )
    if isinstance(evaluation, DataError):
        return {"bin": label, **row, "reason": str(evaluation)}
    row |= {"raw": evaluation.raw(), "stimuli": evaluation.stimuli, "units": evaluation.units}
    row |= {"reliability": evaluation.reliability}
    if evaluation.ceiling is not None:
        row["ceiling_low"], row["ceiling_high"] = evaluation.ceiling
    try:
        row["score"] = evaluation.score()
    except DataError as refused:  # a ceiling that cannot be divided by
        row["reason"] = str(refused)
    return {"bin": label, **row}
