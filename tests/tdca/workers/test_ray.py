"""Workers as processes of Ray: killed, interrupted, resumed. Each test starts Ray, in tens of seconds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from cortex_sim.errors import RunError

pytestmark = pytest.mark.slow

CONFIG = """
model_settings: {inputs: 64, hidden: [16]}
rule: {name: tdca, credit_network: {name: dense, channels: 4, hidden: 8}}
tasks: {kind: images, sources: [digits], side: 8}
span: {shortest: 20, longest: 100, window: 10, batch: 16}
searcher: {name: nres, rate: 0.01}
iterations: 60
lives: 8
checkpoint_every: 20
testing: {steps: [20], lives: 2}
"""


def started(folder, *more):
    """`evolve` as a process, in a session of its own."""
    (folder / "small.yaml").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "cortex_sim", "evolve", str(folder / "small.yaml"), "--json", *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **pipes)


def wait_for_lines(process, out, count):
    path = out / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if path.is_file() and path.read_text("utf-8").count("\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {count} lines: {process.communicate()[1]}")


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def workers_among(processes):
    return [p for p in processes if p.cmdline() and p.cmdline()[0].startswith("ray::Worker")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run by one process."""
    folder = tmp_path_factory.mktemp("alone")
    process = started(folder, "--out", str(folder / "run"))
    warned = process.communicate(timeout=300)[1]
    assert process.returncode == 0, warned
    return folder / "run"


def require_equal(out, other):
    ours, theirs = (load_file(folder / "checkpoint.safetensors") for folder in (out, other))
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_a_worker_killed_in_mid_generation_changes_nothing(tmp_path, alone):
    out = tmp_path / "run"
    process = started(tmp_path, "--out", str(out), "--workers", "2")
    wait_for_lines(process, out, 3)
    started_by_it = descendants(process)
    workers = workers_among(started_by_it)
    assert len(workers) == 2
    os.kill(workers[0].pid, signal.SIGKILL)
    said, warned = process.communicate(timeout=300)
    assert process.returncode == 0, warned
    metrics = json.loads(said.strip().splitlines()[-1])
    assert metrics["workers"] == 2 and metrics["workers_lost"] == 1
    assert "was lost (The actor died" in warned and "Traceback" not in warned
    require_equal(out, alone)
    assert not [p for p in started_by_it if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_interrupted_with_two_workers_and_resumed_with_one(tmp_path, alone):
    out = tmp_path / "run"
    process = started(tmp_path, "--out", str(out), "--workers", "2")
    wait_for_lines(process, out, 3)
    started_by_it = descendants(process)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does in a terminal
    warned = process.communicate(timeout=120)[1]
    assert process.returncode == 130 and "interrupted; continue with --resume" in warned
    assert "Traceback" not in warned
    assert not [p for p in started_by_it if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not (out / "metrics.json").exists() and load_file(out / "checkpoint.safetensors")
    again = subprocess.run(
        [sys.executable, "-m", "cortex_sim", "evolve", "--resume", "--out", str(out)],
        timeout=300,
        check=False,
    )
    assert again.returncode == 0
    require_equal(out, alone)


def test_no_ray_at_an_address_is_said_at_once(tmp_path):
    began = time.monotonic()
    process = started(
        tmp_path, "--out", str(tmp_path / "run"), "--workers", "2", "--ray-address", "127.0.0.1:1"
    )
    warned = process.communicate(timeout=200)[1]
    assert process.returncode == 2 and "--ray-address 127.0.0.1:1: no Ray answers" in warned
    assert time.monotonic() - began < 150  # Ray alone gives up after four minutes


def test_too_few_processors_are_refused():
    import ray

    from cortex_sim.tdca.workers.ray_pool import RayPool
    from cortex_sim.tdca.workers.spreading import Workers

    os.environ.setdefault("RAY_AUTH_TOKEN", "0" * 64)
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False)
    try:
        with pytest.raises(RunError, match="needs 2 CPUs, 1 per worker, but Ray has 1"):
            RayPool(None, Path(), Workers(2))
        assert ray.is_initialized()  # a Ray that was there before stays
    finally:
        ray.shutdown()
