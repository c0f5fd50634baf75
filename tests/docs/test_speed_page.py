"""docs/speed.md says what benchmarks/results/speed/ holds."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("speed")


def test_tables_are_what_the_results_make_of_them(speed):
    text = speed.PAGE.read_text("utf-8")
    assert speed.page(text) == text, "run: python benchmarks/speed.py page"


def test_results_name_the_command_that_measured_them(speed):
    kept = sorted(speed.RESULTS.glob("*.json"))
    assert kept
    for path in kept:
        found = json.loads(path.read_text("utf-8"))
        assert found["command"] == f"cortex-sim {speed.COMMANDS[path.stem]} --json"
        assert found["torch"] and found["threads"] == 1
