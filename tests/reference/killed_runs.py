"""Experiments with every kind of state that a trial can leave to the next."""

from __future__ import annotations

import numpy as np
from closed_loops import staircase

import cortex_sim as cs

RNG = np.random.default_rng(5)
IMAGES, OTHERS = RNG.normal(size=(4, 5)), RNG.normal(size=(3, 5))
MOVIES = RNG.normal(size=(3, 4, 5))  # (presentation, bin, unit)
RECORD = cs.Record(("rate", "credit"), phase="learn", weights=True, state=True)


def locally_learning() -> cs.Network:
    """Rules with a threshold, a trace, a mean; lateral and recurrent projections that learn."""
    net = cs.Network("local")
    net.population("retina", 5)
    net.population("V1", 4, activation="tanh", tau_ms=8.0)
    net.population("IT", 3, activation="tanh")
    net.bottom_up("retina", "V1", plasticity=cs.Bcm(tau_ms=200.0))
    net.bottom_up("V1", "IT", plasticity=cs.ThreeFactor(tau_ms=50.0))
    net.lateral("V1", plasticity="decorrelation")
    net.recurrent("IT", "V1", cs.Dense(init=0.1 * np.ones((4, 3))), plasticity="covariance")
    return net


def sequence(engine: str, trials: int = 12) -> cs.Experiment:
    """Four protocols with windows, lesion, probe, reward, a closed loop and trials that differ."""
    loop = cs.ClosedLoop(
        staircase,
        reads=["V1"],
        phase="show",
        state={"level": 1.0, "row": 0, "yes": 0, "levels": []},
    )
    shown = {"retina": cs.Sum(IMAGES, cs.Noise(0.1, hold_ms=5))}
    learns = cs.Protocol(
        cs.Phase("show", [20, 20, 30], drive=shown),
        cs.Phase("learn", 20, drive=shown, plasticity=True, modulator=cs.PerTrial([1.0, -1.0, 0.5])),
        trials=3,
        repeat=trials // 3,
        order="shuffled",
        interval_ms=10,
        lesion=cs.FromTrial(4, ["V1/2"]),
        probe=cs.Protocol(
            cs.Phase("learn", 20, drive={"retina": OTHERS}), batch=3 if engine == "batched" else 1
        ),
        probe_every=5,
        record=RECORD,
        eta_per_s=2.0,
    )
    looped = cs.Protocol(
        cs.Phase("show", 20, drive={"retina": cs.Sum(loop["level"], [0.3, 0.0, 0.1, -0.2, 0.4])}),
        cs.Phase("learn", 20, drive={"retina": 0.5}, plasticity=True, modulator=loop["yes"]),
        trials=trials,
        record=RECORD,
        reset=False,
    )
    movie = cs.Protocol(
        cs.Phase("learn", 20, drive={"retina": cs.TimeSeries(MOVIES, 5)}, plasticity=["retina->V1"]),
        trials=trials // 2,
        record=RECORD,
        reset=False,
    )
    made = cs.Sequence(learns, looped, movie, looped)
    return cs.Experiment(locally_learning(), {"sequence": made}, noise=0.05, engine=engine)


def taught(rule: str) -> cs.Network:
    """Three projections that learn from credit, which arrives late and noisy."""
    net = cs.Network("taught")
    net.population("retina", 5)
    net.population("V1", 4, activation="tanh")
    net.population("V2", 4, activation="tanh", apical_coupling=0.1)
    net.population("IT", 3)
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "IT")):
        net.bottom_up(pre, post, plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(rule)


def delays(engine: str, trials: int = 15) -> cs.Experiment:
    """Signals in transit from trial to trial, and weights that learn while activity is spontaneous."""
    back = cs.PerTrial([4.0, 4.0, 0.0] * (trials // 3))
    late = {
        "delay_ms": {"V1->V2": 3.0, "V2->V1": back, "retina->V1": 2.0, "V2->IT": 25.0},
        "noise": {"V2->IT": 0.1, "IT->V2": 0.05},
    }
    shown = {
        "drive": {"retina": IMAGES, "V2": cs.Noise(0.1, hold_ms=5)},
        "nudge": {"IT": np.arange(4) % 3},
    }
    phases = (
        cs.Phase("asleep", 15, spontaneous={"V1": 1.0, "V2": 0.5}, plasticity=True, **late),
        cs.Phase("settle", 10, **shown, **late),
        cs.Phase("learn", 20, plasticity=True, **shown, **late),
    )
    going_on = cs.Protocol(
        *phases, trials=trials, order="shuffled", record=RECORD, eta_per_s=2.0, reset=False
    )
    reset = going_on.replace(reset=True, interval_ms=5)
    arms = {
        "going on": going_on,
        "reset": reset,
        "mirror": cs.Arm(going_on, taught("weight_mirror")),
    }
    return cs.Experiment(taught("gait_prop_learned"), arms, noise=0.1, engine=engine)
