"""The page of reinforcement learning says what benchmarks/results/reinforcement/ holds."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("reinforcement")


def test_page_is_what_the_results_make_of_it(study):
    text = study.PAGE.read_text("utf-8")
    for name in study.reinforcement_page.tables(study.folders()):
        assert f"<!-- table {name} -->" in text and f"<!-- end {name} -->" in text
    page = study.reinforcement_page.page(text, study.folders())
    assert page == text, "run: python benchmarks/reinforcement.py page"


def test_every_job_has_settings_that_begin(study):
    jobs = study.jobs([])
    assert len({job.key for job in jobs}) == len(jobs)
    begun = []
    for job in study.jobs(["context_choice"]):
        if job.key.endswith("-3") and hasattr(job, "settings"):
            job.settings().problem(None)
            begun.append(job.key)
    assert len(begun) == len(study.arms("context_choice"))
    assert all(job.key.startswith("acrobot") for job in study.jobs(["acrobot"]))


def test_intervals_are_of_outer_seeds(study):
    mean, low, high, seeds = study.reinforcement_page._interval([1.0, 2.0, 3.0])
    half = 4.302653 * 1.0 / np.sqrt(3)
    np.testing.assert_allclose([mean, low, high, seeds], [2.0, 2 - half, 2 + half, 3], rtol=1e-5)
    assert study.reinforcement_page._interval([1.0]) is None
