"""`kill -9` from outside, as a user or a cluster does it, in the middle of a checkpoint write."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

import cortex_sim
from cortex_sim.cli import main

TRAIN = "train net.py:small --data ok.npz --batch-size 8 --epochs 3 --checkpoint-every 4"
RULE = "--rule gait_prop --set feedback.refresh=3"

# The program, but its disk is slow: half a checkpoint is written, then for a long time nothing.
SLOW_DISK = """
import os, sys, time
from cortex_sim.runs import files
from cortex_sim.cli import main

write, count = files.save_file, 0

def slow(tensors, path, metadata):
    global count
    count += 1
    write(tensors, path, metadata)
    if count == 4:
        os.truncate(path, os.path.getsize(path) // 2)
        open("half", "w").close()
        time.sleep(600)

files.save_file = slow
sys.exit(main(sys.argv[1:]))
"""


def tensors(run):
    with safe_open(run / "checkpoint.safetensors", framework="np") as opened:
        return {name: opened.get_tensor(name).tobytes() for name in opened.keys()}  # noqa: SIM118


def metrics(run):
    kept = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {key: value for key, value in kept.items() if key != "seconds"}


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(here):
    place = {**os.environ, "PYTHONPATH": str(Path(cortex_sim.__file__).parents[1])}
    place["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, "-c", SLOW_DISK, *TRAIN.split(), *RULE.split(), "--out", "killed"]
    process = subprocess.Popen(command, cwd=here, env=place)
    deadline = time.monotonic() + 120
    while not (here / "half").exists():
        assert process.poll() is None, "ended before it could be killed"
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail("wrote no fourth checkpoint")
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list((here / "killed").glob("checkpoint.safetensors.*.part"))

    resume = [sys.executable, "-m", "cortex_sim", "train", "--resume", "--out", "killed", "--json"]
    done = subprocess.run(resume, cwd=here, env=place, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["steps"] == 18
    assert done.stderr.count("\n") == 1 and "nothing was learned" in done.stderr  # in 18 updates

    assert main([*TRAIN.split(), *RULE.split(), "--out", "whole"]) == 0
    assert tensors(here / "killed") == tensors(here / "whole")
    assert metrics(here / "killed") == metrics(here / "whole")
    assert not list((here / "killed").glob("*.part"))
