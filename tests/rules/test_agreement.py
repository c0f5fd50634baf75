"""A rule whose two descriptions disagree is refused by both backends, before it has learned anything."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.registry import find, names
from cortex_sim.rules.agreement import check_agreement


@dataclass(frozen=True)
class OwnHebb:
    factor: float = 2.0
    growth: ClassVar[Any] = "factor * r_post * r_pre"

    def change(self, w, r_pre, r_post):
        return self.factor * r_post.T @ r_pre / len(r_post)


class FlippedSign(OwnHebb):
    growth = "-factor * r_post * r_pre"


class MissingFactor(OwnHebb):
    growth = "r_post * r_pre"


class OnlyForNegativeRates(OwnHebb):
    growth = "factor * abs(r_post) * r_pre"


@dataclass(frozen=True)
class OwnThreshold:
    window: float = 50.0
    tau_ms: float = 500.0
    state: ClassVar[Mapping[str, Any]] = {"theta": cs.PerPost(0.0)}
    growth: ClassVar[Any] = {
        "w": "(r_post - theta) * r_pre",
        "theta": "(r_post - theta) / (tau_ms * ms)",
    }

    def change(self, w, r_pre, r_post, state):
        kept = (1 - 1 / self.window) ** len(r_post)
        theta = state["theta"]
        moved = kept * theta + (1 - kept) * r_post.mean(0)
        return (r_post - theta).T @ r_pre / len(r_post), {"theta": moved}


class WrongState(OwnThreshold):
    growth: ClassVar[Any] = OwnThreshold.growth | {"theta": "(r_post + theta) / (tau_ms * ms)"}


class StateInMilliseconds(OwnThreshold):
    growth: ClassVar[Any] = OwnThreshold.growth | {"theta": "(r_post - theta) / tau_ms"}


class StateThatRestsInTime(OwnThreshold):
    growth: ClassVar[Any] = {"w": OwnThreshold.growth["w"]}


def network(rule):
    net = cs.Network("own rule")
    net.population("retina", 3)
    net.population("V1", 2)
    net.bottom_up("retina", "V1", plasticity=rule)
    return net


WRONG = [
    (FlippedSign(), "w"),
    (MissingFactor(), "w"),
    (OnlyForNegativeRates(), "w"),
    (WrongState(), "theta"),
    (StateInMilliseconds(), "theta"),
    (StateThatRestsInTime(), "theta"),
]


@pytest.mark.parametrize("build", [cs.torch.build, cs.brian2.build])
@pytest.mark.parametrize(("rule", "variable"), WRONG, ids=lambda v: type(v).__name__)
def test_a_rule_that_says_two_things_is_refused(build, rule, variable):
    said = rf"{type(rule).__name__}: change and growth of {variable} disagree .* by [0-9.e+-]+"
    with pytest.raises(cs.DeclarationError, match=said):
        build(network(rule))


@pytest.mark.parametrize("build", [cs.torch.build, cs.brian2.build])
@pytest.mark.parametrize("rule", [OwnHebb(), OwnThreshold()], ids=lambda v: type(v).__name__)
def test_a_rule_that_says_one_thing_is_built(build, rule):
    assert build(network(rule)).net.projections["retina->V1"].plasticity == rule


@pytest.mark.parametrize("name", names("rule"))
def test_every_shipped_rule_agrees(name):
    cls = find("rule", name)
    check_agreement(cls("A->B") if "of" in getattr(cls, "__dataclass_fields__", {}) else cls())


def test_a_rule_that_agreed_is_not_compared_again():
    calls = []

    class Counted(OwnHebb):
        def change(self, w, r_pre, r_post):
            calls.append(len(r_post))
            return super().change(w, r_pre, r_post)

    check_agreement(Counted())
    once = len(calls)
    check_agreement(Counted())
    assert once > 0 and len(calls) == once
    check_agreement(Counted(factor=3.0))
    assert len(calls) == 2 * once


def test_a_change_that_numpy_cannot_compute_is_named():
    class OnTensorsAlone(OwnHebb):
        def change(self, w, r_pre, r_post):
            return r_post.mT.matmul(r_pre)

    with pytest.raises(cs.DeclarationError, match="OnTensorsAlone: its change fails on NumPy"):
        check_agreement(OnTensorsAlone())


def test_comparing_costs_little():
    start = time.perf_counter()
    for factor in np.linspace(1, 2, 10):
        check_agreement(OwnHebb(float(factor)))
    assert time.perf_counter() - start < 0.5
