"""Small runs: a tiny data set, a deep enough network, and a way to die in the middle."""

import json
import os
import signal

import numpy as np
import pytest
from safetensors import safe_open

from cortex_sim.training.run import train
from cortex_sim.training.settings import resolve

MODEL = """
import cortex_sim as cs


def deep():
    net = cs.Network("deep")
    net.population("retina", 13)
    net.population("V1", 11, activation="leaky_relu")
    net.population("V2", 7, activation="leaky_relu")
    net.population("IT", 3)
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "IT")):
        net.bottom_up(pre, post, cs.Dense(init="he"), plasticity="backprop")
        if pre != "retina":
            net.top_down(post, pre, feedback=cs.Transpose(of=f"{pre}->{post}"))
    net.objective("IT", "cross_entropy")
    return net
"""
STEPS_PER_EPOCH, EPOCHS = 6, 3


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """A folder with a data set (48 presentations to train on) and a model of the user's own."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    y = np.arange(48) % 3
    x = (rng.normal(size=(48, 13)) + 2 * np.eye(3, 13)[y]).astype(np.float32)
    np.savez(folder / "tiny.npz", x_train=x, y_train=y, x_test=x[:17], y_test=y[:17])
    (folder / "net.py").write_text(MODEL, encoding="utf-8")
    return folder


@pytest.fixture
def settings(work):
    """Settings of an 18-update run that writes a checkpoint every fourth update."""

    def make(**given):
        flags = {
            "data": str(work / "tiny.npz"),
            "batch_size": 8,
            "epochs": EPOCHS,
            "checkpoint_every": 4,
        }
        return resolve(f"{work / 'net.py'}:deep", flags=flags | given)

    return make


@pytest.fixture
def no_figure(monkeypatch):
    """Runs end without drawing their learning curves, which takes longer than they do."""
    monkeypatch.setattr("cortex_sim.viz.curves.learning_curves", lambda lines, path, rule: None)


def killed(work):
    """Do ``work`` in a forked process, which must end by killing itself."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.fixture
def kill_during():
    """Start (or resume) a run and kill it where ``patch`` says."""

    def start(settings, out, patch, resume=False):
        def run():
            patch()
            train(settings, out, resume)

        killed(run)

    return start


def tensors(out):
    with safe_open(out / "checkpoint.safetensors", framework="np") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def metadata(out):
    """What the checkpoint says besides its tensors, without what the clock decides."""
    with safe_open(out / "checkpoint.safetensors", framework="np") as opened:
        said = json.loads(opened.metadata()["cortex_sim"])
    del said["extra"]
    return said


def timeless(line):
    return {key: value for key, value in line.items() if key != "seconds"}


def lines(out):
    text = (out / "metrics.jsonl").read_text(encoding="utf-8")
    return [timeless(json.loads(line)) for line in text.splitlines()]


def final(out):
    return timeless(json.loads((out / "metrics.json").read_text(encoding="utf-8")))


@pytest.fixture
def assert_same_end():
    """Two run directories hold the same tensors bit for bit, the same metrics, nothing half-done."""

    def check(one, other):
        ours, theirs = tensors(one), tensors(other)
        assert ours.keys() == theirs.keys()
        for name, values in ours.items():
            assert values.dtype == theirs[name].dtype
            assert values.tobytes() == theirs[name].tobytes(), name
        assert metadata(one) == metadata(other)
        assert lines(one) == lines(other)
        assert final(one) == final(other)
        assert not list(one.glob("*.part"))

    return check
