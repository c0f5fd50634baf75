"""docs/results-sequences.md says what benchmarks/results/sequences/sequences.json holds."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from cortex_sim.runs.results import OneFile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("sequences")


def test_tables_are_what_the_results_make_of_them(study):
    text = study.PAGE.read_text("utf-8")
    assert "| e-prop, symmetric | " in text
    assert study.page(text) == text, "run: python benchmarks/sequences.py page"


def test_no_rate_was_chosen_at_the_edge_of_its_grid(study):
    kept = OneFile(study.RESULTS).all()
    found = study.scores(kept)
    assert found
    for name, arms in found.items():
        for arm in arms:
            tried = study.tried_rates(kept, name, arm)
            assert min(tried) < study.chosen(kept, name, arm) < max(tried), (name, arm)


def test_a_grid_goes_on_where_it_stopped(study, monkeypatch, tmp_path):
    """Rates that were tried before count: the best of them at the edge is tried further out."""
    monkeypatch.setattr(study, "RESULTS", tmp_path / "sequences.json")
    monkeypatch.setattr(study, "COARSEST", 1.0)
    best = {"at": 3.0}

    def once(script, results, name, task, arm, rate, seed, part):
        score = -abs(rate - best["at"])
        key = f"{name}: {arm}: rate {rate:g}: seed {seed}"
        results.put(key, {"score": score, "rate": rate, "part": part})

    monkeypatch.setattr(study, "_once", once)
    study.run("digits", ["match"], ["readout only"])
    kept = OneFile(study.RESULTS)
    assert study.tried_rates(kept.all(), "match", "readout only")[-1] == 1.0
    monkeypatch.setattr(study, "COARSEST", 30.0)
    study.run("digits", ["match"], ["readout only"])
    assert study.tried_rates(kept.all(), "match", "readout only")[-2:] == [3.0, 10.0]
    assert study.chosen(kept.all(), "match", "readout only") == 3.0
