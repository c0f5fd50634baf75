"""docs/distributed.md: torchrun and train accept its commands, and its SLURM batch file runs on one node."""

import json
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rank_processes import a_free_port, environment

from cortex_sim.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "distributed.md"
TEXT = PAGE.read_text("utf-8")
COMMANDS = [
    line for line in TEXT.replace("\\\n", " ").splitlines() if re.match(r"(srun |    )torchrun .*-m ", line)
]


@pytest.mark.parametrize("line", COMMANDS, ids=range(len(COMMANDS)))
def test_torchrun_and_train_accept_a_command(line):
    from torch.distributed.run import get_args_parser

    from cortex_sim import commands  # noqa: F401 - registers train

    values = {
        "$SLURM_NNODES": "4",
        "$SLURM_JOB_ID": "7",
        "$FIRST": "node0",
        "$OUT": "x",
        "$RESUME": "--resume",
    }
    for name, value in values.items():
        line = line.replace(name, value)
    words = shlex.split(line)
    given = get_args_parser().parse_args(words[words.index("torchrun") + 1 :])
    assert given.module and given.training_script == "cortex_sim" and given.nproc_per_node in ("2", "4")
    first, *rest = given.training_script_args
    train = typer.main.get_command(app).commands["train"]
    assert first == "train" and train.make_context("train", rest).params["out"].name in (
        "tower",
        "x",
        "imagenet",
    )


def test_commands_are_found():
    assert len(COMMANDS) == 5 and sum(line.startswith("srun") for line in COMMANDS) == 1


SMALL = """
import cortex_sim as cs


def small():
    net = cs.Network("small")
    net.population("retina", shape=(3, 8, 8))
    net.population("IT", 3)
    net.bottom_up("retina", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net
"""


@pytest.mark.slow
def test_the_batch_file_runs_on_one_node_and_resumes(tmp_path):
    """With SLURM's commands replaced by what they do on one node; then again, as after a requeue."""
    from painted_pictures import painted

    (tmp_path / "net.py").write_text(SMALL, encoding="utf-8")
    painted(tmp_path / "shards", [("train", 8), ("val", 2)])
    (batch,) = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
    replaced = {
        "--nproc-per-node 4": "--nproc-per-node 2",
        "gait_imagenet": f"{tmp_path}/net.py:small",
        "--device cuda": "--device cpu",
        "--batch-size 1024 --epochs 90": "--batch-size 8 --epochs 2",
        "workers=7": "workers=1",
        ":29500": f":{a_free_port()}",
    }
    for there, here in replaced.items():
        assert batch.count(there) == 1, there
        batch = batch.replace(there, here)
    (tmp_path / "imagenet.sh").write_text(batch, encoding="utf-8")
    stubs = {
        "srun": '#!/bin/sh\nexec "$@"\n',
        "scontrol": "#!/bin/sh\necho 127.0.0.1\n",
        "torchrun": f'#!/bin/sh\nexec {sys.executable} -m torch.distributed.run "$@"\n',
    }
    for name, text in stubs.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(stat.S_IRWXU)
    env = environment(SLURM_NNODES="1", SLURM_JOB_ID="7", SLURM_JOB_NODELIST="node0")
    env["PATH"] = f"{tmp_path}:{env['PATH']}"

    def submitted():
        found = subprocess.run(
            ["bash", "imagenet.sh"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=900
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert "validation accuracy" in submitted()
    run = tmp_path / "runs/imagenet"
    before = (run / "metrics.json").read_text("utf-8")
    assert json.loads(before)["steps"] == 2 * 3
    submitted()  # a run that has ended is left as it is
    assert (run / "metrics.json").read_text("utf-8") == before
