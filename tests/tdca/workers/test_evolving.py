"""Outer loops with workers in their run directories: what they report, resuming, and what is refused."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from pool_here import PoolHere
from safetensors.numpy import load_file

from cortex_sim.cli import main
from cortex_sim.errors import BuildError
from cortex_sim.runs.log import RunLog
from cortex_sim.tdca.evolving.run import evolve, saved_settings
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.inner.inner_runs import PersistentRuns
from cortex_sim.tdca.outer.nres import NRESSearch
from cortex_sim.tdca.workers import ray_pool
from cortex_sim.tdca.workers.spreading import Workers, spread

SMALL = {
    "model_settings": {"inputs": 5, "hidden": [7], "classes": 3},
    "rule": {"name": "tdca", "credit_network": {"name": "dense", "outputs": 3, "channels": 2, "hidden": 3}},
    "tasks": {"kind": "teacher", "widths": [5, 4, 3]},
    "span": {"shortest": 2, "longest": 8, "window": 2, "batch": 4, "validation": 6},
    "searcher": {"name": "nres", "rate": 0.01},
    "lives": 4,
    "iterations": 6,
    "checkpoint_every": 2,
    "testing": {"steps": [3], "lives": 2},
}


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(ray_pool, "RayPool", PoolHere)


class Killed(Exception):
    pass


def test_a_killed_run_is_resumed_with_another_number_of_workers(tmp_path, monkeypatch, here):
    settings, said, step = OuterSettings(**SMALL), [], NRESSearch.step
    monkeypatch.setattr(RunLog, "progress", lambda self, at, total, loss, doing="": said.append(doing))
    alone = evolve(settings, tmp_path / "alone")
    assert alone["workers"] == 1 and not any("workers" in doing for doing in said)
    taken = []

    def stepping(search):
        if len(taken) == 3:
            raise Killed
        taken.append(step(search))
        return taken[-1]

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(NRESSearch, "step", stepping)
        evolve(settings, tmp_path / "killed", workers=Workers(2))
    assert said[-1].startswith("objective ") and said[-1].endswith(", 2 workers")
    out = tmp_path / "killed"
    resumed = evolve(saved_settings(out), out, resume=True, workers=Workers(1))
    assert resumed["workers"] == 1
    ours, theirs = (load_file(tmp_path / name / "outer.safetensors") for name in ("killed", "alone"))
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(*map(torch.from_numpy, (ours[name], theirs[name])), rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(ray_pool, "RayPool", None)  # a finished run starts no workers
    assert evolve(settings, out, resume=True, workers=Workers(2)) == resumed


def test_what_was_lost_is_in_the_metrics(tmp_path, monkeypatch, here, caplog):
    monkeypatch.setattr(ray_pool, "RayPool", lambda *given: PoolHere(*given, lost_at={3}))
    metrics = evolve(OuterSettings(**SMALL), tmp_path / "out", workers=Workers(2))
    assert metrics["workers"] == 2 and metrics["workers_lost"] == 1
    assert "was lost (process of worker 1 ended); what it was doing is done again" in caplog.text


@dataclass(frozen=True)
class Double:
    """Settings whose inner runs compute in double precision."""

    single: OuterSettings

    def search(self) -> Any:
        return self.single.search()

    def problem(self, data_dir):
        s = self.single
        given, phi = s.problem(data_dir)
        parts = given.cohort.body, s.inner_rule(), s.inner_step(), given.tasks.distribution
        copies = bool(self.search().twins)
        runs = PersistentRuns(*parts, s.lives, s.inner_span(), s.seed, copies, torch.float64)
        return runs, phi.double()


@pytest.mark.parametrize("name", ["meta_gradient", "nres"])
def test_workers_differ_from_one_process_by_rounding_alone(name):
    """Which the outer loop amplifies: in double precision it stays far below what single would reach."""
    settings = Double(OuterSettings(**{**SMALL, "searcher": {"name": name, "rate": 0.02}}))
    centres = []
    for workers in (1, 2):
        given, centre = settings.problem(None)
        with spread(Workers(workers), settings, None, given, PoolHere) as work:
            search = settings.search().begin(work.problem, centre, 30, torch.Generator().manual_seed(1))
            for _ in range(15):
                search.step()
        centres.append(search.centre)
    assert (centres[0] - centre).abs().max() > 0.01
    torch.testing.assert_close(centres[0], centres[1], rtol=1e-9, atol=1e-9)


CONFIG = ["evolve", "tdca_digits", "--out"]


@pytest.mark.parametrize(
    "more, message",
    [
        (["--workers", "0"], "Invalid value for '--workers'"),
        (["--workers", "two"], "Invalid value for '--workers'"),
        (["--workers", "100000"], "inner runs to share; give at most"),
        (["--ray-address", "auto"], "--ray-address auto: there are no workers; give --workers 2 or more"),
    ],
)
def test_refused_before_anything_is_written(tmp_path, capsys, more, message):
    assert main([*CONFIG, str(tmp_path / "out"), *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_ray_more_than_one_worker_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        BuildError, match=r"needs ray, but there is no module ray; pip install 'cortex-sim\[tdca\]"
    ):
        ray_pool.RayPool(OuterSettings(**SMALL), None, Workers(2))
