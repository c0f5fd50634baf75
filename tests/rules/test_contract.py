"""`check_rule` on rules with one planted defect each, and on every rule that ships."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import registry
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.capabilities import rule_of


@dataclass(frozen=True)
class Hebb:
    scale: float = 1.0
    growth: ClassVar[str] = "scale * r_post * r_pre"

    def change(self, w, r_pre, r_post):
        return self.scale * r_post.T @ r_pre / len(r_pre)


class Summed(Hebb):
    def change(self, w, r_pre, r_post):
        return self.scale * r_post.T @ r_pre


class InPlace(Hebb):
    def change(self, w, r_pre, r_post):
        w *= 0.5
        return super().change(w, r_pre, r_post)


class OnNumpyAlone(Hebb):
    def change(self, w, r_pre, r_post):
        return np.einsum("bi,bj->ij", np.asarray(r_post), np.asarray(r_pre)) / len(r_pre) * np.float64(1)


class FirstUnitOnly(Hebb):
    growth = None

    def change(self, w, r_pre, r_post):
        return super().change(w, r_pre, r_post) * (np.arange(w.shape[0]) == 0)[:, None].astype(float)


class OtherText(Hebb):
    growth = "-scale * r_post * r_pre"


class Transposed(Hebb):
    def change(self, w, r_pre, r_post):
        return super().change(w, r_pre, r_post).T


@dataclass(frozen=True)
class Forgetful:
    """State that it does not return."""

    state: ClassVar[dict] = {"mean": cs.PerPost(0.0), "trace": cs.PerPre(0.0)}

    def change(self, w, r_pre, r_post, state):
        return r_post.T @ r_pre / len(r_pre) * state["mean"][:, None], {"mean": state["mean"]}


class NoDataclass:
    def change(self, w, r_pre, r_post):
        return r_post.T @ r_pre / len(r_pre)


@dataclass(frozen=True)
class Running:
    """Change alone, with state: no growth, so it has no time."""

    state: ClassVar[dict] = {"mean": cs.PerPost(0.5)}

    def change(self, w, r_pre, r_post, state):
        new = 0.9 * state["mean"] + 0.1 * r_post.mean(0)
        return (r_post * (r_post - state["mean"])).T @ r_pre / len(r_pre), {"mean": new}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Summed(), "mean over presentations: the change of a batch is not the mean"),
        (InPlace(), "purity: it changes w in place"),
        (FirstUnitOnly(), "post units alike: permuted units do not permute the change"),
        (OtherText(), "growth: rule OtherText: change and growth of w disagree"),
        (Transposed(), r"arrays: change has shape \(5, 3\) instead of \(3, 5\)"),
        (Forgetful(), "arrays: the new state lacks trace"),
        (NoDataclass(), "settings: .*dataclass"),
        (OnNumpyAlone(), "float32: change is float64 for float32 inputs"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_defect_is_named(rule, said):
    with pytest.raises(cs.DeclarationError, match=said):
        cs.check_rule(rule)


def test_a_sound_rule_passes_and_says_what_was_not_tried():
    assert len(cs.check_rule(Hebb()).passed) == 8
    found = cs.check_rule(Running())
    assert "growth" in found.skipped and "mean over presentations" in found.passed
    assert "not tried: growth (it has no growth" in str(found)


@pytest.mark.parametrize("name", registry.names("rule"))
def test_every_rule_that_ships_passes(name):
    cls = registry.find("rule", name)
    rule = cls(of="V1->IT") if "of" in cls.__dataclass_fields__ else cls()
    without = ["post units alike"] if name == "sanger" else []
    found = cs.check_rule(rule, without=without)
    assert "settings" in found.passed and ("float32" in found.passed) != rule_of(rule).supervised


def test_an_unknown_check_is_refused():
    with pytest.raises(cs.DeclarationError, match="unknown check of a rule 'post units'"):
        cs.check_rule(Hebb(), without=["post units"])


@pytest.mark.parametrize("rule", [Running(), FirstUnitOnly()], ids=lambda r: type(r).__name__)
def test_change_alone_runs_at_equilibrium_and_not_in_time(rule):
    net = cs.Network("alone")
    net.population("retina", 5)
    net.population("V1", 3, bias=False)
    net.bottom_up("retina", "V1", cs.Dense("xavier"), plasticity=rule)
    x = np.random.default_rng(0).normal(size=(4, 5))
    show = cs.Phase("show", 100, drive={"retina": x}, plasticity=True)
    session = QuasiStatic(net)
    session.run(cs.Protocol(show, trials=4, eta_per_s=0.5))
    w = net.initial_weights(0)["retina->V1"]
    mean = np.full(3, 0.5)
    for x_b in x:
        y = w @ x_b
        if isinstance(rule, Running):
            growth = np.outer(y * (y - mean), x_b)
            mean = 0.9 * mean + 0.1 * y
        else:
            growth = np.outer(y * [1, 0, 0], x_b)
        w = w + 0.05 * growth
    np.testing.assert_allclose(session.model.weights["retina->V1"].detach().numpy(), w, atol=1e-12)
    if isinstance(rule, Running):
        np.testing.assert_allclose(session.windows.state_of["retina->V1"]["mean"], mean, atol=1e-12)
    with pytest.raises(cs.BuildError, match="projection retina->V1: .*has no growth, so it"):
        cs.brian2.build(net)
