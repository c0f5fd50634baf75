"""Models against each other by their pooled scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cortex_sim.checks import listed
from cortex_sim.compare.choosing import FEWEST_STIMULI
from cortex_sim.compare.course import Course
from cortex_sim.compare.pooling import SeedMean, Session, paired_pooled, pooled
from cortex_sim.compare.scores import ScoreRow
from cortex_sim.report.comparing import Neural, Settings
from cortex_sim.report.pooled import animal_of, shared_by_all
from cortex_sim.report.ranking import Ranking


def pooled_rankings(
    rankings: Sequence[Ranking],
    scores: Sequence[ScoreRow],
    data: Mapping[str, Neural | Course],
    pool: str,
    settings: Settings,
    same_stimuli: bool,
) -> list[Ranking]:
    """One ranking for each metric by which models are ranked in all data sets.

    In each data set the population of a model is chosen on stimuli on which it is not scored, and its scores
    are pooled; differences between models are taken within data sets.

    Parameters
    ----------
    rankings : sequence of Ranking
        Of single data sets.
    scores : sequence of ScoreRow
        Of single data sets: where they follow several conventions, raw scores are pooled.
    data, pool, settings, same_stimuli
        As for `cortex_sim.report.pooled.pooled_rows`.
    """
    found = []
    for metric in dict.fromkeys(one.metric for one in rankings):
        each = {one.data: one for one in rankings if one.metric == metric}
        if len(each) == len(data):
            rows = [row for row in scores if row.metric == metric and row.time_bin_start is None]
            raw = len({row.convention for row in rows}) > 1
            found.append(_pooled(each, data, pool, settings, shared_by_all(data.values(), same_stimuli), raw))
    return found


def unranked(data: Mapping[str, Neural | Course], pool: str) -> list[str]:
    """A sentence where a data set has too few stimuli for a population to be chosen on half of them."""
    few = [
        label
        for label, one in data.items()
        if not isinstance(one, Course) and len(one.stimuli) < FEWEST_STIMULI
    ]
    if not few:
        return []
    return [
        f"pooled over {pool}: models are not ranked, since there are fewer than {FEWEST_STIMULI} stimuli "
        f"in {listed(few)}"
    ]


def _pooled(
    each: Mapping[str, Ranking],
    data: Mapping[str, Neural | Course],
    pool: str,
    settings: Settings,
    shared: bool,
    raw: bool,
) -> Ranking:
    first = next(iter(each.values()))
    models = {name: _sessions(name, each, data) for name in first.chosen}
    how: dict[str, Any] = {
        "over": pool,
        "shared_stimuli": shared,
        "level": settings.level,
        "resamples": settings.resamples,
        "seed": settings.seed,
        "raw": raw,
    }
    return Ranking(
        f"pooled over {pool}",
        first.metric,
        {name: tuple(one for of in each.values() for one in of.chosen[name]) for name in models},
        {name: pooled(of, **how).interval for name, of in models.items()},
        paired_pooled(models, **how) if len(models) > 1 else None,
        raw,
    )


def _sessions(name: str, each: Mapping[str, Ranking], data: Mapping[str, Neural | Course]) -> list[Session]:
    found = []
    for label, neural in data.items():
        assert not isinstance(neural, Course)  # nothing is ranked over time
        evaluation = SeedMean(each[label].chosen[name])
        found.append(Session.of(label, evaluation, neural, animal_of(neural)))
    return found
