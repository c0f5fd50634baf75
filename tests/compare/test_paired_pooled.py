"""Differences of pooled scores: those within sessions, drawn at one level, corrected for their number."""

from __future__ import annotations

import numpy as np
import pytest
from planted_scores import Mean
from scipy.stats import t

from cortex_sim.compare.pooling import Session, paired_pooled, pooled
from cortex_sim.errors import DataError

ANIMALS, SESSIONS = 3, 4
GAINS = {"a": 0.0, "b": 0.4, "c": 0.1}


def tables(seed, stimuli=12, neuroids=5, common=5.0):
    """Of each model and session a table of scores; what sessions share varies most."""
    rng = np.random.default_rng(seed)
    shared = common * rng.normal(size=ANIMALS * SESSIONS)
    return {
        name: [gain + one + 0.1 * rng.normal() + 0.2 * rng.normal(size=(stimuli, neuroids)) for one in shared]
        for name, gain in GAINS.items()
    }


def sessions(of):
    return [Session(f"day {i}", Mean(one), f"animal {i // SESSIONS}") for i, one in enumerate(of)]


def models(given):
    return {name: sessions(of) for name, of in given.items()}


@pytest.mark.parametrize("over", ["animals", "sessions"])
def test_variance_and_p_are_those_of_differences_within_sessions(over):
    given = tables(0)
    found = paired_pooled(models(given), over=over, resamples=4000)
    assert found.correction == "holm" and f"over {over}" in found.method
    p = []
    for one in found.differences:
        d = np.array([x.mean() - y.mean() for x, y in zip(given[one.first], given[one.second], strict=True)])
        d = d.reshape(ANIMALS, SESSIONS)
        variance, freedom = {
            "animals": (d.mean(1).var(ddof=1) / ANIMALS, ANIMALS - 1),
            "sessions": ((d.var(axis=1, ddof=1) / SESSIONS).sum() / ANIMALS**2, ANIMALS * (SESSIONS - 1)),
        }[over]
        assert one.difference == pytest.approx(d.mean()) and one.freedom == freedom
        assert one.error == pytest.approx(variance**0.5, rel=0.05)
        assert one.p == pytest.approx(2 * t.sf(abs(one.difference) / one.error, freedom))
        reach = t.ppf(0.975, freedom) * one.error
        assert (one.low, one.high) == pytest.approx((one.difference - reach, one.difference + reach))
        p.append(one.p)
    order = np.argsort(p)
    holm = np.minimum(np.maximum.accumulate(np.array(p)[order] * [3, 2, 1]), 1)
    assert [found.differences[i].adjusted for i in order] == pytest.approx(holm.tolist())
    assert found.scores == pytest.approx({name: np.mean(of) for name, of in given.items()})


@pytest.mark.parametrize("over, shared", [("animals", False), ("sessions", True), ("neuroids", False)])
def test_a_difference_is_the_pooled_score_of_the_difference(over, shared):
    """Scores are linear here, so that the table of differences pooled alone has the same draws."""
    given = tables(1)
    how = {"over": over, "shared_stimuli": shared, "resamples": 200, "seed": 3}
    found = paired_pooled(models(given), **how).between("b", "a")
    alone = pooled(sessions([x - y for x, y in zip(given["b"], given["a"], strict=True)]), **how)
    assert found.difference == pytest.approx(alone.score, abs=1e-12)
    assert found.error == pytest.approx(alone.interval.error, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((alone.interval.low, alone.interval.high), rel=1e-9)


def test_what_sessions_share_hides_no_difference():
    given = models(tables(2))
    found = paired_pooled(given, over="sessions").between("b", "a")
    alone = [pooled(given[name], over="sessions").interval for name in "ab"]
    assert alone[0].low < alone[1].score < alone[0].high  # intervals overlap wholly
    assert found.adjusted < 0.05 and found.low > 0


@pytest.mark.slow
def test_under_no_difference_few_are_found():
    """p is uniform where models are alike: of 100 studies about 5 % are below 0.05."""
    rng, low = np.random.default_rng(3), 0
    for seed in range(100):
        given = {
            name: sessions([rng.normal(size=(6, 2)) for _ in range(ANIMALS * SESSIONS)]) for name in "ab"
        }
        low += paired_pooled(given, resamples=100, seed=seed).differences[0].p < 0.05
    assert low < 12


def test_equal_models_do_not_differ():
    given = tables(4)
    found = paired_pooled({"a": sessions(given["a"]), "again": sessions(given["a"])}).differences[0]
    assert (found.difference, found.p) == (0.0, 1.0) and found.error < 1e-12


def test_what_cannot_be_compared_is_refused():
    given = models(tables(5))
    with pytest.raises(DataError, match="give at least two models to compare. Got a"):
        paired_pooled({"a": given["a"]})
    with pytest.raises(DataError, match="a, b have different sessions; give every model the same"):
        paired_pooled({"a": given["a"], "b": given["b"][::-1]})
    with pytest.raises(DataError, match="unique names"):
        paired_pooled({"a": given["a"], "b": given["b"] + given["b"][:1]})
    with pytest.raises(DataError, match="pooling over animals: there is only one"):
        paired_pooled({name: of[:2] for name, of in given.items()}, over="animals")
