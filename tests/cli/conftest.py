"""The command line, called in this process, in a folder with tiny data and models."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from cortex_sim.cli import main

MODELS = """
import cortex_sim as cs


def small(hidden: int = 7):
    net = cs.Network("small")
    net.population("retina", shape=(1, 4, 5))
    net.population("V1", shape=(3, 4, 5), activation="leaky_relu")
    net.population("V2", hidden, activation="leaky_relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(kernel=3, padding=1), plasticity="backprop")
    net.bottom_up("V1", "V2", plasticity="backprop")
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.top_down("V2", "V1", feedback=cs.Transpose(of="V1->V2"))
    net.top_down("IT", "V2", feedback=cs.Transpose(of="V2->IT"))
    net.objective("IT", "cross_entropy")
    return net


def relu():
    net = cs.Network("relu")
    net.population("retina", 20)
    net.population("V1", 7, activation="relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    up = net.bottom_up("V1", "IT", plasticity="backprop")
    net.top_down("IT", "V1", feedback=cs.Transpose(of=up))
    net.objective("IT", "cross_entropy")
    return net


def wrong_shape():
    import numpy as np

    net = cs.Network("wrong_shape")
    net.population("retina", 20)
    net.population("IT", 3)
    net.bottom_up("retina", "IT", cs.Dense(init=np.ones((20, 3))), plasticity="backprop")
    return net


def cycle():
    net = cs.Network("cycle")
    for name in ("retina", "V1", "V2"):
        net.population(name, 20)
    net.bottom_up("retina", "V1")
    net.bottom_up("V1", "V2")
    net.bottom_up("V2", "V1")
    return net


def duplicate():
    net = cs.Network("duplicate")
    net.population("V1", 20)
    net.population("V1", 7)
    return net


def unknown():
    net = cs.Network("unknown")
    net.population("V1", 20)
    net.bottom_up("V1", "V3")
    return net


def no_top_down():
    net = cs.Network("no_top_down")
    net.population("retina", 20)
    net.population("V1", 7)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="gait_prop")
    net.bottom_up("V1", "IT", plasticity="gait_prop")
    net.objective("IT", "cross_entropy")
    return net


def wrong_partner():
    net = cs.Network("wrong_partner")
    net.population("retina", 20)
    net.population("V1", 7)
    net.population("IT", 3)
    up = net.bottom_up("retina", "V1", plasticity="gait_prop")
    net.bottom_up("V1", "IT", plasticity="gait_prop")
    net.top_down("IT", "V1", feedback=cs.Inverse(of=up))
    return net


def no_objective():
    net = cs.Network("no_objective")
    net.population("retina", 20)
    net.population("IT", 3)
    net.bottom_up("retina", "IT", plasticity="gait_prop")
    return net


def too_many_units():
    net = cs.Network("too_many_units")
    net.population("retina", 20)
    net.population("V1", 2)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="gait_prop")
    up = net.bottom_up("V1", "IT", plasticity="gait_prop")
    net.top_down("IT", "V1", feedback=cs.Inverse(of=up, damping=0.0, auxiliary=True))
    net.objective("IT", "cross_entropy")
    return net


def rank_deficient():
    import numpy as np

    net = cs.Network("rank_deficient")
    net.population("retina", 20)
    net.population("V1", 7)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="gait_prop")
    up = net.bottom_up("V1", "IT", cs.Dense(init=np.ones((3, 7))), plasticity="gait_prop")
    net.top_down("IT", "V1", feedback=cs.Inverse(of=up, damping=0.0))
    net.objective("IT", "cross_entropy")
    return net


def nothing_plastic():
    net = cs.Network("nothing_plastic")
    net.population("retina", 20)
    net.population("IT", 3)
    net.bottom_up("retina", "IT")
    net.objective("IT", "cross_entropy")
    return net


def raises():
    return 1 / 0


def leaves():
    raise SystemExit(0)


def returns_none():
    pass


def needs(size):
    pass
"""


@pytest.fixture(scope="session")
def arrays():
    """A valid set of 48 and 17 presentations of 4 by 5, in 3 classes."""
    rng = np.random.default_rng(0)
    y = np.arange(48) % 3
    x = (rng.normal(size=(48, 4, 5)) + 2 * np.eye(3, 20)[y].reshape(48, 4, 5)).astype(np.float32)
    return {"x_train": x, "y_train": y, "x_test": x[:17], "y_test": y[:17]}


@pytest.fixture(scope="session")
def prepared(arrays, tmp_path_factory):
    """Models, data, and one finished run, made once."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "net.py").write_text(MODELS, encoding="utf-8")
    np.savez(folder / "ok.npz", **arrays)
    command = f"train {folder}/net.py:small --data {folder}/ok.npz --out {folder}/done"
    assert main([*command.split(), "--epochs", "2", "--batch-size", "8"]) == 0
    return folder


@pytest.fixture
def here(prepared, tmp_path, monkeypatch):
    """A copy of it that the test may spoil, as working directory."""
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder


def contents(folder):
    """Hash of every file, by path; folders by name."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "/"
        for p in folder.rglob("*")
        if "__pycache__" not in p.parts
    }


@pytest.fixture
def run(here, capfd):
    """Status, standard output and standard error of one command line."""

    def call(line):
        capfd.readouterr()
        status = main(line.split())
        return status, *capfd.readouterr()

    return call


@pytest.fixture
def result(run):
    """The JSON object on the last line of what a successful command prints."""

    def call(line):
        status, out, err = run(f"{line} --json")
        assert status == 0, err
        return json.loads(out.splitlines()[-1])

    return call


@pytest.fixture
def refused(here, run):
    """A command must end with status 2 and one line that says so; nothing written, nothing lost."""

    def call(line, *said):
        before = contents(here)
        status, out, err = run(line)
        assert (status, out) == (2, ""), err
        assert err.startswith("cortex-sim: ") and err.count("\n") == 1, err
        for words in said:
            assert words in err
        assert contents(here) == before

    return call
