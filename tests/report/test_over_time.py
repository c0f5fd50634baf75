"""Scores over time in the report: rows, controls, figure; which bins meet which; what is refused."""

import csv
import json

import numpy as np
import pytest
from planted_scores import responses

import cortex_sim as cs
from cortex_sim.cli import main
from cortex_sim.compare.course import Course, aligned
from cortex_sim.compare.rsa import Rsa
from cortex_sim.errors import DataError
from cortex_sim.recording import save

STARTS = np.array([-50.0, 0.0, 50.0, 100.0])
GAINS = np.array([0.0, 0.5, 3.0, 1.0])
STIMULI, NEUROIDS = 30, 7


def timed(values, starts=STARTS, width=50.0, name="V4", **coordinates):
    """A recording (presentation, neuroid, time_bin) from an array (stimulus[, repeat], neuroid, bin)."""
    import xarray as xr

    repeats = values.shape[1] if values.ndim == 4 else 1
    rate = values.reshape(-1, *values.shape[-2:])
    ids = np.repeat([f"s{i}" for i in range(len(values))], repeats)
    return xr.Dataset(
        {"rate": (("presentation", "neuroid", "time_bin"), rate)},
        coords={
            "stimulus_id": ("presentation", ids),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(rate.shape[1])]),
            "time_bin_start": ("time_bin", starts),
            "time_bin_end": ("time_bin", starts + width),
            **coordinates,
        },
        attrs={"name": name},
    )


@pytest.fixture
def planted():
    """Tuning, and a recording that carries it by `GAINS` over noise, in four repeats."""
    rng = np.random.default_rng(0)
    tuning = rng.normal(size=(STIMULI, NEUROIDS))
    noise = 0.7 * rng.normal(size=(STIMULI, 4, NEUROIDS, len(GAINS)))
    return tuning, timed(tuning[:, None, :, None] * GAINS + noise)


def test_each_bin_has_a_row_equal_to_that_bin_alone(planted):
    tuning, neural = planted
    model = responses(tuning, "truth")
    found = cs.report.compare({"truth": model}, neural, metrics=["rsa"], over_time=True, resamples=100)
    assert [(row["time_bin_start"], row["time_bin_end"]) for row in found.rows] == [
        (start, start + 50) for start in STARTS
    ]
    for number, row in enumerate(found.rows):
        window = (float(STARTS[number]), float(STARTS[number]) + 50)
        alone = cs.report.compare({"truth": model}, neural, metrics=["rsa"], window_ms=window, resamples=100)
        same = alone.rows[0] | {"time_bin_start": window[0], "time_bin_end": window[1]}
        assert row == same
    assert np.argmax([row["score"] for row in found.rows]) == 2
    assert found.rankings == () and "clearly above chance in" in found.sentences[0]
    assert found.sentences[0].endswith("100 ms") or found.sentences[0].endswith("150 ms")


def test_the_command_writes_csv_json_and_a_figure(planted, tmp_path, capsys):
    tuning, neural = planted
    np.savez(
        tmp_path / "it.npz", response_repeats=neural["rate"].values.reshape(STIMULI, 4, NEUROIDS, 4),
        time_bin_start=STARTS, time_bin_end=STARTS + 50, images=np.zeros((STIMULI, 4, 4, 3), np.uint8),
        stimulus_id=[f"s{i}" for i in range(STIMULI)],
    )  # fmt: skip
    save(timed(np.repeat(tuning[:, :, None], 4, 2)).isel(time_bin=0, drop=True), tmp_path / "rec.nc")
    words = ["compare", f"{tmp_path}/rec.nc", f"{tmp_path}/it.npz", "--over-time", "--metric", "ridge"]
    how = ["--resamples", "100", "--window-ms", "-50", "100"]
    assert main([*words, *how, "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    silent = found["without_score"]
    assert [one["time_bin_start"] for one in silent] == [-50.0]
    assert "no neuroid reaches the reliability" in silent[0]["reason"]
    assert [row["time_bin_start"] for row in found["scores"]] == [0.0, 50.0]
    assert all(row["control_shifted"] is not None for row in found["scores"])
    assert any("no score at -50 to 0 ms" in said for said in found["warnings"])
    table = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text("utf-8").splitlines()))
    assert [float(row["time_bin_end"]) for row in table] == [50.0, 100.0]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"scores.csv", "report.json", "over-time-it-ridge.png"}
    assert main([*words, *how]) == 0
    assert "time" in capsys.readouterr().out


