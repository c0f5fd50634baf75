"""A study small enough for a test, and data sets in a study's form with planted differences."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cortex_sim.trajectories import statistics
from cortex_sim.trajectories.architectures import PLACES, Architecture
from cortex_sim.trajectories.design import Design
from cortex_sim.trajectories.measuring import FULL, Condition

TINY = Design(
    rules=("backprop", "feedback_alignment"),
    architectures=(
        Architecture("narrow", (11, 7, 5), "tanh"),
        Architecture("deep", (13, 9, 8, 6), "leaky_relu"),
    ),
    seeds=(0,),
    rates=(0.05,),
    steps=(0, 1, 3),
    probes=10,
    conditions=(FULL, Condition("units_5", units=5), Condition("noisy", snr=1.0)),
)


def planted(
    rules=("a", "b", "c"), architectures=4, seeds=3, snapshots=4, shift=0.0, names=("activity_mean",), seed=0
):
    """A study whose values are noise, plus ``shift`` times the rule's number in the statistics ``names``.

    Every architecture adds an offset of its own, larger than the noise, to all statistics.
    """
    rng = np.random.default_rng(seed)
    every = statistics.names()
    labels = [
        (rule, f"net{a}", s) for a in range(architectures) for s in range(seeds) for rule in range(len(rules))
    ]
    value = rng.normal(size=(len(labels), snapshots, len(PLACES), len(every)))
    offsets = 5 * rng.normal(size=(architectures, len(every)))
    for i, (rule, net, _) in enumerate(labels):
        value[i] += offsets[int(net[3:])]
        for name in names:
            value[i, ..., every.index(name)] = rng.normal(size=value.shape[1:3]) + shift * rule
    runs = [f"{net}-{rules[rule]}-{s}" for rule, net, s in labels]
    accuracy = np.tile(np.linspace(0.1, 0.95, snapshots), (len(labels), 1))
    dims = ("run", "snapshot", "population", "statistic")
    return xr.Dataset(
        {
            "value": (dims, value),
            "measured": (("condition", *dims), value[None] + rng.normal(size=(1, *value.shape))),
            "accuracy": (dims[:2], accuracy),
            "loss": (dims[:2], 1 - accuracy),
        },
        coords={
            "run": runs,
            "rule": ("run", [rules[rule] for rule, _, _ in labels]),
            "architecture": ("run", [net for _, net, _ in labels]),
            "activation": ("run", ["tanh" if int(net[3:]) % 2 else "relu" for _, net, _ in labels]),
            "seed": ("run", [s for _, _, s in labels]),
            "rate": ("run", [0.1] * len(labels)),
            "step": ("snapshot", [0, *(2**i for i in range(snapshots - 1))]),
            "population": list(PLACES),
            "statistic": every,
            "observable": ("statistic", [statistics.observable_of(name) for name in every]),
            "scale_free": ("statistic", [statistics.is_scale_free(name) for name in every]),
            "condition": ["noisy"],
            "observed_units": ("condition", [0]),
            "snr": ("condition", [1.0]),
            "noise": ("condition", ["gaussian"]),
        },
    )
