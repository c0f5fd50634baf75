"""``cortex-sim compare``: seeds grouped, planted data found, files written, bad input refused in one line."""

import csv
import json

import numpy as np
import pytest

from cortex_sim.cli import main


def compare(folder, capsys, *words):
    status = main(
        ["compare", *(str(folder / w) if w.startswith(("backprop-", "fa-")) else w for w in words), "--json"]
    )
    out, error = capsys.readouterr()
    assert status == 0, error
    return json.loads(out.splitlines()[-1])


def by(rows, **which):
    return [row for row in rows if all(row[key] == value for key, value in which.items())]


def test_the_planted_population_is_found_and_seeds_are_one_entry(folder, capsys, tmp_path):
    out = tmp_path / "out"
    found = compare(
        folder, capsys, "backprop-0", "backprop-1", "fa-0", "pixels", str(folder / "v4.npz"),
        "--metric", "ridge", "--metric", "rsa", "--resamples", "100", "--out", str(out),
    )  # fmt: skip
    rows = found["scores"]
    assert [row["seeds"] for row in by(rows, recording="backprop")] == [2] * 6
    assert {row["recording"] for row in rows} == {"backprop", "feedback_alignment", "pixels"}
    for row in rows:
        assert row["ci_low"] <= row["score"] <= row["ci_high"]
        assert row["stimuli"] == 60 and row["repeats"] == 4 and row["ceiling"] <= 1
        assert abs(row["control_permuted"]) < 0.15
    trained = by(rows, recording="backprop", metric="ridge")
    assert max(trained, key=lambda row: row["score"])["population"] == "V2"
    assert all(row["control_untrained"] is not None for row in trained)
    assert by(rows, recording="pixels", metric="ridge")[0]["control_untrained"] is None
    pairs = found["comparisons"][0]
    assert {one["recording"] for one in pairs["best"]} == {"backprop", "feedback_alignment", "pixels"}
    assert pairs["correction"] == "holm" and len(pairs["differences"]) == 3
    with (out / "scores.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [float(row["score"]) for row in table] == [row["score"] for row in rows]
    assert json.loads((out / "report.json").read_text("utf-8"))["scores"] == rows
    assert {"scores.png", "neuroids-v4.png", "rdms-v4.png"} <= {path.name for path in out.iterdir()}


def test_a_planted_run_alone_reaches_its_ceiling(folder, capsys):
    rows = compare(
        folder, capsys, "backprop-0", str(folder / "v4.npz"), "--population", "V2", "--metric", "ridge"
    )["scores"]
    assert len(rows) == 1 and 0.9 < rows[0]["score"] < 1.05
    assert rows[0]["convention"] == "signed_r2_per_neuroid" and rows[0]["raw"] < rows[0]["ceiling"] + 0.02
    assert (
        rows[0]["reliability"] == pytest.approx(rows[0]["ceiling"] ** 2, abs=0.02) and rows[0]["seeds"] == 1
    )


@pytest.mark.slow
def test_recordings_and_named_entries_give_what_runs_give(folder, capsys, tmp_path):
    recorded = tmp_path / "rec.nc"
    words = f"respond {folder}/backprop-0 --stimuli {folder}/v4.npz:images --population V2 --variable rate"
    assert main([*words.split(), "--out", str(recorded)]) == 0
    capsys.readouterr()
    how = (str(folder / "v4.npz"), "--metric", "rsa", "--no-controls", "--population", "V2")
    direct = compare(folder, capsys, "backprop-0", *how)["scores"]
    stored = compare(folder, capsys, f"mine={recorded}", *how)["scores"]
    assert stored[0]["recording"] == "mine" and direct[0]["recording"] == "backprop"
    assert stored[0]["score"] == pytest.approx(direct[0]["score"], abs=1e-6)
    assert stored[0]["control_shifted"] is None


@pytest.mark.slow
def test_an_untrained_model_among_runs_takes_a_preprocessing_and_they_keep_theirs(folder, capsys):
    how = (str(folder / "v4.npz"), "--metric", "rsa", "--no-controls", "--population", "V2")
    model = f"naive={folder}/net.py:small"
    both = compare(folder, capsys, "backprop-0", model, *how, "--like", "none")["scores"]
    assert [row["recording"] for row in both] == ["backprop", "naive"]
    assert both[0] == compare(folder, capsys, "backprop-0", *how)["scores"][0]
    alone = compare(folder, capsys, model, *how, "--like", f"{folder}/fa-0")["scores"][0]
    assert alone["score"] != both[1]["score"]  # its own preprocessing is what --like says


def test_a_file_of_rdms_is_read_by_rsa(folder, capsys, tmp_path):
    rng = np.random.default_rng(1)
    with np.load(folder / "v4.npz") as held:
        images, mean = held["images"], held["response_repeats"].mean(1)
    pairs = np.triu_indices(60, 1)
    rdm = 1 - np.corrcoef(mean)[pairs]
    subjects = np.stack([rdm + 0.05 * rng.normal(size=rdm.shape) for _ in range(3)])
    np.savez(tmp_path / "rdms.npz", subjects=subjects, images=images)
    row = compare(folder, capsys, "backprop-0", f"{tmp_path}/rdms.npz:subjects", "--population", "V2")[
        "scores"
    ][0]
    assert row["metric"] == "rsa" and row["units"] == 3 and row["data"] == "subjects"
    assert 0 < row["score"] <= row["ceiling_high"] + 0.1


BAD = {
    "one word": (["{v4}"], "give at least one recording"),
    "no such run": (["runs/none", "{v4}"], "no such file or run directory"),
    "no such metric": (["{run}", "{v4}", "--metric", "cosine"], "metric 'cosine'"),
    "a setting nobody takes": (
        ["{run}", "{v4}", "--metric", "cka", "--folds", "blocked"],
        "--folds: is for pls, ridge, not for cka",
    ),
    "population": (["{run}", "{v4}", "--population", "V7"], "'V7'"),
    "no neural data": (["{run}", "none.npz"], "none.npz"),
    "untrained without preprocessing": (["conv4", "{v4}"], "--like"),
    "no stimuli": (["pixels", "{bare}"], "needs the stimuli"),
    "no time": (["{run}", "{v4}", "--over-time"], "have no time bins; give --bin-ms"),
    "bins without time": (["{run}", "{v4}", "--bin-ms", "10"], "--bin-ms 10: is for --over-time"),
    "bins of counts": (["{run}", "{v4}", "--over-time", "--bin-ms", "10"], "holds no spike times"),
    "folder exists": (["{run}", "{v4}", "--out", "{folder}"], "already exists"),
}


@pytest.mark.parametrize("words, said", BAD.values(), ids=BAD)
def test_bad_input_is_one_line(words, said, folder, capsys, tmp_path):
    np.savez(tmp_path / "bare.npz", response_mean=np.random.default_rng(0).normal(size=(8, 3)))
    places = {
        "v4": folder / "v4.npz",
        "run": folder / "backprop-0",
        "folder": folder,
        "bare": tmp_path / "bare.npz",
    }
    status = main(["compare", *(word.format(**places) for word in words)])
    out, error = capsys.readouterr()
    assert status == 2 and out == ""
    assert len(error.splitlines()) == 1 and said in error


def test_stimuli_that_were_not_presented_are_named(folder, capsys, tmp_path):
    few = f"{tmp_path}/few.nc"
    words = f"respond {folder}/backprop-0 --stimuli {folder}/v4.npz:images --count 10 --variable rate"
    assert main([*words.split(), "--out", few]) == 0
    status = main(["compare", few, str(folder / "v4.npz")])
    error = capsys.readouterr().err
    assert status == 2 and "50 of 60 stimuli of the neural data were not presented" in error


@pytest.mark.slow
def test_a_window_counts_spikes_and_must_fit_bins(folder, capsys, tmp_path):
    rng = np.random.default_rng(2)
    count = 4000
    spikes = {
        "time_ms": rng.uniform(0, 100, count),
        "neuron": rng.integers(0, 6, count),
        "trial": rng.integers(0, 120, count),
        "stimulus_id": np.array([str(i % 60) for i in range(120)]),
    }
    np.savez(tmp_path / "spikes.npz", **spikes)
    how = ("--stimuli", f"{folder}/v4.npz:images", "--metric", "cka", "--no-controls", "--population", "V2")
    window = ("--window-ms", "10", "45")  # no multiple of the usual width of bins
    row = compare(folder, capsys, "backprop-0", f"{tmp_path}/spikes.npz", *how, *window)["scores"][0]
    inside = (spikes["time_ms"] >= 10) & (spikes["time_ms"] < 45)
    held = np.zeros((120, 6))
    np.add.at(held, (spikes["trial"][inside], spikes["neuron"][inside]), 1000 / 35)
    np.savez(tmp_path / "counted.npz", response=held, stimulus_id=spikes["stimulus_id"])
    same = compare(folder, capsys, "backprop-0", f"{tmp_path}/counted.npz", *how)["scores"][0]
    assert row["score"] == pytest.approx(same["score"], abs=1e-9) and row["units"] == 6
    assert main(["compare", str(folder / "backprop-0"), str(folder / "v4.npz"), *window]) == 2
    assert "--window-ms 10 45" in capsys.readouterr().err
