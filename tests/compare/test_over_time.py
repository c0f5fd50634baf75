"""One row per time bin, for any metric; a bin without a score says why."""

import numpy as np
import pytest
from planted_responses import planted

from cortex_sim.compare.cka import Cka
from cortex_sim.compare.over_time import evaluations_over_time, over_time
from cortex_sim.compare.rdms import rdm
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.shape_distance import ShapeDistance
from cortex_sim.compare.soft_matching import SoftMatching
from cortex_sim.errors import DataError

STARTS = [-50, 0, 50, 100, 150]
GAINS = [0.0, 0.4, 1.5, 0.8, 0.2]
COLUMNS = ["bin", "score", "raw", "ceiling_low", "ceiling_high", "reliability", "stimuli", "units", "reason"]


@pytest.fixture
def recorded():
    """A response that rises and falls over constant noise."""
    true, _ = planted(0, stimuli=25, neuroids=15)
    rng = np.random.default_rng(1)
    bins = []
    for start, gain in zip(STARTS, GAINS, strict=True):
        repeats = gain * (true.values - true.values.mean(0)) + 0.8 * rng.normal(size=(6, 25, 15))
        bins.append((start, Responses(f"IT {start} ms", true.stimuli, repeats.mean(0), repeats)))
    return true, bins


@pytest.mark.parametrize("metric", [Rsa(), Cka(), ShapeDistance(), SoftMatching()], ids=lambda m: m.name)
def test_scores_and_reliability_rise_and_fall_with_the_response(metric, recorded):
    rows = over_time(metric, *recorded)
    assert [row["bin"] for row in rows] == STARTS
    assert all(list(row) == COLUMNS for row in rows)
    for column in ("score", "reliability"):
        values = [row[column] for row in rows]
        assert np.argmax(values) == 2 and values[3] > max(values[0], values[1], values[4])
    assert rows[2]["score"] > 0.7 > rows[0]["score"] + 0.1


def test_rows_are_the_evaluations_of_the_bins(recorded):
    true, bins = recorded
    metric = Rsa(splits=3)
    row, (label, evaluation) = (
        over_time(metric, true, bins, seed=4)[2],
        evaluations_over_time(metric, true, bins)[2],
    )
    alone = metric.evaluate(true, bins[2][1], seed=4)
    assert row["bin"] == label == 50 and evaluation.raw() == row["raw"] == row["score"] == alone.raw()
    assert (row["ceiling_low"], row["ceiling_high"]) == alone.ceiling
    assert (row["reliability"], row["stimuli"], row["units"]) == (alone.reliability, 25, 15)


def test_a_model_with_time_is_compared_bin_by_bin(recorded):
    true, bins = recorded
    early_and_late = [(start, data if start == 50 else true) for start, data in bins]
    rows = over_time(Cka(), early_and_late, bins)
    assert rows[2]["score"] == pytest.approx(1)
    assert rows[3]["score"] == pytest.approx(over_time(Cka(), true, bins)[3]["score"])
    with pytest.raises(DataError, match="the model must have the bins of the neural data"):
        over_time(Cka(), early_and_late[::-1], bins)


def test_a_bin_without_a_score_says_why(recorded):
    true, bins = recorded
    silent = Responses("silence", true.stimuli, np.zeros((25, 15)))
    rows = over_time(Rsa(), true, [(-100, silent), *bins])
    assert rows[0]["score"] is None and "0 of 15 neuroids of silence vary" in rows[0]["reason"]
    assert rows[3]["reason"] is None and rows[3]["score"] > 0.6
    with pytest.raises(DataError, match="no bin has a score; bin -100: rsa: 0 of 15"):
        over_time(Rsa(), true, [(-100, silent)])


def test_what_is_unknown_is_none_and_never_nan(recorded):
    true, bins = recorded
    means = [(start, Responses("means", true.stimuli, data.values)) for start, data in bins]
    rows = over_time(Cka(), true, means)
    assert all(row["ceiling_low"] is row["reliability"] is None for row in rows)
    with pytest.raises(DataError, match="these data have no ceiling"):
        over_time(Cka(convention="over_ceiling"), true, means)


def test_rdms_over_time_and_bins_with_one_label(recorded):
    true, bins = recorded
    of_rdms = [(start, rdm(data)) for start, data in bins]
    assert [r["raw"] for r in over_time(Rsa(), true, of_rdms)] == pytest.approx(
        [r["raw"] for r in over_time(Rsa(), true, bins)]
    )
    with pytest.raises(DataError, match="give bins with unique labels"):
        over_time(Rsa(), true, [bins[0], bins[0]])
