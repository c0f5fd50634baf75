"""docs/results-several-tasks.md says what the kept results are, and names every setting."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

from cortex_sim.tdca.several.search import Joint
from cortex_sim.tdca.several.settings import SeveralSettings
from cortex_sim.tdca.studies.jobs import Folders, is_done

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def several(monkeypatch):
    with monkeypatch.context() as patched:  # no longer: coverage.py there hides the package from evotorch
        patched.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("several_tasks")


def test_page_is_what_the_results_make_of_it(several):
    text = several.PAGE.read_text("utf-8")
    for name in several.several_page.TABLES:
        assert f"<!-- table {name} -->" in text
    assert several.several_page.page(text, several.folders(None)) == text, (
        "run: python benchmarks/several_tasks.py page"
    )


def test_kept_results_are_of_the_jobs_as_they_are(several):
    places = several.folders(None)
    kept = [j for j in several.jobs() if places.kept(j.key) is not None]
    assert kept
    stale = [j.key for j in kept if not is_done(j, places)]
    assert not stale, "run: python benchmarks/several_tasks.py run"


def test_every_job_has_a_name_of_its_own_and_settings_that_hold(several):
    jobs = several.jobs()
    assert len({job.key for job in jobs}) == len(jobs)
    joint = next(job.settings() for job in jobs if job.key == "joint-0")
    for job in jobs:
        if job.seed:
            continue
        settings = job.settings()
        assert settings.iterations == joint.iterations
        for kind in ("supervised", "reinforcement"):
            if hasattr(settings, kind):  # the same inner runs in every arm
                assert getattr(settings, kind) == getattr(joint, kind)
    assert [job.settings().trained_by for job in jobs if job.key == "untrained-0"] == [[]]


def test_tables_say_what_is_missing(several, tmp_path):
    for table in several.several_page.TABLES.values():
        said = "\n".join(table(Folders(tmp_path, tmp_path)))
        assert "not run yet" in said or "| – |" in said


def test_intervals_resample_inner_runs_together(several):
    """With the same noise in both arms their difference has none; a share of a lead is exact then."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(2, 3, 20))
    special, ours = base + 2.0, base + 1.5
    a, b, c = several.several_page.resampled([base, special, ours])
    np.testing.assert_allclose(b - a, 2.0)
    np.testing.assert_allclose((c - a) / (b - a), 0.75)
    error = base.mean(0).std(1, ddof=0) / np.sqrt(20)  # strata are resampled apart
    assert a.std() == pytest.approx(np.sqrt((error**2).sum()) / 3, rel=0.1)
    assert a.mean() == pytest.approx(base.mean(), abs=0.02)


def test_page_names_every_setting(several):
    text = several.PAGE.read_text("utf-8")
    for one in (SeveralSettings, Joint):
        for found in dataclasses.fields(one):
            assert f"`{found.name}`" in text, found.name
