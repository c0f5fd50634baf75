"""docs/results-landscapes.md says what benchmarks/results/landscapes/landscapes.json holds."""

import importlib
from pathlib import Path
from statistics import mean

import pytest

from cortex_sim.runs.results import OneFile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("landscapes")


def test_tables_are_what_the_results_make_of_them(study):
    text = study.PAGE.read_text("utf-8")
    assert "| credit network | " in text
    assert study.page(text) == text, "run: python benchmarks/landscapes.py page"


def test_its_answer_is_what_was_found(study):
    kept = OneFile(study.RESULTS).all()
    assert set(kept) == set(study.DATA)
    for found in kept.values():
        arms, pairs = found["arms"], found["pairs"]
        assert all(len(values) == 12 for arm in arms.values() for values in arm.values())
        assert not any(sum(arm["crossings"]) for arm in arms.values())
        assert max(max(arm["climb"]) for arm in arms.values()) < 0.01
        ours, theirs = arms["credit network"], arms["backpropagation"]
        assert all(a > b for a, b in zip(ours["path"], theirs["path"], strict=True))
        assert all(a > b for a, b in zip(ours["distance"], theirs["distance"], strict=True))
        assert mean(ours["objective"]) > mean(theirs["objective"])
        apart = pairs["credit network | backpropagation"]["barrier"]
        alike = pairs["backpropagation | backpropagation, other presentations"]["barrier"]
        assert min(apart) > 2 * max(alike) and mean(apart) > 20 * mean(alike)
