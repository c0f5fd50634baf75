"""What a reader must know before believing a score, one sentence after the other."""

from __future__ import annotations

from collections.abc import Sequence

from cortex_sim.compare.scores import ScoreRow


def warnings_about(scores: Sequence[ScoreRow]) -> list[str]:
    """The warnings of all rows, each with the row that it is about."""
    return [f"{_what(row)}: {said}" for row in scores for said in row.warnings]


def _what(row: ScoreRow) -> str:
    return f"{row.recording} {row.population}, {row.data}, {row.metric}"
