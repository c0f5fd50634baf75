"""Mistakes in parameters: every constraint that an object meets when it is made, broken in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mistakes import Mistake, of_parameters

import cortex_sim as cs

X = np.ones((2, 7))


def network() -> cs.Network:
    """Two stages up, one down; every size a prime of its own."""
    net = cs.Network("small")
    net.population("retina", 7)
    net.population("V1", 5, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="gait_prop")
    net.bottom_up("V1", "IT", plasticity="gait_prop")
    net.top_down("IT", "V1", feedback=cs.Inverse(of="V1->IT"))
    net.objective("IT", "cross_entropy")
    return net


def local() -> cs.Network:
    """Rules that need no credit."""
    net = cs.Network("local")
    net.population("retina", 7)
    net.population("V1", 5, activation="tanh")
    net.bottom_up("retina", "V1", plasticity=cs.Bcm(tau_ms=200.0))
    return net


def phase(name: str = "p", duration_ms: Any = 10, **settings: Any) -> cs.Phase:
    return cs.Phase(name, duration_ms, **settings)


def experiment(*phases: Any, net: Callable[[], cs.Network] = network, **settings: Any) -> cs.Experiment:
    """One arm with these phases; settings are those of the protocol."""
    return cs.Experiment(net(), {"a": cs.Protocol(*phases, **settings)})


def _population(**settings: Any) -> Any:
    return cs.Network("n").population("V1", **settings)


def _experiment(**settings: Any) -> Any:
    return cs.Experiment(network(), {"a": cs.Protocol(phase())}, **settings)


def _built(**settings: Any) -> Any:
    return cs.brian2.build(network(), **settings)


def _protocol(**settings: Any) -> Any:
    probe = cs.Protocol(phase())
    return cs.Protocol(phase(), probe=probe, **settings)


def _sequence(**settings: Any) -> Any:
    return cs.Sequence(cs.Protocol(phase()), **settings)


def _loop(**settings: Any) -> Any:
    def follow(seen, state, rng):
        return {}

    return cs.ClosedLoop(follow, reads=["V1"], state={"level": 0.5}, **settings)


#: Word, what makes it, valid settings, and how sentences call the object.
OBJECTS: list[tuple[str, Callable[..., Any], dict[str, Any], str | None]] = [
    ("Phase", cs.Phase, {"name": "p", "duration_ms": 10.0, "modulator": 2.0, "strength": 2.0}, "phase p"),
    ("Noise", cs.Noise, {"sd": 1.0, "mean": 0.5, "hold_ms": 5.0}, "Noise"),
    ("TimeSeries", partial(cs.TimeSeries, [1.0, 2.0]), {"bin_ms": 5.0}, "TimeSeries"),
    ("Nudge", partial(cs.Nudge, [0, 1]), {"strength": 0.5}, "Nudge"),
    (
        "Stimuli",
        cs.Stimuli,
        {"data": "digits", "split": "test", "count": 3, "seed": 1, "standardise": True},
        "Stimuli",
    ),
    ("Record", cs.Record, {"every_ms": 5.0, "weights_every": 2}, "Record"),
    (
        "Protocol",
        _protocol,
        {
            "trials": 2,
            "repeat": 3,
            "order": "shuffled",
            "batch": 1,
            "interval_ms": 5.0,
            "reset": True,
            "probe_every": 2,
            "eta_per_s": 0.5,
        },
        "Protocol",
    ),
    ("Sequence", _sequence, {"repeat": 2}, "Sequence"),
    (
        "Experiment",
        _experiment,
        {"dt_ms": 1.0, "apical_tau_ms": 5.0, "noise": 0.1, "engine": "synapses"},
        "Experiment",
    ),
    ("ClosedLoop", _loop, {"phase": "p", "average": True}, "closed loop follow"),
    (
        "population",
        _population,
        {
            "size": 5,
            "tau_ms": 20.0,
            "bias": False,
            "nonnegative": False,
            "apical_coupling": 0.1,
            "activation": "tanh",
        },
        "V1",
    ),
    (
        "simulation",
        _built,
        {
            "dt_ms": 1.0,
            "apical_tau_ms": 5.0,
            "noise": 0.1,
            "engine": "synapses",
            "method": "euler",
            "seed": 2,
        },
        None,
    ),
    ("Bcm", cs.Bcm, {"tau_ms": 200.0, "window": 50.0}, "Bcm"),
    ("Covariance", cs.Covariance, {"tau_ms": 200.0}, "Covariance"),
    ("ThreeFactor", cs.ThreeFactor, {"tau_ms": 200.0}, "ThreeFactor"),
    ("SynapticScaling", cs.SynapticScaling, {"target": 0.5, "tau_ms": 200.0}, "SynapticScaling"),
    ("Oja", cs.Oja, {"norm": 2.0}, "Oja"),
    ("GaitProp", cs.GaitProp, {"gamma": 0.1, "kappa": 0.5, "normalised": True, "form": "finite"}, "GaitProp"),
    ("TargetProp", cs.TargetProp, {"gamma": 0.1}, "TargetProp"),
    ("DifferenceTargetProp", cs.DifferenceTargetProp, {"gamma": 0.1}, "DifferenceTargetProp"),
    ("Conv2d", cs.Conv2d, {"kernel": 3, "stride": 2, "padding": 1, "init": "he"}, "Conv2d"),
    ("Dense", cs.Dense, {"init": "xavier"}, "Dense"),
    ("Sparse", cs.Sparse, {"probability": 0.5, "seed": 1}, "Sparse"),
    ("Sparse by number", cs.Sparse, {"in_degree": 2, "init": "he"}, "Sparse"),
    ("Arbor", cs.Arbor, {"radius": 2.0, "width": 1.0, "wrap": True, "seed": 1}, "Arbor"),
    ("RowNorm", cs.RowNorm, {"total": 2.0, "method": "multiplicative", "norm": "length"}, "RowNorm"),
    ("Bounds", cs.Bounds, {"low": -1.0, "high": 2.0}, "Bounds"),
    ("Orthogonal", cs.Orthogonal, {"gain": 1.4}, "Orthogonal"),
    ("Xavier", cs.Xavier, {"gain": 1.4}, "Xavier"),
    ("He", cs.He, {"gain": 1.4}, "He"),
    ("Uniform", cs.Uniform, {"low": 0.0, "high": 0.5}, "Uniform"),
    ("Decay", cs.Decay, {"rate": 0.1}, "Decay"),
    ("Orthogonality", cs.Orthogonality, {"strength": 0.1, "gain": 1.2}, "Orthogonality"),
    (
        "HardOrthogonality",
        cs.HardOrthogonality,
        {"every": 2, "steps": 3, "strength": 0.1},
        "HardOrthogonality",
    ),
    (
        "Inverse",
        partial(cs.Inverse, "V1->IT"),
        {
            "damping": 0.1,
            "tolerance": 0.1,
            "rescale": True,
            "auxiliary": False,
            "refresh": 2,
            "iterations": 3,
        },
        "Inverse",
    ),
    ("Random", cs.Random, {"scale": 0.5}, "Random"),
    ("LowRank", cs.LowRank, {"rank": 2, "scale": 0.5}, "LowRank"),
    ("Neuromodulator", cs.Neuromodulator, {"scale": 0.5}, "Neuromodulator"),
    ("LeakyRelu", cs.LeakyRelu, {"slope": 0.1}, "LeakyRelu"),
    ("CrossEntropy", cs.CrossEntropy, {"weight": 2.0}, "CrossEntropy"),
    ("SquaredError", cs.SquaredError, {"weight": 2.0}, "SquaredError"),
]


def cases(folder: Path) -> Iterator[Mistake]:
    """All of them; ``folder`` is for files."""
    for word, make, given, about in OBJECTS:
        yield from of_parameters(word, make, given, about)
