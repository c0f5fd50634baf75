"""Paired comparison: shared noise cancels, seeds count, p values hold and are corrected for their number."""

from __future__ import annotations

import numpy as np
import pytest
from planted_scores import Mean

from cortex_sim.compare.bootstrap import interval
from cortex_sim.compare.multiple import adjusted
from cortex_sim.compare.paired import paired
from cortex_sim.errors import DataError


def rules(rng, gains, stimuli=40, shared=1.0, own=0.2):
    """Tables of rules that share the effect of each stimulus and differ by their gain and noise."""
    common = shared * rng.normal(size=(stimuli, 1))
    return {
        f"rule {i}": Mean(gain + common + own * rng.normal(size=(stimuli, 3))) for i, gain in enumerate(gains)
    }


def test_what_the_stimuli_do_to_all_rules_cancels():
    given = rules(np.random.default_rng(0), [0.0, 0.25])
    found = paired(given).differences[0]
    values = given["rule 0"].values.mean(1) - given["rule 1"].values.mean(1)
    assert found.difference == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / 40**0.5, rel=0.1)
    assert found.p < 1e-4
    one, two = (interval(each) for each in given.values())
    assert one.high > two.low  # the single intervals overlap


def test_identical_rules_do_not_differ():
    table = Mean(np.random.default_rng(1).normal(size=(30, 2)))
    found = paired({"one": table, "other": table}).differences[0]
    assert (found.difference, found.error, found.p) == (0.0, 0.0, 1.0)


def test_a_constant_lead_is_certain():
    table = np.random.default_rng(2).integers(8, size=(16, 2)) / 4.0
    found = paired({"one": Mean(table + 1), "other": Mean(table)}).differences[0]
    assert found.difference == 1.0 and found.p < 1e-12


def test_every_pair_is_compared_and_read_in_either_order():
    found = paired(rules(np.random.default_rng(3), [0.0, 0.2, 0.5]))
    assert [(one.first[-1], one.second[-1]) for one in found.differences] == [
        ("0", "1"), ("0", "2"), ("1", "2"),
    ]  # fmt: skip
    there, back = found.between("rule 0", "rule 2"), found.between("rule 2", "rule 0")
    assert (back.difference, back.low, back.high, back.p) == (
        -there.difference, -there.high, -there.low, there.p,
    )  # fmt: skip
    assert there.difference == pytest.approx(found.scores["rule 0"] - found.scores["rule 2"])
    with pytest.raises(DataError, match="no rules 'rule 0' and 'oja'"):
        found.between("rule 0", "oja")


@pytest.mark.slow
def test_rules_without_a_difference_are_rarely_found_to_differ():
    """False positives at 5 %, over 300 experiments (binomial spread ±2.5 %); any of three after Holm."""
    rng = np.random.default_rng(4)
    single, family = 0, 0
    for _ in range(300):
        found = paired(rules(rng, [0.0, 0.0, 0.0], stimuli=20), resamples=100).differences
        single += found[0].p < 0.05
        family += min(one.adjusted for one in found) < 0.05
    assert 0.02 < single / 300 < 0.09
    assert family / 300 < 0.08


def seeds(rng, gain, count=3, of_seed=0.3):
    return [Mean(gain + of_seed * rng.normal() + 0.01 * rng.normal(size=(20, 2))) for _ in range(count)]


def test_training_seeds_count_as_members_of_a_population():
    """The difference of two means of 3 and 4 seeds has the variance σ²/3 + σ²/4, whatever the stimuli."""
    rng, errors, differences = np.random.default_rng(5), [], []
    for _ in range(80):
        found = paired({"a": seeds(rng, 0.0), "b": seeds(rng, 0.0, 4)}, resamples=100).differences[0]
        errors.append(found.error**2)
        differences.append(found.difference)
    assert np.mean(errors) == pytest.approx(0.09 * (1 / 3 + 1 / 4), rel=0.3)
    assert found.freedom < 4


def test_seeds_that_share_their_start_are_drawn_together():
    rng = np.random.default_rng(6)
    a = seeds(rng, 0.0)
    b = [Mean(one.values + 0.1 + 0.005 * rng.normal()) for one in a]
    apart, together = (
        paired({"a": a, "b": b}, paired_seeds=shared, resamples=400).differences[0]
        for shared in (False, True)
    )
    assert together.difference == apart.difference
    assert together.error < 0.2 * apart.error
    assert together.p < 0.01 < apart.p
    with pytest.raises(DataError, match="paired_seeds needs the same number of seeds"):
        paired({"a": a, "b": b[:2]}, paired_seeds=True)


def test_fits_are_repeated_on_the_same_halves_for_all_rules():
    table, asked = np.random.default_rng(7).normal(size=(20, 2)), {"a": [], "b": []}

    def refit(name):
        def again(half):
            asked[name].append(half.tolist())
            return Mean(table[half])

        return again

    found = paired({"a": Mean(table), "b": Mean(table)}, refits={"a": refit("a"), "b": refit("b")}, splits=4)
    assert asked["a"] == asked["b"] and len(asked["a"]) == 8
    assert "fitted again" in found.method
    with pytest.raises(DataError, match="refits must be given for every rule, a, b. Got a"):
        paired({"a": Mean(table), "b": Mean(table)}, refits={"a": refit("a")})


def test_holm_steps_down():
    """By hand: .01 · 4, then .02 · 3, .03 · 2 raised to the one before, .04 · 1 likewise."""
    np.testing.assert_allclose(adjusted([0.03, 0.01, 0.04, 0.02]), [0.06, 0.04, 0.06, 0.06])
    assert adjusted([0.5, 0.6]).max() == 1.0


def test_fdr_is_that_of_benjamini_and_hochberg():
    np.testing.assert_allclose(adjusted([0.01, 0.04, 0.03], "fdr"), [0.03, 0.04, 0.04])
    np.testing.assert_allclose(adjusted([0.01, 0.04], "none"), [0.01, 0.04])


@pytest.mark.parametrize(
    "given, said",
    [
        ({"a": Mean(np.zeros((9, 1)))}, "at least two rules. Got a"),
        ({"a": Mean(np.zeros((9, 1))), "b": []}, "no evaluation of b"),
        ({"a": Mean(np.zeros((9, 1))), "b": Mean(np.zeros((8, 1)))}, "same stimuli and units"),
    ],
)
def test_rules_that_cannot_be_compared_are_refused(given, said):
    with pytest.raises(DataError, match=said):
        paired(given)
    with pytest.raises(DataError, match=r"unknown correction 'bonferoni'; known: fdr, holm, none"):
        paired(rules(np.random.default_rng(8), [0, 1]), correction="bonferoni")
    with pytest.raises(DataError, match="numbers from 0 to 1"):
        adjusted([0.5, 1.2])
