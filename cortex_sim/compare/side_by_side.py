"""One model evaluated on many recordings of the same stimuli, by as few fits as the metric allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.compare.metric import Evaluation, Metric, Numbers
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Array, Dissimilarities, Responses
from cortex_sim.errors import DataError


@dataclass(frozen=True, eq=False)
class Some:
    """Some units of an evaluation, as an evaluation."""

    whole: Evaluation
    chosen: Numbers

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return self.whole.stimuli

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.chosen)

    @property
    def known(self) -> Mapping[str, NDArray[Any]]:
        """What is known of the units."""
        return {key: np.asarray(of)[self.chosen] for key, of in self.whole.known.items()}

    def score(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """The score of these units."""
        return self.whole.score(stimuli, self.chosen if units is None else self.chosen[units])

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """The raw score of these units."""
        return self.whole.raw(stimuli, self.chosen if units is None else self.chosen[units])

    @property
    def ceiling(self) -> tuple[float, float] | None:
        """Ceiling of all units."""
        return self.whole.ceiling

    @property
    def reliability(self) -> float | None:
        """Reliability of all units."""
        return self.whole.reliability


def evaluated_on_each(
    metric: Metric, model: Responses, recordings: Sequence[Responses | Dissimilarities], *, seed: int = 0
) -> list[Evaluation]:
    """`metric.evaluate` for each recording; all have the stimuli of the model, in its order.

    A regression fits any number of neuroids at once, so for predictivity the recordings are joined into one
    with many neuroids: folds and scores equal those of single evaluations, in a fraction of the time.

    Raises
    ------
    DataError
        As ``evaluate``; also if no neuroid of a recording can be scored.
    """
    together = [one for one in recordings if isinstance(one, Responses)]
    if not isinstance(metric, Predictivity) or len(together) < len(recordings) or not together:
        return [metric.evaluate(model, one, seed=seed) for one in recordings]
    sizes = [one.neuroids for one in together]
    found = metric.evaluate(model, _joined(together), seed=seed)
    owner = np.repeat(np.arange(len(sizes)), sizes)[found.neuroids]
    parts: list[Evaluation] = []
    for number, one in enumerate(together):
        chosen = np.flatnonzero(owner == number)
        if not len(chosen):
            raise DataError(
                f"responses {one.name}: no neuroid varies and is reliable enough to be scored; leave out "
                f"this recording, or lower min_reliability"
            )
        parts.append(Some(found, chosen))
    return parts


def _joined(recordings: Sequence[Responses]) -> Responses:
    """One recording with the neuroids of all, side by side."""
    first = recordings[0]
    if any(one.stimuli != first.stimuli for one in recordings):
        raise DataError("recordings to evaluate together must have the same stimuli, in the same order")
    if len({one.repeats is None for one in recordings}) > 1:
        raise DataError("recordings to evaluate together must all hold repeats, or all hold only means")
    return replace(
        first,
        name=f"{first.name} and {len(recordings) - 1} more",
        values=np.hstack([one.values for one in recordings]),
        repeats=None if first.repeats is None else _repeats(recordings),
        units={},
    )


def _repeats(recordings: Sequence[Responses]) -> Array:
    """Repeats (repeat, stimulus, neuroid of all), NaN where a recording has fewer repeats."""
    each = [one.repeats for one in recordings if one.repeats is not None]
    most = max(len(one) for one in each)
    full = [np.pad(one, ((0, most - len(one)), (0, 0), (0, 0)), constant_values=np.nan) for one in each]
    return np.concatenate(full, axis=2)
