"""docs/results.md says what benchmarks/results/ holds, no more and no less."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "benchmarks" / "studies").glob("*.yaml"))


@pytest.fixture(scope="module")
def accuracy():
    spec = importlib.util.spec_from_file_location("accuracy", ROOT / "benchmarks" / "accuracy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda p: p.stem
)
def test_results_are_of_runs_that_ended(path):
    for key, metrics in json.loads(path.read_text("utf-8")).items():
        assert "diverged" in metrics or (metrics["steps"] > 0 and 0 <= metrics["test_accuracy"] <= 1), key
