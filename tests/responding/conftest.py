"""A small trained run, whose first population is linear, and the data that it was trained on."""

from pathlib import Path

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.cli import main

MODEL = """
import cortex_sim as cs


def small():
    net = cs.Network("small")
    net.population("retina", shape=(3, 6, 6))
    net.population("V1", shape=(2, 6, 6), activation="linear")
    net.population("V2", 7, activation="leaky_relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(kernel=3, padding=1), plasticity="backprop")
    net.bottom_up("V1", "V2", plasticity="backprop")
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.top_down("V2", "V1", feedback=cs.Transpose(of="V1->V2"))
    net.top_down("IT", "V2", feedback=cs.Transpose(of="V2->IT"))
    net.objective("IT", "cross_entropy")
    return net
"""


@pytest.fixture(scope="session")
def images():
    """Float pictures, each channel with a mean and sd of its own, in 3 classes."""
    rng = np.random.default_rng(0)
    x = (
        rng.normal(size=(40, 3, 6, 6)) * np.array([1, 2, 0.5])[:, None, None]
        + np.array([3, -1, 0])[:, None, None]
    )
    y = np.arange(40) % 3
    return cs.data.image_set("painted", x[:30].astype(np.float32), y[:30], x[30:].astype(np.float32), y[30:])


@pytest.fixture(scope="session")
def run(images, tmp_path_factory) -> Path:
    """A run directory of two epochs."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "net.py").write_text(MODEL, encoding="utf-8")
    parts = {name: getattr(images, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(folder / "painted.npz", **parts)
    command = f"train {folder}/net.py:small --data {folder}/painted.npz --epochs 2 --batch-size 8 --seed 3"
    assert main([*command.split(), "--out", str(folder / "done")]) == 0
    return folder / "done"
