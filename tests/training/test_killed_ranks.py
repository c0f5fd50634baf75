"""Two ranks with workers under ``torchrun``, killed at random moments, end as if nothing had happened."""

import json
import random
import time

import pytest
from job import Job
from painted_pictures import painted
from safetensors import safe_open

from cortex_sim.cli import main

MODEL = """
import cortex_sim as cs


def small():
    net = cs.Network("small")
    net.population("retina", shape=(3, 10, 8))
    net.population("V1", shape=(4, 5, 4), activation="leaky_relu", normaliser=cs.BatchNorm(), dropout=0.2)
    net.population("V2", 7, activation="leaky_relu")
    net.population("IT", 3)
    hard = cs.HardOrthogonality(every=2)
    net.bottom_up("retina", "V1", cs.Conv2d(kernel=2, stride=2), plasticity="backprop")
    net.bottom_up("V1", "V2", plasticity="backprop", regulariser=hard)
    net.bottom_up("V2", "IT", plasticity="backprop", regulariser=hard)
    net.objective("IT", "cross_entropy")
    return net.with_rule("gait_prop", refresh=4)
"""
AUGMENTATION = [{"name": "random_resized_crop", "scale": [0.3, 1.0]}, "flip"]
PER_EPOCH = 26  # updates, of 8 of 210 pictures, the last of 2
COMMON = ["--batch-size", "8", "--epochs", "24", "--checkpoint-every", "5"]
COMMON += ["--set", f"augmentation={json.dumps(AUGMENTATION)}", "--set", "ema_decay=0.9"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """A model and shards of pictures, one of them damaged; its whole batches are the same on any ranks."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "net.py").write_text(MODEL, encoding="utf-8")
    painted(folder / "set", [("train", 70), ("val", 4)])
    (folder / "set/train/a-b/p.4.PNG").write_bytes(b"junk")
    assert main(["shard", f"{folder}/set", "--out", f"{folder}/shards", "--shard-size", "40"]) == 0
    return [f"{folder}/net.py:small", "--data", f"{folder}/shards", *COMMON]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """The run that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert Job([*command, "--set", "workers=1", "--out", str(out)], out.parent).ended() == 0
    return out


def step_in(out):
    """Updates that the checkpoint holds; None before the first."""
    path = out / "checkpoint.safetensors"
    if not path.exists():
        return None
    with safe_open(path, framework="np") as opened:
        return json.loads(opened.metadata()["cortex_sim"])["step"]


def wait_for_progress(job, out, before, chance):
    """Until it has written another checkpoint, and a random moment longer."""
    until = time.monotonic() + 600
    while (now := step_in(out)) is None or now == before:
        assert job.agent.poll() is None and time.monotonic() < until, job.said.read_text()
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.4))
    assert job.agent.poll() is None, "ended before it could be killed"


@pytest.mark.parametrize("part", range(4))
def test_twenty_kills_of_the_whole_job(part, command, whole, tmp_path, assert_same_end):
    """Five at a time, each resumed with 1 or 2 workers a rank."""
    killed(part, 5, lambda job, _: job.kill(), command, tmp_path)
    assert_same_end(tmp_path / "run", whole)


@pytest.mark.parametrize("part", range(2))
def test_ten_kills_of_one_rank(part, command, whole, tmp_path, assert_same_end):
    """Torchrun ends the other rank; the job is started again with --resume."""

    def kill(job, chance):
        rank = chance.randrange(2)
        job.kill_rank(rank)
        assert job.ended() != 0
        said = job.said.read_text()
        assert f"rank      : {rank} " in said and "exitcode  : -9" in said, said

    killed(10 + part, 5, kill, command, tmp_path)
    assert_same_end(tmp_path / "run", whole)


def killed(seed, count, kill, command, folder):
    """A run that is killed so many times and then ends."""
    chance, out = random.Random(seed), folder / "run"
    again, reached = [*command, "--out", str(out)], []
    for _ in range(count):
        job = Job([*again, "--set", f"workers={chance.choice([1, 2])}"], folder)
        wait_for_progress(job, out, reached[-1] if reached else None, chance)
        kill(job, chance)
        reached.append(step_in(out))
        again = ["--resume", "--out", str(out)]
    assert reached == sorted(reached) and any(step % PER_EPOCH for step in reached), reached
    assert Job([*again, "--set", "workers=1"], folder).ended() == 0


@pytest.mark.parametrize("part", range(2))
def test_ten_kills_of_one_rank_that_torchrun_restarts(part, command, whole, tmp_path, assert_same_end):
    """The same command, by --max-restarts: started again it continues from the last checkpoint."""
    chance, out, before = random.Random(20 + part), tmp_path / "run", None
    arguments = [*command, "--set", "workers=1", "--out", str(out)]
    job = Job(arguments, tmp_path, options=["--max-restarts", "5"])
    for _ in range(5):
        wait_for_progress(job, out, before, chance)
        ranks = job.ranks()
        job.kill_rank(chance.randrange(2))
        before = step_in(out)
        until = time.monotonic() + 600
        while set(job.ranks().values()) & set(ranks.values()) or len(job.ranks()) < 2:
            assert job.agent.poll() is None and time.monotonic() < until, job.said.read_text()
            time.sleep(0.01)
    assert job.ended() == 0, job.said.read_text()
    assert_same_end(out, whole)
