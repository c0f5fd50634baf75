"""Two ranks end where one ends with the whole batch: torch's DistributedDataParallel over gloo."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.training import Trainer

HERE = Path(__file__).resolve()
ROOT = Path(cs.__file__).resolve().parents[1]


def gait(word="gait_prop"):
    """Hard orthogonality every other update, feedback renewed every other update."""
    net = cs.Network("ranks")
    net.population("retina", shape=(1, 5, 5))
    net.population("V1", shape=(3, 3, 3), activation="leaky_relu")
    net.population("V2", 11, activation="tanh")
    net.population("IT", 3)
    hard = cs.HardOrthogonality(every=2)
    start = cs.Orthogonal(gain=1.4)
    net.bottom_up("retina", "V1", cs.Conv2d(3, init=start), plasticity="backprop")
    net.bottom_up("V1", "V2", cs.Dense(init=start), plasticity="backprop", regulariser=hard)
    net.bottom_up("V2", "IT", cs.Dense(init=start), plasticity="backprop", regulariser=hard)
    net.objective("IT", "cross_entropy")
    return net.with_rule("gait_prop", refresh=2) if word == "gait_prop" else net.with_rule(word)


NETWORKS = {
    "gait_prop": gait,
    "direct_feedback_alignment": lambda: gait("direct_feedback_alignment"),
    "bcm": lambda: gait("bcm"),
}


def data():
    rng = np.random.default_rng(0)
    return torch.as_tensor(rng.normal(size=(24, 1, 5, 5))), torch.as_tensor(rng.integers(3, size=24))


def trained(word):
    """All tensors after two epochs of batches of 8, on as many ranks as there are."""
    model = cs.torch.build(NETWORKS[word](), precision="64")
    trainer = Trainer(model, *data(), 2, 8, {"name": "SGD", "lr": 0.01, "momentum": 0.9})
    for _ in range(2):
        trainer.train_epoch()
    return model.state_dict()


def a_free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def as_torchrun_would(folder, ranks=2):
    port, started = str(a_free_port()), []
    for rank in range(ranks):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = {**os.environ, **place, **where, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        command = [sys.executable, str(HERE), str(folder)]
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said


@pytest.fixture(scope="module")
def by_rank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    as_torchrun_would(folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("word", NETWORKS)
def test_ranks_end_with_identical_weights(by_rank, word):
    first, second = (states[word] for states in by_rank)
    assert set(first) == set(second)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("word", NETWORKS)
def test_ranks_end_where_one_process_does(by_rank, word):
    alone = trained(word)
    start = cs.torch.build(NETWORKS[word](), precision="64").state_dict()
    for name, tensor in by_rank[0][word].items():
        torch.testing.assert_close(tensor, alone[name], rtol=1e-6, atol=1e-9, msg=name)
        assert not name.startswith("weights") or not torch.allclose(tensor, start[name], rtol=1e-4)


def test_alone_there_is_one_place_and_no_wrapper():
    model = cs.torch.build(gait())
    assert distributed.place() == (0, 1)
    assert distributed.wrap(model) is model


def test_a_batch_that_cannot_be_split_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "place", lambda: (0, 3))
    with pytest.raises(cs.RunError, match="batch size 8 cannot be split evenly over 3 ranks"):
        Trainer(cs.torch.build(gait(), precision="64"), *data(), 1, 8)


def _rank(folder):
    rank, ranks = distributed.start("cpu")
    assert ranks == 2
    torch.save({word: trained(word) for word in NETWORKS}, Path(folder) / f"{rank}.pt")
    distributed.finish()


if __name__ == "__main__":
    _rank(sys.argv[1])
