"""Two small trained runs of one rule, one of another, and neural data planted in the first run's V2."""

import os

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.cli import main
from cortex_sim.responding import respond_to

MODEL = """
import cortex_sim as cs


def small():
    net = cs.Network("small")
    net.population("retina", shape=(3, 8, 8))
    net.population("V1", 20, activation="leaky_relu")
    net.population("V2", 12, activation="leaky_relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "V2", plasticity="backprop")
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("backprop")
"""
STIMULI, REPEATS, NEUROIDS = 60, 4, 9


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Runs ``backprop-0``, ``backprop-1``, ``fa-0``, and ``v4.npz`` with the stimuli in it."""
    place = tmp_path_factory.mktemp("compared")
    (place / "net.py").write_text(MODEL, encoding="utf-8")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 3, 8, 8)).astype(np.float32), np.arange(48) % 3
    x += 1.5 * rng.normal(size=(3, 3, 8, 8))[y]
    np.savez(place / "set.npz", x_train=x[:36], y_train=y[:36], x_test=x[36:], y_test=y[36:])
    for rule, seed, name in (
        ("backprop", 0, "backprop-0"),
        ("backprop", 1, "backprop-1"),
        ("feedback_alignment", 0, "fa-0"),
    ):
        command = f"train {place}/net.py:small --rule {rule} --data {place}/set.npz --epochs 3 --batch-size 6"
        assert main([*command.split(), "--seed", str(seed), "--out", str(place / name)]) == 0
    images = rng.normal(size=(STIMULI, 3, 8, 8)).astype(np.float32)
    shown = cs.data.StimulusSet(images)
    v2 = respond_to(place / "backprop-0", shown, populations=["V2"], variables=["rate"])["rate"].values
    tuning = v2 @ rng.normal(size=(v2.shape[1], NEUROIDS))
    tuning /= tuning.std(0)
    repeats = tuning[:, None] + 0.5 * rng.normal(size=(STIMULI, REPEATS, NEUROIDS))
    ids = np.array([str(i) for i in range(STIMULI)])
    np.savez(place / "v4.npz", response_repeats=repeats, images=images, stimulus_id=ids)
    return place


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Nothing depends on a terminal."""
    monkeypatch.setenv("COLUMNS", "200")
    os.environ.pop("CORTEX_SIM_DATA", None)
