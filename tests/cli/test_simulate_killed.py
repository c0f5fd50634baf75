"""`kill -9` from outside at any moment of a simulation, again and again: the recording is the same file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cortex_sim

KILLS = 4

PROTOCOL = """
import numpy as np

import cortex_sim as cs


def experiment(seed=0):
    net = cs.Network("small")
    net.population("retina", 6)
    net.population("V1", 5, activation="tanh")
    net.population("V2", 4, activation="tanh")
    net.population("IT", 3)
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "IT")):
        net.bottom_up(pre, post, plasticity="backprop")
    net.objective("IT", "cross_entropy")
    net = net.with_rule("gait_prop_learned")
    images = np.random.default_rng(seed).normal(size=(7, 6))
    gates = {
        "delay_ms": {"V1->V2": 3.0, "V2->V1": 4.0, "retina->V1": 2.0},
        "noise": {"V2->IT": 0.1, "IT->V2": 0.05},
    }
    shown = {"drive": {"retina": images, "V2": cs.Noise(0.1, hold_ms=5)}, "nudge": {"IT": np.arange(7) % 3}}
    phases = [
        cs.Phase("asleep", 20, spontaneous=["V1", "V2"], plasticity=True, **gates),
        cs.Phase("settle", 20, **shown, **gates),
        cs.Phase("learn", 20, plasticity=True, **shown, **gates),
    ]
    record = cs.Record(("rate", "credit"), every_ms=5.0, weights=True)
    learns = cs.Protocol(*phases, trials=25, order="shuffled", record=record, eta_per_s=2.0)
    arms = {"going on": learns.replace(reset=False, trials=12), "reset": learns}
    return cs.Experiment(net, arms, noise=0.1, engine="ENGINE")
"""

# The program, which writes what it has after every trial.
EAGER = """
import sys
from cortex_sim.cli import main
from cortex_sim.recording import recorder

recorder.CHUNK_SECONDS = -1.0
sys.exit(main(sys.argv[1:]))
"""


def started(here, *more):
    place = {**os.environ, "PYTHONPATH": str(Path(cortex_sim.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", EAGER, "simulate", "own.py", *more]
    return subprocess.Popen(command, cwd=here, env=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finished(process):
    _, told = process.communicate(timeout=300)
    assert (process.returncode, told) == (0, b"")


def written(here):
    return {(p.name, p.stat().st_mtime_ns) for p in (here / "killed.nc.parts").rglob("*") if p.is_file()}


def killed(process, here, before, later):
    """Let it write something, go on for a while, and end it; False where it came to its end before that."""
    until = time.monotonic() + 120
    while process.poll() is None and not written(here) - before:
        assert time.monotonic() < until, "wrote nothing"
        time.sleep(0.005)
    time.sleep(later)
    process.kill()
    process.communicate()
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_a_recording_does_not_know_how_often_it_was_killed(engine, tmp_path):
    (tmp_path / "own.py").write_text(PROTOCOL.replace("ENGINE", engine), encoding="utf-8")
    finished(started(tmp_path, "--out", "whole.nc"))
    whole = (tmp_path / "whole.nc").read_bytes()
    rng, before, resume, kills = np.random.default_rng(), set(), [], 0
    while kills < KILLS:
        process = started(tmp_path, "--out", "killed.nc", *resume)
        if killed(process, tmp_path, before, rng.uniform(0, 0.8)):
            before, resume, kills = written(tmp_path), ["--resume"], kills + 1
        else:  # it was done before: from the beginning again, until it has been killed often enough
            assert (tmp_path / "killed.nc").read_bytes() == whole
            (tmp_path / "killed.nc").unlink()
            before, resume = set(), []
    finished(started(tmp_path, "--out", "killed.nc", *resume))
    assert (tmp_path / "killed.nc").read_bytes() == whole
    assert not (tmp_path / "killed.nc.parts").exists()
