"""Rows of scores: the keys of the command's JSON, nothing that is not finite, and the tidy table."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from planted_scores import Overlap, responses

from cortex_sim.compare.bootstrap import interval
from cortex_sim.compare.chance import Chance
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Dissimilarities
from cortex_sim.compare.scores import COLUMNS, ScoreRow, score_of, table, write_csv
from cortex_sim.errors import DataError, RunError

KEYS = {
    "recording", "population", "data", "metric", "score", "ci_low", "ci_high", "ceiling", "control_shifted",
    "control_untrained", "reliability", "convention", "seeds", "recovery", "raw", "neuroids", "stimuli",
    "repeats", "excluded", "notes", "warnings",
}  # fmt: skip

PLAIN = {
    "recording": "backprop", "population": "IT", "data": "V4", "metric": "rsa", "score": 0.5, "ci_low": 0.4,
    "ci_high": 0.6, "raw": 0.3, "convention": "raw", "seeds": 3, "stimuli": 92, "units": 1,
}  # fmt: skip


def test_a_row_has_every_key_and_is_json():
    row = ScoreRow(**PLAIN).row()
    assert set(row) >= KEYS
    assert json.loads(json.dumps(row)) == row
    assert row["ceiling"] is None and row["excluded"] == {} and row["notes"] == []


@pytest.mark.parametrize("key", ["score", "ci_low", "reliability"])
def test_a_row_refuses_what_is_not_finite(key):
    with pytest.raises(DataError, match=f"score of backprop IT on V4: {key} is nan"):
        ScoreRow(**{**PLAIN, key: float("nan")})


def test_a_row_is_made_of_its_parts():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5))
    each = x[:, :4] + 0.5 * rng.normal(size=(6, 60, 4))
    each[:, :, 3] = 1.0
    model, neural = responses(x), responses(each.mean(0), "V4", repeats=each)
    metric = Predictivity(splits=20)
    found = [metric.evaluate(model, neural) for _ in range(2)]
    known = Chance(0.6, 0.01, 0.02, 20)
    row = score_of(
        found, interval(found, resamples=100), recording="backprop", population="IT", data="V4",
        metric="ridge", convention=metric.convention, neural=neural, chance=known, untrained=2.0,
    )  # fmt: skip
    assert (row.seeds, row.stimuli, row.neuroids, row.repeats) == (2, 60, 3, 6)
    assert row.excluded["constant"] == 1
    assert row.score == pytest.approx(found[0].score()) and row.raw == pytest.approx(found[0].raw())
    assert row.ci_low < row.score < row.ci_high
    assert row.convention == "signed_r2_per_neuroid"
    assert row.ceiling == row.ceiling_high and row.reliability > 0.8
    assert (row.control_shifted, row.control_permuted, row.permuted_sd) == (0.6, 0.01, 0.02)
    assert row.control_untrained == 2.0
    assert row.notes == found[0].notes
    shifted, untrained, above = row.warnings
    assert "responses to the preceding stimuli score 0.600" in shifted and "scores 2.000" in untrained
    assert f"the score {row.score:.3f} over its ceiling is above 1" in above
    assert "degrees of freedom" in row.interval


def test_rdms_have_no_neuroids():
    rdms = Dissimilarities("IT", ["a", "b", "c"], [[0.1, 0.2, 0.3]])
    x = np.random.default_rng(1).normal(size=(9, 2))
    evaluation = Overlap().evaluate(responses(x), responses(x**3))
    row = score_of(
        evaluation, interval(evaluation, resamples=100), recording="a", population="IT", data="IT",
        metric="rsa", convention="raw", neural=rdms,
    )  # fmt: skip
    assert row.neuroids is None and row.repeats is None


def test_the_table_is_read_back_by_others(tmp_path):
    import pandas as pd

    rows = [
        ScoreRow(**PLAIN, excluded={"constant": 2, "unreliable": 0}, notes=("ridge, 10 folds", "a; b")),
        ScoreRow(**{**PLAIN, "population": "V1", "ceiling": 0.9}),
    ]
    write_csv(rows, tmp_path / "scores.csv")
    found = pd.read_csv(tmp_path / "scores.csv")
    assert tuple(found.columns) == COLUMNS
    assert found["score"].tolist() == [0.5, 0.5] and found["ceiling"].isna().tolist() == [True, False]
    lines = list(csv.DictReader((tmp_path / "scores.csv").read_text("utf-8").splitlines()))
    assert lines[0]["excluded"] == "constant: 2" and lines[0]["notes"] == "ridge, 10 folds; a; b"
    assert len(table(rows).splitlines()) == 3
    with pytest.raises(RunError, match="create the folder first"):
        write_csv(rows, tmp_path / "nowhere" / "scores.csv")
