"""A straightforward brian2 script for GAIT-prop by dynamic inversion on a dense chain: the baseline.

Leaky ReLU areas, softmax cross-entropy at a linear top, one constant stimulus. Same equations, same
parameters and same code generation (numpy) as the built simulation, without its other features.
"""

from __future__ import annotations

from collections.abc import Sequence

import brian2
import numpy as np

TAU, TAU_C = 10 * brian2.ms, 10 * brian2.ms
SLOPE, ALPHA = 0.1, 1e-3
AREA = """
da/dt = (-a + drive) / tau : 1
dc/dt = (-alpha * c + down) / tau_c : 1
r = (int(a > 0) + slope * int(a <= 0)) * a : 1
u = c * (int(a > 0) + slope * int(a <= 0)) : 1
error = u - predicted : 1
drive : 1
down : 1
predicted : 1
"""
TOP = """
da/dt = (-a + drive) / tau : 1
r = a : 1
u = goal - 1 / partition : 1
error = u - predicted : 1
drive : 1
predicted : 1
partition : 1
goal : 1
"""
CONSTANTS = {"tau": TAU, "tau_c": TAU_C, "alpha": ALPHA, "slope": SLOPE}


def groups_of(sizes: Sequence[int], presentations: int, clock: brian2.Clock) -> list[brian2.NeuronGroup]:
    """Areas above the stimulus, the last of them the top."""
    made = []
    for number, size in enumerate(sizes[1:], start=1):
        text = TOP if number == len(sizes) - 1 else AREA
        group = brian2.NeuronGroup(
            size * presentations, text, method="euler", namespace=CONSTANTS, clock=clock, order=2
        )
        made.append(group)
    return made


def run_with_numpy(network: brian2.Network, ms: float) -> None:
    """Run with the default code-generation target of a simulation."""
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    try:
        network.run(ms * brian2.ms, namespace={})
    finally:
        brian2.prefs.codegen.target = before


class BatchedByHand:
    """Matrix products in one network operation."""

    def __init__(self, weights: Sequence[np.ndarray], x: np.ndarray, goal: np.ndarray, dt_ms: float) -> None:
        sizes = [weights[0].shape[1], *(len(w) for w in weights)]
        count = len(x)
        clock = brian2.Clock(dt_ms * brian2.ms)
        groups = groups_of(sizes, count, clock)
        views = [
            {v: g.variables[v].get_value().reshape(count, -1) for v in g.variables if _is_array(g, v)}
            for g in groups
        ]
        views[-1]["goal"][...] = goal

        def step() -> None:
            rates = [x]
            for view in views[:-1]:
                rates.append(np.where(view["a"] > 0, view["a"], SLOPE * view["a"]))
            rates.append(views[-1]["a"])
            for w, view, r in zip(weights, views, rates, strict=False):
                view["drive"][...] = r @ w.T
            grown = np.exp(rates[-1] - rates[-1].max(1, keepdims=True))
            partition = grown.sum(1, keepdims=True) / grown
            views[-1]["partition"][...] = partition
            sent = [v["c"] * np.where(v["a"] > 0, 1.0, SLOPE) for v in views[:-1]]
            sent.append(views[-1]["goal"] - 1 / partition)
            for w, below, above, u in zip(weights[1:], views, views[1:], sent[1:], strict=False):
                predicted = below["c"] @ w.T
                above["predicted"][...] = predicted
                below["down"][...] = (u - predicted) @ w

        operation = brian2.NetworkOperation(step, clock=clock, when="groups", order=1)
        self.network = brian2.Network(*groups, operation)
        self.groups = groups

    def run(self, ms: float) -> None:
        """Simulate for this time."""
        run_with_numpy(self.network, ms)


def _is_array(group: brian2.NeuronGroup, name: str) -> bool:
    return name in ("a", "c", "drive", "down", "predicted", "partition", "goal") and name in group.variables


class SynapsesByHand:
    """A ``Synapses`` for each projection, with summed variables."""

    def __init__(self, weights: Sequence[np.ndarray], x: np.ndarray, goal: np.ndarray, dt_ms: float) -> None:
        sizes = [weights[0].shape[1], *(len(w) for w in weights)]
        clock = brian2.Clock(dt_ms * brian2.ms)
        stimulus = brian2.NeuronGroup(sizes[0], "r : 1", clock=clock)
        stimulus.r = x[0]
        groups = [stimulus, *groups_of(sizes, 1, clock)]
        groups[-1].goal = goal[0]
        made = []
        for number, (w, below, above) in enumerate(zip(weights, groups, groups[1:], strict=False)):
            text = "drive_post = w * r_pre : 1 (summed)\nw : 1"
            if number:
                text += "\npredicted_post = w * c_pre : 1 (summed)\ndown_pre = w * error_post : 1 (summed)"
            synapses = brian2.Synapses(below, above, text, clock=clock, namespace=CONSTANTS)
            post, pre = w.shape
            synapses.connect(i=np.tile(np.arange(pre), post), j=np.repeat(np.arange(post), pre))
            synapses.w = w.ravel()
            if number:
                synapses.summed_updaters["predicted_post"].order = 0
            made.append(synapses)
        partition = brian2.Synapses(
            groups[-1], groups[-1], "partition_post = exp(r_pre - r_post) : 1 (summed)", clock=clock
        )
        partition.connect()
        partition.summed_updaters["partition_post"].order = 0
        self.network = brian2.Network(*groups, *made, partition)
        self.groups = groups[1:]

    def run(self, ms: float) -> None:
        """Simulate for this time."""
        run_with_numpy(self.network, ms)
