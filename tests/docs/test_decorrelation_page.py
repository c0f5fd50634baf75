"""docs/decorrelation.md says what benchmarks/results/decorrelation/ holds."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("decorrelation")


def test_table_is_what_the_results_make_of_it(study):
    text = study.PAGE.read_text("utf-8")
    assert "| backpropagation | rates |" in text
    assert study.page(text) == text, "run: python benchmarks/decorrelation.py page"


def test_no_rate_was_chosen_at_the_edge_of_its_grid(study):
    for rule in study.RULES:
        for said in study.READS:
            assert min(study.RATES) < study.chosen(f"{rule}, {said}") < max(study.RATES), (rule, said)
