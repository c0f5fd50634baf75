"""`kill -9` at any moment of a training run, a simulation or a sweep: it goes on to the same bytes."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from safetensors import safe_open

import cortex_sim
from cortex_sim.experiments import finding, running
from cortex_sim.recording import recorder
from cortex_sim.runs import directory, workers

# Every random stream, every trace and every learned weight that a session can have.
LIVELY = """
import cortex_sim as cs


def experiment(seed=0, trials=14):
    net = cs.model("digits_mlp", hidden=6).with_rule("gait_prop_learned")
    digits = cs.Stimuli("digits", count=trials, seed=seed, standardise=True)
    shown, told = {"retina": digits}, {"IT": digits}
    late, loud = {"IT->V1": 2}, {"V1->IT": 0.02}
    phases = [
        cs.Phase("settle", 10, drive=shown, delay_ms=late),
        cs.Phase("learn", 10, drive=shown, nudge=told, plasticity=True, delay_ms=late, noise=loud),
        cs.Phase("dream", 10, spontaneous=["V1"], plasticity=True),
    ]
    protocol = cs.Protocol(*phases, record=cs.Record(weights=True), eta_per_s=0.5)
    return cs.Experiment(net, {"fast": protocol, "slow": protocol.replace(eta_per_s=0.1)}, noise=0.05)


def short(seed=0):
    return experiment(seed, trials=3)
"""

# The program, but it writes a chunk after every trial.
PROGRAM = """
import sys
from cortex_sim.cli import main
from cortex_sim.recording import recorder

recorder.CHUNK_SECONDS = -1.0
sys.exit(main(sys.argv[1:]))
"""

TRAIN = "train digits_mlp --rule gait_prop_learned --epochs 3 --set checkpoint_every=5 --out"
SIMULATE = "simulate lively.py --out"
SWEEP = "sweep digits_mlp --rule backprop --rule gait_prop --seeds 2 --epochs 2 --set checkpoint_every=5"


def trained(out):
    with safe_open(out / "checkpoint.safetensors", framework="np") as opened:
        tensors = {name: opened.get_tensor(name).tobytes() for name in opened.keys()}  # noqa: SIM118
    lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(text) for text in [*lines, (out / "metrics.json").read_text("utf-8")]]
    assert not list(out.glob("*.part"))
    return tensors, [{k: v for k, v in each.items() if k != "seconds"} for each in found]


def simulated(out):
    assert not out.with_name(f"{out.name}.parts").exists()
    return out.read_bytes()


def swept(out):
    return [(out / name).read_bytes() for name in ("results.csv", "results.json", "test_accuracy.png")]


KINDS = {  # command before its place, what it leaves, how many kills
    "train": (TRAIN, trained, 10),
    "simulate": (SIMULATE, simulated, 10),
    "sweep": (f"{SWEEP} --out", swept, 5),
    "sweep, two processes": (f"{SWEEP} --jobs 2 --out", swept, 5),
}


def started(line, out, here):
    place = {**os.environ, "PYTHONPATH": str(Path(cortex_sim.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    resume = [] if not is_there(out) else ["--resume"]
    command = [sys.executable, "-c", PROGRAM, *line.split(), str(out), *resume]
    return subprocess.Popen(command, cwd=here, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def is_there(out):
    return out.is_file() or directory.stands_at(out) or out.with_name(f"{out.name}.parts").exists()


def begins(process, out, since):
    """Wait until it writes (or ends): before that a kill finds nothing to spoil."""
    while process.poll() is None:
        places = [out, *out.rglob("*"), *out.with_name(f"{out.name}.parts").rglob("*")]
        if any(path.exists() and path.stat().st_mtime_ns > since for path in places):
            return
        time.sleep(0.01)


def ended(process):
    said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    assert "skipped" not in said
    return said


@pytest.mark.slow
@pytest.mark.parametrize("line, left, kills", KINDS.values(), ids=KINDS)
def test_killed_at_random_moments(line, left, kills, tmp_path):
    (tmp_path / "lively.py").write_text(LIVELY, encoding="utf-8")
    began, process = time.time_ns(), started(line, tmp_path / "whole", tmp_path)
    begins(process, tmp_path / "whole", began)
    writing = time.monotonic()
    ended(process)
    seconds = time.monotonic() - writing
    whole, moments, done, compared = left(tmp_path / "whole"), random.Random(0), 0, 0
    while done < kills:
        compared += 1
        out = tmp_path / f"killed-{compared}"
        while True:
            began, process = time.time_ns(), started(line, out, tmp_path)
            if done < kills:
                begins(process, out, began)
                time.sleep(moments.uniform(0.0, 0.5 * seconds))
                process.kill()
                done += process.wait() == -signal.SIGKILL
                process.stdout.close()
            else:
                ended(process)
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL
        assert left(out) == whole
    assert done == kills


# -- quick ones; training has tests/cli/test_killed.py, a sweep tests/runs/test_sweep.py -------------


def test_a_simulation_with_all_there_is_killed_in_the_middle_of_a_chunk(tmp_path, monkeypatch):
    (tmp_path / "lively.py").write_text(LIVELY, encoding="utf-8")
    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    experiment = finding.experiment(f"{tmp_path}/lively.py:short", 0)
    run = {"experiment": experiment, "backend": "brian2", "arms": ["fast"], "progress": False}
    running.run(**run, out=tmp_path / "whole.nc").close()
    pid = os.fork()
    if pid == 0:
        from cortex_sim.runs import files

        save, count = files.save_file, [0]

        def dying(tensors, path, metadata):
            count[0] += 1
            if count[0] == 4:
                path.write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
            save(tensors, path, metadata)

        files.save_file = dying
        try:
            running.run(**run, out=tmp_path / "killed.nc")
        finally:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert (tmp_path / "killed.nc.parts").is_dir()
    running.run(**run, out=tmp_path / "killed.nc", resume=True).close()
    assert simulated(tmp_path / "killed.nc") == simulated(tmp_path / "whole.nc")


def test_a_worker_whose_parent_was_killed_frees_its_job(tmp_path):
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        mine = os.getpid()
        if os.fork() == 0:
            workers._watching.clear()
            workers.end_with(mine)
            with directory.held(tmp_path / "job"):
                os.write(writing, b"held")
                time.sleep(60)
        time.sleep(60)
        os._exit(99)
    os.close(writing)
    assert os.read(reading, 4) == b"held"
    with pytest.raises(directory.Busy), directory.held(tmp_path / "job"):
        pass
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert os.read(reading, 1) == b""  # the last process that could write is ending
    os.close(reading)
    assert is_free(tmp_path / "job", within=10.0)


def is_free(job, within):
    """A process that ends closes its files one by one: the pipe may be closed before the lock is."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            with directory.held(job):
                return True
        except directory.Busy:
            time.sleep(0.01)
    return False


def test_the_process_itself_is_no_worker():
    workers.end_with(os.getpid())
    assert os.getpid() not in workers._watching and threading.current_thread().is_alive()
