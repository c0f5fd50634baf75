"""Every registered rule on a network, for what holds of all of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from networks import built, chain, conv, shown

import cortex_sim as cs
from cortex_sim.credit import DenseCredit, SharedCredit, TrainedCredit
from cortex_sim.rules.base import WORDS

FINITE = {
    "gait_prop, fixed step": cs.GaitProp(form="finite"),
    "gait_prop, normalised step": cs.GaitProp(form="finite", normalised=True),
}
ORDERS_UNITS = {"sanger"}  # whose components come in the order of the units
CARRIES_RECONSTRUCTION_ERROR = {"target_prop"}
TEACHER_RULES = {
    "tdca, dense": lambda outputs: _all_alike(DenseCredit(outputs, 4, 5, levels=2, signs=True)),
    "tdca, pooled and ungated": lambda outputs: _all_alike(
        DenseCredit(outputs, 4, 5, pooled=True, gated=False)
    ),
    "tdca, shared": lambda outputs: _all_alike(SharedCredit(4, 5, kernel="dense")),
}
ROUNDING = dict.fromkeys(FINITE, 1e-5)  # of credit divided by a small step


@dataclass(frozen=True)
class Case:
    name: str
    rule: Any
    network: Any
    credit: Any = None  # from the number of outputs, the credit network of "tdca"

    @property
    def net(self):
        start = cs.Orthogonal(gain=1.2)
        net = self.network("tanh", start, objective="squared_error")
        if self.credit is None:
            return net.with_rule(self.rule)
        return net.with_rule(self.rule, credit=self.credit(net.populations["IT"].size))

    @property
    def tolerance(self):
        return ROUNDING.get(self.name, 1e-10)


def cases():
    rules = {word: word for word in sorted(WORDS)} | FINITE
    for name, rule in rules.items():
        for network in (chain, conv):
            if network is conv and getattr(rule_of(rule), "chain_only", False):
                continue
            yield pytest.param(Case(name, rule, network), id=f"{name}-{network.__name__}")
    for name, credit in TEACHER_RULES.items():
        for network in (chain, conv):
            yield pytest.param(Case(name, "tdca", network, credit), id=f"{name}-{network.__name__}")


def _all_alike(network):
    """A credit network none of whose parameters is too small to show."""
    rng = np.random.default_rng(8)
    return TrainedCredit(network, {n: rng.normal(size=s) for n, s in network.shapes().items()}, {})


def rule_of(rule):
    return WORDS[rule].rule if isinstance(rule, str) else rule


every_case = pytest.mark.parametrize("case", list(cases()))


def model_of(case, precision="64"):
    """Model whose rule state is not at its start: a state that is never read would not show."""
    model = built(case.net, seed=2, precision=precision)
    rng = np.random.default_rng(9)
    with torch.no_grad():
        for buffer in model.local.buffers():
            buffer.add_(buffer.new_tensor(0.3 + rng.random(size=buffer.shape)))
    return model.eval()


def stimuli(model, count=5):
    x, _ = shown(model.net, count)
    goal = np.random.default_rng(4).normal(size=(count, model.net.populations["IT"].size))
    return x, 0.3 * goal


def spontaneous(model, name):
    return getattr(model.net.projection(name).plasticity, "spontaneous", False)


def changes(model, x, goal):
    """All changes but those that the stimulus has no part in."""
    found = model.updates(x, goal, biases=True)
    return {n: u for n, u in found.items() if n in model.biases or not spontaneous(model, n)}
