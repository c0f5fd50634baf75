"""Outer loops with workers in their run directories: what they report, resuming, and what is refused."""

import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pool_here import PoolHere
from safetensors.numpy import load_file

from cortex_sim import registry
from cortex_sim.cli import main
from cortex_sim.errors import BuildError, DeclarationError, RunError
from cortex_sim.runs.log import RunLog
from cortex_sim.tdca.evolving.run import evolve, saved_settings
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.inner.inner_runs import PersistentRuns
from cortex_sim.tdca.inner.rules import Backprop
from cortex_sim.tdca.outer.nres import NRESSearch
from cortex_sim.tdca.workers import ray_pool
from cortex_sim.tdca.workers.spreading import Workers, spread
from cortex_sim.tdca.workers.worker import Worker

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
    assert "was lost (process of worker 1 ended); another worker repeats its work" in caplog.text
    step = NRESSearch.step

    def stepping(search):
        if search._descent._time == 5:
            raise Killed
        return step(search)

    out = tmp_path / "killed"
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(NRESSearch, "step", stepping)
        evolve(OuterSettings(**SMALL), out, workers=Workers(2))
    resumed = evolve(saved_settings(out), out, resume=True)
    assert resumed["workers"] == 1 and resumed["workers_lost"] == 1


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


@pytest.mark.parametrize("name", ["meta_gradient", pytest.param("nres", marks=pytest.mark.slow)])
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
        (["--workers", "100000"], "inner runs to share, "),
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


@pytest.fixture
def ray_of_tests(monkeypatch):
    """Ray, whose `init` refuses."""
    for name in ("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "RAY_USAGE_STATS_ENABLED", "RAY_ADDRESS", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    ray = ray_pool._ray()
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)

    def init(raised):
        asked = []

        def refuse(**given):
            asked.append(given)
            raise raised

        monkeypatch.setattr(ray, "init", refuse)
        return asked

    return ray, init


def test_what_a_running_ray_answers_is_said_with_the_way_out(ray_of_tests, monkeypatch):
    ray, init = ray_of_tests
    init(ConnectionError("nobody"))
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(RunError, match=r"^\$RAY_ADDRESS auto: no Ray answers \(nobody\); .* or unset it$"):
        ray_pool.RayPool(None, None, Workers(2))
    init(ray.exceptions.AuthenticationError("no token"))
    with pytest.raises(RunError, match=r"^--ray-address auto: refused \(no token.*copy ~/.ray/auth_token"):
        ray_pool.RayPool(None, None, Workers(2, address="auto"))


def test_a_worker_that_can_never_start_ends_the_run(monkeypatch, caplog):
    """On several machines it is waited for: another may be added."""

    class Ended:
        waited = 0

        def wait(self, tickets, timeout):
            self.waited += 1
            return [tickets if self.waited == 2 else [], []]

        def cluster_resources(self):
            return {"node": 0.0}

    monkeypatch.setattr(ray_pool.RayPool, "__init__", lambda self: None)
    monkeypatch.setattr(ray_pool.RayPool, "send", lambda self, rank, method: None)
    monkeypatch.setattr(ray_pool.RayPool, "answer", lambda self, ticket: ray_pool.this_host())
    pool = ray_pool.RayPool()
    pool._ray, pool._cpus, pool._folder = Ended(), 2, Path()
    with pytest.raises(RunError, match=r"^worker 1: cannot start, .* continue with --resume$"):
        pool._await(1)
    pool._ray, pool._folder = Ended(), None
    pool._await(1)
    assert "none of Ray's 0 CPUs is free for it; start another machine" in caplog.text
    other = replace(ray_pool.this_host(), name="node", data={"mnist": {"sha256": "b"}})
    monkeypatch.setattr(ray_pool.RayPool, "answer", lambda self, ticket: other)
    for content, said in (({"sha256": "b"}, None), ({"sha256": "a"}, "node has other data mnist than this")):
        pool._ray, pool._data = Ended(), {"mnist": content, "digits": "digits"}
        with pytest.raises(RunError, match=said) if said else nullcontext():
            pool._await(1)


def test_a_ray_of_ones_own_uses_no_network(ray_of_tests, monkeypatch):
    _, init = ray_of_tests
    assert os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"  # under uv, Ray would install in its workers
    monkeypatch.setenv("RAY_ADDRESS", "local")  # Ray's word for one that is started here
    asked = init(OSError("full"))
    with pytest.raises(RunError, match=r"^--workers 2: Ray could not be started \(full\); its logs are in"):
        ray_pool.RayPool(None, None, Workers(2))
    assert asked[0]["_node_ip_address"] == "127.0.0.1" and not asked[0]["include_dashboard"]
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    Path(asked[0]["_temp_dir"]).rmdir()


def test_a_worker_knows_what_the_user_has_registered(monkeypatch):
    @dataclass(frozen=True)
    class Mine(Backprop):
        """An inner rule of a script that no worker has run."""

    monkeypatch.setitem(registry._TABLES, "inner_rule", {**registry._TABLES["inner_rule"], "mine": Mine})
    own = [each for each in ray_pool._own_classes(ray_pool._ray().cloudpickle) if each[1] == "mine"]
    del registry._TABLES["inner_rule"]["mine"]
    settings = OuterSettings(**{**SMALL, "rule": {"name": "mine"}})
    with pytest.raises(DeclarationError, match="unknown inner_rule 'mine'"):
        Worker(settings, None, 1).begin(slice(0, 2), None, None)
    Worker(settings, None, 1, own).begin(slice(0, 2), None, None)
