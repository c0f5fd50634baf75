"""docs/results.md says what benchmarks/results/ holds, no more and no less."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "benchmarks" / "studies").glob("*.yaml"))


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture
def accuracy(benchmark_module):
    return benchmark_module("accuracy")


def test_page_is_what_the_results_make_of_it(accuracy):
    text = accuracy.PAGE.read_text("utf-8")
    assert accuracy.page(text) == text, "run: python benchmarks/accuracy.py page"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_study_names_what_exists(path):
    from cortex_sim import library
    from cortex_sim.rules.base import WORDS

    plan = yaml.safe_load(path.read_text("utf-8"))
    assert plan["model"] in library.names("models")
    assert plan["baseline"] in plan["arms"]
    for arm in plan["arms"].values():
        assert arm["rule"] in WORDS
        assert "config" not in arm or (ROOT / arm["config"]).is_file()


def test_best_rate_is_chosen_on_held_out_presentations_only(accuracy):
    plan = {"choose_epochs": 3, "arms": {"a": {"rates": [0.1, 0.2]}}}
    results = {
        "choose-3/a/0.1": {"test_accuracy": 0.9},
        "choose-3/a/0.2": {"diverged": "..."},
        "choose-10/a/0.2": {"test_accuracy": 0.95},
        "final/a/0.2/seed-0": {"test_accuracy": 0.99},
    }
    assert accuracy.best_rate(plan, results, "a") == 0.1
    assert accuracy.best_rate(plan, {"choose-3/a/0.1": {"test_accuracy": 0.9}}, "a") is None


def test_rates_are_chosen_by_validation_accuracy_where_it_has_its_name(accuracy):
    plan = {"choose_epochs": 3, "arms": {"a": {"rates": [0.1, 0.2]}}}
    results = {
        "choose-3/a/0.1": {"validation_accuracy": 0.8, "test_accuracy": None},
        "choose-3/a/0.2": {"validation_accuracy": 0.9, "test_accuracy": None},
    }
    assert accuracy.best_rate(plan, results, "a") == 0.2


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda p: p.stem
)
def test_results_are_of_runs_that_ended(accuracy, path):
    for key, metrics in json.loads(path.read_text("utf-8")).items():
        assert "diverged" in metrics or (metrics["steps"] > 0 and 0 <= accuracy.reached(metrics) <= 1), key


def test_accuracy_is_that_of_presentations_held_back_where_there_are_some(accuracy):
    assert accuracy.reached({"validation_accuracy": 0.5, "test_accuracy": None}) == 0.5
    assert accuracy.reached({"validation_accuracy": 0.0}) == 0.0
    assert accuracy.reached({"test_accuracy": 0.6}) == 0.6
    assert accuracy.reached({"diverged": "..."}) is None


def test_a_rate_says_whether_it_was_a_choice(benchmark_module):
    rates = benchmark_module("rates")
    assert rates.said(0.01, [0.003, 0.01, 0.03]) == "0.01"
    assert rates.said(0.03, [0.003, 0.01, 0.03]) == rates.said(0.03, [0.1, 0.03]) == "0.03 (edge)"
    assert rates.said(0.003, [0.003]) == "0.003 (the only one)"
    with pytest.raises(ValueError, match="not among those"):
        rates.said(0.002, [0.001, 0.003])


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_rate_at_the_edge_of_its_grid_is_marked(accuracy, path):
    plan, results = yaml.safe_load(path.read_text("utf-8")), accuracy.load_results(path.stem)
    if not plan["seeds"]:
        assert "Held-out accuracy" in accuracy.table(path.stem)
        return
    first = accuracy.table(path.stem).split("\n\n")[0]
    rows = [line.split(" | ") for line in first.splitlines()[2:]]
    said = {row[0].removeprefix("| "): row[1] for row in rows}
    for name, arm in plan["arms"].items():
        grid, rate = arm["rates"], accuracy.best_rate(plan, results, name)
        if rate is not None:
            assert said[name].endswith(")") == (rate not in sorted(grid)[1:-1])


def test_angles_are_means_over_runs_at_the_rate_that_teaches(benchmark_module, tmp_path):
    angles = benchmark_module("angles")
    assert angles.over_training(tmp_path) == []
    lines = [
        {"epoch": e, "rate": r, "angle_to_bp_deg": {"V1->IT": 0.0, "eye->V1": a}, "seconds": 1.0}
        for e, r, a in ((0, 0.1, 90.0), (1, 1.0, 40.0), (2, 0.5, None), (3, 0.2, 20.0), (4, 0.0, 2.0))
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    run = angles.over_training(tmp_path)
    assert run[1] == {"epoch": 1, "rate": 1.0, "angle_to_bp_deg": {"V1->IT": 0.0, "eye->V1": 40.0}}
    upward = ["eye->V1", "V1->IT"]
    rows = angles.table({"one": [run], "two": [run, run], "none": []}, upward)
    assert rows[0] == "| arm | epoch 0 | epoch 1 | epoch 2 | epoch 3 | epoch 4 | mean of 1 to 3 | seeds |"
    assert rows[2:4] == ["| one | 90 | 40 | – | 20 | 2 | 30 | 1 |", "| two | 90 | 40 | – | 20 | 2 | 30 | 2 |"]
    assert rows[-1] == "In each cell: eye->V1."
    assert angles.table({"none": []}, upward) == ["Not run yet."]
    deep = {"epoch": 1, "rate": 1.0, "angle_to_bp_deg": {f"p{i}": 10.0 * i for i in range(7)}}
    rows = angles.table({"deep": [[deep | {"epoch": e} for e in range(3)]]}, [f"p{i}" for i in range(1, 7)])
    assert rows[2] == "| deep | 10 to 50 | 10 to 50 | 10 to 50 | 10 to 50 | 1 |"
    assert rows[-1] == "In each cell: lowest and highest of 5 projections."


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_arms_that_the_page_compares_differ_in_one_thing(path):
    """Arms called hard have the one regulariser; arms called plain have none."""
    for name, arm in yaml.safe_load(path.read_text("utf-8"))["arms"].items():
        if "config" in arm and name.endswith(("_hard", "_plain")):
            regulariser = yaml.safe_load((ROOT / arm["config"]).read_text("utf-8"))["regulariser"]
            assert regulariser == ([{"name": "hard_orthogonality", "every": 8}] if "_hard" in name else [])


def test_angles_and_deviations_of_the_text_are_those_of_the_figure(benchmark_module, accuracy):
    """The arms whose numbers the text gives, at seed 0; gait_prop's angle is the mean over its seeds."""
    rows = benchmark_module("orthogonality").points()
    angle, deviation = (
        {r["arm"]: r[what] for r in rows if r["seed"] == 0} for what in ("angle", "deviation")
    )
    shipped = np.mean([r["angle"] for r in rows if r["arm"] == "gait_prop"])
    text = " ".join(accuracy.PAGE.read_text("utf-8").split())
    for said in (
        f"end at a deviation of {deviation['gait_plain']:.2f}, and during training credit is at "
        f"{angle['gait_plain']:.0f}° to",
        f"(`gait_soft`, deviation {deviation['gait_soft']:.3f}, {angle['gait_soft']:.0f}°)",
        f"hard one (deviation {deviation['gait_prop']:.0f}, {shipped:.0f}°)",
        f"credit is at {angle['learned_hard']:.0f}° to backpropagation's during training",
        f"deviation is {deviation['gait_muon_plain']:.2f} ({deviation['gait_plain']:.2f} with SGD) and the "
        f"angle {angle['gait_muon_plain']:.0f}° ({angle['gait_plain']:.0f}°)",
    ):
        assert said in text


def test_a_subset_is_drawn_once_and_keeps_pairs(benchmark_module, tmp_path):
    x = np.arange(40, dtype=np.float32).reshape(10, 1, 2, 2)
    whole = tmp_path / "set.npz"
    np.savez(whole, x_train=x / 40, y_train=np.arange(10), x_test=x[:2] / 40, y_test=np.arange(2))
    few = benchmark_module("subset").of(whole, 6, tmp_path / "runs")
    assert [p.name for p in few.parent.iterdir()] == ["set-6.npz"]
    kept = np.load(few)
    assert len(set(kept["y_train"].tolist())) == 6
    np.testing.assert_array_equal(kept["x_train"][:, 0, 0, 0] * 10, kept["y_train"])
    whole.unlink()
    assert benchmark_module("subset").of(whole, 6, tmp_path / "runs") == few
