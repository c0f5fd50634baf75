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


def test_no_rate_of_what_is_compared_was_chosen_at_the_edge_of_its_grid(study):
    kept = OneFile(study.RESULTS).all()
    found = study.scores(kept)
    assert found
    for name, arms in found.items():
        for arm in set(arms) - {"readout only"}:  # which table and page say of it
            tried = study.tried_rates(kept, name, arm)
            assert min(tried) < study.chosen(kept, name, arm) < max(tried), (name, arm)
