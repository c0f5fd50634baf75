"""One row for each score, with all that is needed to judge it, and the tidy table of rows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cortex_sim.compare.bootstrap import Interval
from cortex_sim.compare.chance import Chance
from cortex_sim.compare.control_warnings import control_warnings
from cortex_sim.compare.metric import Evaluation
from cortex_sim.compare.recovery import Recovery
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class ScoreRow:
    """A score, and what a reader needs to judge it. What is unknown is None, never NaN.

    Parameters
    ----------
    recording, population, data, metric : str
        The two sides of the comparison, and the metric.
    time_bin_start, time_bin_end : float, optional
        In ms, where responses in one time bin were compared.
    score, ci_low, ci_high : float
        Score by the convention, and its interval.
    raw : float
        Score before it is divided by a ceiling.
    ceiling, ceiling_high : float, optional
        Bounds of what a perfect model would reach, in units of ``raw``.
    control_shifted, control_permuted, permuted_sd : float, optional
        `Chance` in units of ``raw``: with shifted stimuli, and mean and standard deviation over permutations.
    control_untrained : float, optional
        Score of the untrained network, by the convention.
    reliability : float, optional
        Reliability of the neural data.
    convention : str
    seeds : int
        Number of training seeds over which the score is averaged.
    recovery : float, optional
        Share of recordings simulated from this rule among those that it wins (`Recovery.trusted`).
    neuroids : int, optional
        Number of neuroids; None where the neural data are RDMs.
    stimuli : int
    units : int
        Number of neuroids or RDMs from which the score is computed.
    repeats : int, optional
        The most that any stimulus has; None where the data hold only means.
    excluded : mapping of str to int
        Number of neuroids left out, by reason.
    interval : str
        How the interval was computed.
    notes : tuple of str
        Further remarks on how the score was computed.
    warnings : tuple of str
        Reasons to doubt it: controls that are not where they should be, a score above its ceiling.
    """

    recording: str
    population: str
    data: str
    metric: str
    score: float
    ci_low: float
    ci_high: float
    raw: float
    convention: str
    seeds: int
    stimuli: int
    units: int
    time_bin_start: float | None = None
    time_bin_end: float | None = None
    neuroids: int | None = None
    repeats: int | None = None
    ceiling: float | None = None
    ceiling_high: float | None = None
    control_shifted: float | None = None
    control_untrained: float | None = None
    control_permuted: float | None = None
    permuted_sd: float | None = None
    reliability: float | None = None
    recovery: float | None = None
    excluded: Mapping[str, int] = field(default_factory=dict)
    interval: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.row().items():
            if isinstance(value, float) and not math.isfinite(value):
                raise DataError(
                    f"score of {self.recording} {self.population} on {self.data}: {name} is {value}; give a "
                    f"finite number, or None where it is unknown"
                )

    def row(self) -> dict[str, Any]:
        """Value of each column, in types that JSON can store."""
        row = {column.name: getattr(self, column.name) for column in fields(self)}
        row |= {"excluded": dict(self.excluded), "notes": list(self.notes), "warnings": list(self.warnings)}
        return row


COLUMNS = tuple(column.name for column in fields(ScoreRow))


def score_of(
    evaluation: Evaluation | Sequence[Evaluation],
    interval: Interval,
    *,
    recording: str,
    population: str,
    data: str,
    metric: str,
    convention: str,
    neural: Responses | Dissimilarities,
    chance: Chance | None = None,
    untrained: float | None = None,
    recovery: Recovery | None = None,
    time_bin: tuple[float, float] | None = None,
) -> ScoreRow:
    """The row of one score, from its parts.

    Parameters
    ----------
    evaluation : Evaluation, or one for each training seed
    interval : Interval
        Interval of the same evaluations.
    recording, population, data, metric, convention : str
        If the evaluation has a convention, it replaces ``convention``: scores of data without repeats are
        not divided by a ceiling.
    neural : Responses or Dissimilarities
    chance : Chance, optional
        Chance level of the same networks.
    untrained : float, optional
        Score of the same networks before training, by the convention.
    recovery : Recovery, optional
        With a candidate named ``recording``.
    time_bin : (start, end), optional
        In ms.
    """
    evaluations = list(evaluation) if isinstance(evaluation, Sequence) else [evaluation]
    first = evaluations[0]
    low, high = (None, None) if first.ceiling is None else first.ceiling
    repeats = neural.repeats if isinstance(neural, Responses) else None
    raw = math.fsum(one.raw() for one in evaluations) / len(evaluations)
    said = control_warnings(raw, chance, score=interval.score, untrained=untrained)
    return ScoreRow(
        recording=recording,
        population=population,
        data=data,
        metric=metric,
        score=interval.score,
        ci_low=interval.low,
        ci_high=interval.high,
        raw=raw,
        convention=getattr(first, "convention", convention),
        seeds=len(evaluations),
        stimuli=first.stimuli,
        units=first.units,
        time_bin_start=time_bin[0] if time_bin else None,
        time_bin_end=time_bin[1] if time_bin else None,
        neuroids=first.units if isinstance(neural, Responses) else None,
        repeats=None if repeats is None else len(repeats),
        ceiling=low,
        ceiling_high=high,
        control_shifted=chance.shifted if chance else None,
        control_untrained=untrained,
        control_permuted=chance.permuted if chance else None,
        permuted_sd=chance.spread if chance else None,
        reliability=first.reliability,
        recovery=recovery.trusted(recording) if recovery else None,
        excluded=dict(getattr(first, "excluded", {})),
        interval=f"{interval.level:.0%}: {interval.method}",
        notes=tuple(getattr(first, "notes", ())),
        warnings=(*said, *_above_one(first, interval.score)),
    )


def _above_one(evaluation: Evaluation, score: float) -> list[str]:
    if getattr(evaluation, "convention", "raw") == "raw" or score <= 1:
        return []
    return [f"the score {score:.3f} over its ceiling is above 1: the ceiling is an estimate, and was too low"]


def table(scores: Sequence[ScoreRow]) -> str:
    """The scores as CSV: a header and one line per score; unknown values are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for score in scores:
        row = score.row()
        row["excluded"] = "; ".join(f"{why}: {count}" for why, count in score.excluded.items() if count)
        row |= {"notes": "; ".join(score.notes), "warnings": "; ".join(score.warnings)}
        writer.writerow({name: "" if value is None else value for name, value in row.items()})
    return text.getvalue()


def write_csv(scores: Sequence[ScoreRow], path: str | Path) -> None:
    """Write the table, completely or not at all.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    from cortex_sim.runs.files import whole

    with whole(Path(path)) as part:
        part.write_text(table(scores), encoding="utf-8")