def test_a_model_with_time_meets_the_same_bins_or_is_averaged(planted):
    tuning, neural = planted
    late = timed(tuning[:, :, None] * np.array([0.0, 0.0, 0.0, 1.0]) + 1e-3 * neural["rate"].values[::4])
    how = {"metrics": ["rsa"], "controls": False, "resamples": 100}
    rows = cs.report.compare({"late": late}, neural, over_time=True, **how).rows
    truth = cs.report.compare({"late": responses(tuning, "late")}, neural, over_time=True, **how).rows
    assert rows[3]["score"] == pytest.approx(truth[3]["score"], abs=0.05) and rows[2]["score"] < 0.99
    averaged = cs.report.compare(
        {"late": late}, neural, over_time=True, model_window_ms=(100, 150), **how
    ).rows
    assert [row["score"] for row in averaged] == pytest.approx([row["score"] for row in truth], abs=0.05)


def test_a_model_with_time_against_static_data_has_the_models_bins(planted):
    tuning, neural = planted
    static = responses(tuning, "V4")
    found = cs.report.compare(
        {"recorded": neural}, static, metrics=["rsa"], over_time=True, controls=False, resamples=100
    )
    assert [row["time_bin_start"] for row in found.rows] == STARTS.tolist()
    assert np.argmax([row["score"] for row in found.rows]) == 2


def test_bins_in_common_are_compared():
    def course(*starts):
        bins = tuple((float(start), float(start) + 10) for start in starts)
        each = tuple(responses(np.eye(4) * start, f"{start}") for start in starts)
        return Course("course", bins, each)

    found = aligned(course(0, 10, 20), course(10, 20, 30))
    assert [(time, model.name, data.name) for time, model, data in found] == [
        ((10.0, 20.0), "10", "10"),
        ((20.0, 30.0), "20", "20"),
    ]
    with pytest.raises(DataError, match="no time bin in common"):
        aligned(course(0, 10), course(5, 15))


def test_sessions_with_time_are_courses_of_their_own(planted):
    _, neural = planted
    labelled = neural.assign_coords(session=("neuroid", ["a"] * 3 + ["b"] * 4))
    model = responses(np.random.default_rng(3).normal(size=(STIMULI, 5)), "model")
    rows = cs.report.compare(
        {"model": model}, labelled, metrics=["rsa"], over_time=True, controls=False, resamples=100
    ).rows
    assert [(row["data"], row["units"]) for row in rows] == [("V4 a", 3)] * 4 + [("V4 b", 4)] * 4


def test_a_population_without_a_score_in_any_bin_is_refused(planted):
    _, neural = planted
    flat = responses(np.zeros((STIMULI, 3)), "flat")
    with pytest.raises(DataError, match="V4: no time bin has a score; -50 to 0 ms"):
        cs.report.compare({"flat": flat}, neural, metrics=[Rsa()], over_time=True)


BAD = {
    "time not asked for": ({}, "V4: has 4 time bins (-50 to 150 ms, 50 ms each); average them in a window"),
    "window between bins": ({"window_ms": (0, 70)}, "must begin and end with a time bin"),
    "width without time": ({"bin_ms": 10.0}, "bin_ms"),
    "a window of models without time": ({"over_time": True, "model_window_ms": (0, 50)}, "leave it out"),
    "recovery": ({"over_time": True, "simulations": 2}, "leave --over-time out"),
}


@pytest.mark.parametrize("how, said", BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused(how, said, planted):
    tuning, neural = planted
    with pytest.raises(DataError) as refused:
        cs.report.compare({"truth": responses(tuning, "truth")}, neural, metrics=["rsa"], **how)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_models_with_time_are_refused_unless_a_window_is_given(planted):
    tuning, neural = planted
    how = {"metrics": ["rsa"], "controls": False, "resamples": 100}
    with pytest.raises(DataError, match="late: has 4 time bins .*--model-window-ms"):
        cs.report.compare({"late": neural}, responses(tuning, "V4"), **how)
    with pytest.raises(DataError, match="late: --model-window-ms 0 60 must begin and end"):
        cs.report.compare({"late": neural}, responses(tuning, "V4"), model_window_ms=(0, 60), **how)
    one = cs.report.compare({"late": neural}, responses(tuning, "V4"), model_window_ms=(50, 150), **how)
    assert one.rows[0]["time_bin_start"] is None and one.rows[0]["score"] > 0.8
    with pytest.raises(DataError, match="V4 and the models have no time bins; give --bin-ms"):
        cs.report.compare({"m": responses(tuning, "m")}, responses(tuning, "V4"), over_time=True)
