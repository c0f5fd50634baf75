"""One row per time bin, for any metric; a bin without a score says why."""

import numpy as np
import pytest
from planted_responses import planted

from cortex_sim.compare.cka import Cka
from cortex_sim.compare.course import Course
from cortex_sim.compare.over_time import evaluations_over_time, over_time
from cortex_sim.compare.rdms import rdm
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.shape_distance import ShapeDistance
from cortex_sim.compare.soft_matching import SoftMatching
from cortex_sim.errors import DataError

BINS = tuple((float(start), start + 50.0) for start in (-50, 0, 50, 100, 150))
GAINS = [0.0, 0.4, 1.5, 0.8, 0.2]
COLUMNS = [
    *("bin", "time_bin_start", "time_bin_end", "score", "raw", "ceiling_low", "ceiling_high"),
    *("reliability", "stimuli", "units", "reason"),
]


def course(each, bins=BINS):
    return Course("IT", tuple(bins), tuple(each))


@pytest.fixture
def recorded():
    """A response that rises and falls over constant noise."""
    true, _ = planted(0, stimuli=25, neuroids=15)
    rng = np.random.default_rng(1)
    each = []
    for (start, _), gain in zip(BINS, GAINS, strict=True):
        repeats = gain * (true.values - true.values.mean(0)) + 0.8 * rng.normal(size=(6, 25, 15))
        each.append(Responses(f"IT {start} ms", true.stimuli, repeats.mean(0), repeats))
    return true, course(each)


@pytest.mark.parametrize("metric", [Rsa(), Cka(), ShapeDistance(), SoftMatching()], ids=lambda m: m.name)
def test_scores_and_reliability_rise_and_fall_with_the_response(metric, recorded):
    rows = over_time(metric, *recorded)
    assert [(row["time_bin_start"], row["time_bin_end"]) for row in rows] == list(BINS)
    assert [row["bin"] for row in rows] == [start + 25 for start, _ in BINS]
    assert all(list(row) == COLUMNS for row in rows)
    for column in ("score", "reliability"):
        values = [row[column] for row in rows]
        assert np.argmax(values) == 2 and values[3] > max(values[0], values[1], values[4])
    assert rows[2]["score"] > 0.7 > rows[0]["score"] + 0.1


def test_rows_are_the_evaluations_of_the_bins(recorded):
    true, neural = recorded
    metric = Rsa(splits=3)
    row, (time, evaluation) = (
        over_time(metric, true, neural, seed=4)[2],
        evaluations_over_time(metric, true, neural)[2],
    )
    alone = metric.evaluate(true, neural.each[2], seed=4)
    assert (row["time_bin_start"], row["time_bin_end"]) == time == BINS[2]
    assert evaluation.raw() == row["raw"] == row["score"] == alone.raw()
    assert (row["ceiling_low"], row["ceiling_high"]) == alone.ceiling
    assert (row["reliability"], row["stimuli"], row["units"]) == (alone.reliability, 25, 15)


def test_a_model_with_time_is_compared_bin_by_bin(recorded):
    true, neural = recorded
    early_and_late = [data if time == BINS[2] else true for time, data in zip(BINS, neural.each, strict=True)]
    rows = over_time(Cka(), course(early_and_late), neural)
    assert rows[2]["score"] == pytest.approx(1)
    assert rows[3]["score"] == pytest.approx(over_time(Cka(), true, neural)[3]["score"])


def test_bins_are_paired_by_their_times_and_stimuli_by_their_ids(recorded):
    """A model whose bins are fewer and in another order, and its stimuli too, has the same scores."""
    true, neural = recorded
    order = np.random.default_rng(2).permutation(len(true))
    mixed = [one.take(order) for one in (neural.each[3], neural.each[2])]
    rows = over_time(Cka(), course(mixed, (BINS[3], BINS[2])), neural)
    assert [row["time_bin_start"] for row in rows] == [50.0, 100.0]
    assert [row["score"] for row in rows] == pytest.approx([1, 1])
    with pytest.raises(DataError, match="no time bin in common"):
        over_time(Cka(), course(mixed, ((0.0, 10.0), (10.0, 20.0))), neural)


def test_a_model_with_time_is_compared_with_data_without(recorded):
    true, neural = recorded
    rows = over_time(Cka(), neural, true)
    assert [row["time_bin_start"] for row in rows] == [start for start, _ in BINS]
    assert np.argmax([row["score"] for row in rows]) == 2
    with pytest.raises(DataError, match="have no time bins; give a Course"):
        over_time(Cka(), true, true)


def test_a_bin_without_a_score_says_why(recorded):
    true, neural = recorded
    silent = Responses("silence", true.stimuli, np.zeros((25, 15)))
    rows = over_time(Rsa(), true, course((silent, *neural.each), ((-100.0, -50.0), *BINS)))
    assert rows[0]["score"] is None and "0 of 15 neuroids of silence vary" in rows[0]["reason"]
    assert rows[3]["reason"] is None and rows[3]["score"] > 0.6
    with pytest.raises(DataError, match="no time bin has a score; -100 to -50 ms: rsa: 0 of 15"):
        over_time(Rsa(), true, course([silent], [(-100.0, -50.0)]))


def test_what_is_unknown_is_none_and_never_nan(recorded):
    true, neural = recorded
    means = course([Responses("means", true.stimuli, data.values) for data in neural.each])
    rows = over_time(Cka(), true, means)
    assert all(row["ceiling_low"] is row["reliability"] is None for row in rows)
    with pytest.raises(DataError, match="these data have no ceiling"):
        over_time(Cka(convention="over_ceiling"), true, means)


def test_rdms_over_time(recorded):
    true, neural = recorded
    of_rdms = course([rdm(data) for data in neural.each])
    assert [r["raw"] for r in over_time(Rsa(), true, of_rdms)] == pytest.approx(
        [r["raw"] for r in over_time(Rsa(), true, neural)]
    )


@pytest.mark.parametrize("bins", [[BINS[0], BINS[0]], [BINS[0]], []])
def test_a_course_has_each_bin_once(recorded, bins):
    with pytest.raises(DataError, match="IT: over time, give each time bin once, .* Got 2 for"):
        course(recorded[1].each[:2], bins)
