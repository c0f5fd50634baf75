"""Recordings evaluated together score what they score alone."""

from dataclasses import replace

import numpy as np
import pytest

from cortex_sim.compare.cka import Cka
from cortex_sim.compare.folds import RandomFolds
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.side_by_side import evaluated_on_each
from cortex_sim.errors import DataError

METRIC = Predictivity(folds=RandomFolds(4), splits=40)


def planted(seed, neuroids, repeats=6, noise=0.7):
    rng = np.random.default_rng(seed)
    model = Responses("V1", range(41), np.random.default_rng(0).normal(size=(41, 13)))
    tuning = model.values @ rng.normal(size=(13, neuroids)) / 13**0.5
    data = tuning + noise * rng.normal(size=(repeats, 41, neuroids))
    return model, Responses(f"data {seed}", model.stimuli, data.mean(0), data)


def test_predictivity_of_many_is_that_of_each():
    model, first = planted(1, 5)
    others = [first, planted(2, 7)[1], planted(3, 3, repeats=4)[1]]
    found = evaluated_on_each(METRIC, model, others)
    sample = np.random.default_rng(4).integers(41, size=41)
    for one, data in zip(found, others, strict=True):
        alone = METRIC.evaluate(model, data)
        assert one.units == alone.units and one.stimuli == 41
        assert one.raw() == pytest.approx(alone.raw(), abs=1e-12)
        assert one.raw(sample, np.array([1, 1, 0])) == pytest.approx(alone.raw(sample, np.array([1, 1, 0])))
        # The halves of the repeats are drawn for all neuroids at once, so that reliabilities differ a little.
        assert one.score() == pytest.approx(alone.score(), abs=0.05)


def test_without_repeats_scores_are_equal():
    model, first = planted(1, 5)
    bare = [replace(one, repeats=None) for one in (first, planted(2, 7)[1])]
    found = evaluated_on_each(METRIC, model, bare)
    assert [one.score() for one in found] == pytest.approx(
        [METRIC.evaluate(model, one).score() for one in bare]
    )


def test_other_metrics_are_evaluated_one_by_one():
    model, first = planted(1, 5)
    second = planted(2, 7)[1]
    found = evaluated_on_each(Cka(), model, [first, second])
    assert [one.raw() for one in found] == [Cka().evaluate(model, one).raw() for one in (first, second)]


def test_what_cannot_be_joined_is_refused():
    model, first = planted(1, 5)
    with pytest.raises(DataError, match="same stimuli, in the same order"):
        evaluated_on_each(METRIC, model, [first, first.take(np.arange(41)[::-1])])
    with pytest.raises(DataError, match="all hold repeats, or all hold only means"):
        evaluated_on_each(METRIC, model, [first, replace(first, repeats=None)])
    still = replace(
        first, name="still", values=np.ones_like(first.values), repeats=np.ones_like(first.repeats)
    )
    with pytest.raises(DataError, match="still: no neuroid varies"):
        evaluated_on_each(METRIC, model, [first, still])
