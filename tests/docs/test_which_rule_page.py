"""The page on which rule looks like cortex says what benchmarks/results/which_rule/ holds."""

from __future__ import annotations

import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_page_is_what_the_results_make_of_it(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    found = importlib.import_module("which_rule_page")
    text = found.PAGE.read_text("utf-8")
    assert "<!-- scores conv4 -->" in text
    assert found.page(text) == text, "run: python benchmarks/which_rule_page.py --only-page"


def test_the_shorter_list_of_pairs_is_printed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    found = importlib.import_module("which_rule_page")
    pairs = [
        {"first": "a", "second": "b", "difference": -0.2, "p_adjusted": 0.01},
        {"first": "a", "second": "c", "difference": 0.1, "p_adjusted": 0.6},
        {"first": "b", "second": "c", "difference": 0.3, "p_adjusted": 0.001},
    ]
    report = {"comparisons": [{"data": "macaque_v4_210325", "metric": "ridge", "differences": pairs}]}
    monkeypatch.setattr(found, "reports", lambda network: [report])
    assert found.differences("conv4").splitlines()[-1] == (
        "| V4 210325 | ridge | 2 of 3 | all but a – c (0.100) |"
    )
    report["comparisons"][0]["differences"] = pairs[:2]
    assert found.differences("conv4").splitlines()[-1].endswith("| 1 of 2 | b – a (0.200) |")
