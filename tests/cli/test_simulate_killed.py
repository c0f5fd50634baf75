"""`kill -9` from outside at any moment of a simulation, again and again: the recording is the same file."""

import killing
import pytest

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

PROGRAM = """
import sys
from cortex_sim.cli import main

sys.exit(main(["simulate", "own.py", "--out", *sys.argv[1:]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_a_recording_does_not_know_how_often_it_was_killed(engine, tmp_path):
    (tmp_path / "own.py").write_text(PROTOCOL.replace("ENGINE", engine), encoding="utf-8")
    killing.require_survival(PROGRAM, tmp_path, kills=4, seed=len(engine))
