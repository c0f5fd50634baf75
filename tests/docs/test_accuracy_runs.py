"""A study's runs are made once, and anew where settings or data are no longer those of a kept result."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "benchmarks" / "studies").glob("*.yaml"))
PLAN = {
    "model": "digits_mlp", "data": "set.npz", "epochs": 1, "seeds": [0], "hold_out": 20, "choose_epochs": 1,
    "baseline": "a", "arms": {"a": {"rule": "backprop", "rates": [1e-3, 1e-2]}},
}  # fmt: skip


@pytest.fixture
def accuracy(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("accuracy")


@pytest.fixture
def place(accuracy, monkeypatch, tmp_path):
    monkeypatch.setattr(accuracy, "study", lambda name: PLAN)
    monkeypatch.setattr(accuracy, "results_path", lambda name: tmp_path / "results" / f"{name}.json")
    monkeypatch.setattr("cortex_sim.viz.curves.learning_curves", lambda lines, path, rule: None)
    write(tmp_path / "set.npz", 0)
    return tmp_path


def write(path, seed):
    rng = np.random.default_rng(seed)
    x = rng.random((200, 64), dtype=np.float32)
    np.savez(path, x_train=x, y_train=np.arange(200) % 10, x_test=x[:20], y_test=np.arange(20) % 10)


def test_runs_are_made_once_and_anew_where_the_data_changed(accuracy, place, capsys):
    def run():
        accuracy.run("few", place, place / "runs", [], None)
        return capsys.readouterr().out.splitlines()

    first = run()
    assert len(first) == 3 and not any("already done" in line or "again" in line for line in first)
    kept = json.loads((place / "results" / "few.json").read_text("utf-8"))
    assert sorted(key.split("/")[0] for key in kept) == ["choose-1", "choose-1", "final"]
    assert all(m["fingerprint"] and m["rule"] == "backprop" and m["over_training"] for m in kept.values())
    assert all(line.endswith(": already done") for line in run())
    os.utime(place / "set.npz", (1, 1))  # another time, the same content
    assert all(line.endswith(": already done") for line in run())
    write(place / "set.npz", 1)
    anew = run()
    assert all(line.endswith("done again: the kept result has another configuration") for line in anew[:2])
    now = json.loads((place / "results" / "few.json").read_text("utf-8"))
    assert all(now[key]["fingerprint"] != kept[key]["fingerprint"] for key in kept if "choose" in key)


def test_a_result_without_a_fingerprint_is_not_taken_for_its_name(accuracy, place, capsys):
    (place / "results").mkdir()
    made = accuracy.choices(PLAN, place)[0]
    old = {made.key: {"test_accuracy": 0.99}}
    (place / "results" / "few.json").write_text(json.dumps(old), "utf-8")
    accuracy.run("few", place, place / "runs", [], [])
    assert "done again" in capsys.readouterr().out.splitlines()[0]
    assert accuracy.load_results("few")[made.key]["fingerprint"] == made.fingerprint


def test_presentations_that_are_left_out_belong_to_the_configuration(accuracy, place):
    some = {**PLAN, "presentations": 150}
    whole, few = accuracy.choices(PLAN, place)[0], accuracy.choices(some, place)[0]
    assert whole.fingerprint != few.fingerprint
    found = accuracy.measured(few, place / "runs" / "run")
    assert found["steps"] == 3 and (place / "runs" / "set-150.npz").is_file()  # 130, 64 a batch


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_kept_results_are_of_the_configurations_that_would_be_run(accuracy, path, real):
    spec, results = yaml.safe_load(path.read_text("utf-8")), accuracy.load_results(path.stem)
    folder = real(spec["data"]).parent
    asked = [*accuracy.choices(spec, folder), *accuracy.finals(spec, results, folder)]
    for job in asked:
        if job.key in results:
            assert results[job.key]["fingerprint"] == job.fingerprint, job.key


def test_every_kept_result_has_a_fingerprint():
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        for found in content.values():
            assert len(found["fingerprint"]) == 64, path
