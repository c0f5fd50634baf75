"""What parts declare: read in one place, misspellings refused, and checks of one's own asked."""

from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import registry
from cortex_sim.capabilities import Arrival, activation_of, connector_of, feedback_of, regulariser_of, rule_of

pytestmark = pytest.mark.usefixtures("own_names")


READERS = {
    "rule": rule_of,
    "feedback": feedback_of,
    "regulariser": regulariser_of,
    "activation": activation_of,
    "connector": connector_of,
}


def refused(*parts):
    return pytest.raises(cs.DeclarationError, match=".*".join(parts))


@dataclass(frozen=True)
class Hebb:
    """A rule that inherits nothing."""

    growth: ClassVar[str] = "r_post * r_pre"

    def change(self, w, r_pre, r_post):
        return r_post.T @ r_pre / len(r_pre)


@dataclass(frozen=True)
class Weak:
    """Feedback that inherits nothing."""

    tied: ClassVar[bool] = False

    def draw(self, rng, shape, senders):
        return 0.1 * rng.normal(size=shape)


@dataclass(frozen=True)
class Shrink:
    """A regulariser that inherits nothing."""

    def change(self, w):
        return -0.1 * w


@dataclass(frozen=True)
class Cube:
    """An activation that inherits nothing."""

    invertible: ClassVar[bool] = False

    def rate(self, a):
        return a**3

    def gain(self, a):
        return 3 * a**2


def made(base, name, value, setting=False):
    """An object of a class like ``base`` that has one attribute more."""
    body = {name: value, "__annotations__": {name: type(value)} if setting else {}}
    return dataclass(frozen=True)(type("Own", (base,), body))()


def two(rule=None, regulariser=(), activation="linear"):
    net = cs.Network("two")
    net.population("retina", 5)
    net.population("V1", 3, activation=activation)
    net.bottom_up("retina", "V1", plasticity=rule, regulariser=regulariser)
    return net


def declare(part, kind):
    """Add a part to a network, as its user does."""
    if kind == "feedback":
        return two().top_down("V1", "retina", feedback=part)
    if kind == "connector":
        net = two()
        net.population("IT", 3)
        return net.bottom_up("V1", "IT", part)
    return two(**{kind: part})


# --- what a part lacks has the default


def test_what_is_not_declared_has_its_default():
    plain = rule_of(Hebb())
    assert plain.part == Hebb() and plain.growth == "r_post * r_pre"
    assert not (
        plain.supervised or plain.from_teacher or plain.top_down or plain.lateral or plain.spontaneous
    )
    assert (plain.state, plain.accepts, plain.of, plain.check) == ({}, (), None, None)
    assert feedback_of(Weak()).damping == 0.0 and not feedback_of(Weak()).dense_only
    assert activation_of(Cube()).lowest is None and not regulariser_of(Shrink()).lateral


def test_where_there_is_no_part_every_answer_is_no():
    fixed = two().projection("retina->V1")
    assert fixed.rule.part is None and not fixed.rule.supervised and fixed.rule.state == {}
    assert fixed.source.part is None and not fixed.source.tied and fixed.acting == ()


@pytest.mark.parametrize("name", ["spontaneous", "reads_credit"])
def test_what_reads_activity_of_top_down_kinds_is_a_top_down_rule(name):
    assert rule_of(made(Hebb, name, True)).top_down
    assert not rule_of(made(made(Hebb, name, True).__class__, "top_down", False)).top_down


def test_a_property_may_declare_what_a_setting_decides():
    limit, finite = rule_of(cs.GaitProp()), rule_of(cs.GaitProp(form="finite"))
    assert (limit.arrival, limit.needs_float64) == (Arrival.CHAIN, False)
    assert (finite.arrival, finite.needs_float64) == (Arrival.TARGETS, True)


def test_an_error_within_a_property_is_not_read_as_a_no():
    def arrival(self):
        return self.formm

    with pytest.raises(AttributeError, match="formm"):
        rule_of(made(Hebb, "arrival", property(arrival)))


SHIPPED = [
    (kind, cls)
    for kind in ("rule", "feedback", "regulariser", "activation", "connector")
    for cls in registry._TABLES[kind].values()
    if cls.__module__.startswith("cortex_sim.")
]


@pytest.mark.parametrize(("kind", "cls"), SHIPPED, ids=lambda given: getattr(given, "__name__", given))
def test_every_shipped_part_declares_what_it_may(kind, cls):
    settings = {cs.Conv2d: {"kernel": 3}, cs.Given: {"weights": np.eye(2)}, cs.Arbor: {"radius": 2}}
    settings |= {cs.AveragePool2d: {"kernel": 2}, cs.MaxPool2d: {"kernel": 2}, cs.Sparse: {"in_degree": 2}}
    needed = settings.get(cls, {})
    if "of" in {f.name for f in fields(cls)}:
        needed = {"of": "V1->IT"}
    part = cls(**needed)
    assert READERS[kind](part).part is part


# --- misspelt


@pytest.mark.parametrize(
    ("kind", "base", "name", "value", "meant"),
    [
        ("rule", Hebb, "spontanous", True, "spontaneous"),
        ("rule", Hebb, "read_credit", True, "reads_credit"),
        ("rule", Hebb, "is_lateral", True, "lateral"),
        ("rule", Hebb, "topdown", True, "top_down"),
        ("rule", Hebb, "Lateral", True, "lateral"),
        ("rule", Hebb, "states", {"mean": cs.PerPre()}, "state"),
        ("rule", Hebb, "arival", Arrival.CHAIN, "arrival"),
        ("rule", Hebb, "accept", (cs.Random,), "accepts"),
        ("rule", Hebb, "need_float64", property(lambda self: True), "needs_float64"),
        ("rule", Hebb, "chek", lambda self, net, projection: None, "check"),
        ("rule", cs.Hebbian, "spontanous", True, "spontaneous"),
        ("feedback", Weak, "tide", True, "tied"),
        ("feedback", Weak, "dense_onyl", True, "dense_only"),
        ("feedback", cs.Random, "one_signl", True, "one_signal"),
        ("feedback", cs.Random, "know_shape", True, "knows_shape"),
        ("regulariser", Shrink, "laterall", True, "lateral"),
        ("regulariser", cs.Decay, "check_hole", lambda self, net, projection: None, "check_whole"),
        ("activation", Cube, "lowst", 0.0, "lowest"),
        ("activation", Cube, "ratetext", "a**3", "rate_text"),
        ("activation", cs.Relu, "invertable", True, "invertible"),
        ("connector", cs.Dense, "plastc", False, "plastic"),
        ("connector", cs.Identity, "opertor", lambda self, pre, post: None, "operator"),
    ],
)
def test_a_misspelt_capability_is_refused_where_it_is_declared(kind, base, name, value, meant):
    says = refused(
        f"^{kind} Own: has {name}, which nothing reads; write {meant} if", "choose a less similar name"
    )
    with says:
        declare(made(base, name, value), kind)


def test_a_misspelt_capability_given_as_a_setting_is_refused():
    with refused("^rule Own: has spontanous, which nothing reads; write spontaneous"):
        two(made(Hebb, "spontanous", True, setting=True))


def test_a_rule_put_on_by_with_rule_is_read_too():
    with refused("^rule Own: has laterel, which nothing reads; write lateral"):
        two("hebbian").with_rule(made(Hebb, "laterel", True))


@pytest.mark.parametrize(
    ("base", "name", "value"),
    [
        (Hebb, "rate", 0.1),  # a setting two letters from "state", and no mapping
        (Hebb, "locals", True),
        (Hebb, "changes", lambda self: 3),  # a method beside it, nothing to do with change
        (Hebb, "_spontanous", True),
        (Hebb, "off", 0.5),
        (Weak, "dense", True),
        (Shrink, "latent", 0.3),
    ],
)
def test_a_name_of_another_meaning_is_left_alone(base, name, value):
    read = {Hebb: rule_of, Weak: feedback_of, Shrink: regulariser_of}[base]
    if name == "changes":  # of one class that has both
        own = dataclass(frozen=True)(type("Own", (), {"change": Hebb.change, name: value}))()
        assert read(own).change is not None
    else:
        assert read(made(base, name, value, setting=not callable(value))).part is not None


def test_a_subclass_may_misspell_what_its_base_spells():
    """The base's word stays in force, against what the subclass says."""
    with refused("has dense_onli, which nothing reads; write dense_only"):
        feedback_of(made(cs.Modulo, "dense_onli", False))


# --- values that cannot be


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("spontaneous", "yes", "True or False"),
        ("lateral", 1, "True or False"),
        ("arrival", "chain", "a member of cortex_sim.rules.base.Arrival"),
        ("accepts", [cs.Random], "a tuple of classes"),
        ("accepts", (cs.Random(),), "a tuple of classes"),
        ("state", 0.5, "a mapping of variable to PerPost"),
        ("growth", 3, "text, a mapping of variable to text, or a method"),
        ("check", True, "a method"),
    ],
)
def test_a_capability_of_the_wrong_kind_is_refused(name, value, wanted):
    with refused(f"^rule Own: {name} is a capability and must be {wanted}", "something else. Got "):
        two(made(Hebb, name, value))


def test_a_setting_may_not_have_the_name_of_a_capability():
    with refused("^rule Own: spontaneous is a capability", "rename it if you mean something else"):
        two(made(Hebb, "spontaneous", 0.3, setting=True))


def test_an_invertible_activation_must_have_the_inverse():
    with refused(r"^activation Own: invertible = True needs its inverse; add drive\(r\)"):
        two(activation=made(Cube, "invertible", True))


def test_free_feedback_must_give_its_weights():
    @dataclass(frozen=True)
    class Nowhere:
        tied: ClassVar[bool] = False

    with refused("^projection V1->retina: Nowhere has tied = False but no draw", "or write tied = True"):
        declare(Nowhere(), "feedback")


@pytest.mark.parametrize("half", [{"arrival": Arrival.CHAIN}, {"accepts": (cs.Random,)}, {}])
def test_a_registered_rule_that_declares_half_is_refused(half):
    cls = type("Half", (), {**half, "__annotations__": {}})
    cs.register("rule", "half")(dataclass(frozen=True)(cls))
    with refused("^projection retina->V1: Half must declare change", "add what is missing"):
        two("half")


def test_a_rule_by_targets_must_find_them():
    @dataclass(frozen=True)
    class Aimless:
        arrival: ClassVar[Arrival] = Arrival.TARGETS
        accepts: ClassVar[tuple[type, ...]] = (cs.Inverse,)

    with refused(r"^projection retina->V1: Aimless works by targets, but lacks top_step\(\) or delivered"):
        two(Aimless())


# --- checks of one's own


@dataclass(frozen=True)
class Fussy:
    """Says what it was asked about, and complains of one projection."""

    of_size: int = 3
    asked: list = field(default_factory=list, compare=False)

    def check(self, net, projection):
        self.asked.append(("check", net.name, projection.name))
        if net.populations[projection.post].size != self.of_size:
            raise cs.DeclarationError(f"projection {projection.name}: Fussy takes {self.of_size} units only")

    def check_whole(self, net, projection):
        self.asked.append(("whole", net.name, projection.name))
        if net.objective_at is not None:
            raise cs.DeclarationError(f"projection {projection.name}: Fussy takes no objective")


@dataclass(frozen=True)
class FussyRule(Fussy):
    def change(self, w, r_pre, r_post):
        return 0 * w


@dataclass(frozen=True)
class FussyFeedback(Fussy):
    tied: ClassVar[bool] = False

    def draw(self, rng, shape, senders):
        return np.zeros(shape)


@dataclass(frozen=True)
class FussyRegulariser(Fussy):
    def change(self, w):
        return 0 * w


FUSSY = {"rule": FussyRule, "feedback": FussyFeedback, "regulariser": FussyRegulariser}


def carrying(kind, part):
    """A network with the part, and the name of the projection that carries it."""
    if kind != "feedback":
        return two(**{kind: part}), "retina->V1"
    net = two()
    return net, net.top_down("V1", "retina", feedback=part).name


@pytest.mark.parametrize("kind", FUSSY)
def test_own_checks_are_asked_when_declared_and_when_whole(kind):
    size = 5 if kind == "feedback" else 3
    part = FUSSY[kind](of_size=size)
    net, name = carrying(kind, part)
    assert part.asked == [("check", "two", name)]
    net.check()
    assert part.asked[1:] == [("check", "two", name), ("whole", "two", name)]
    net.objective("V1", "squared_error")
    with refused(f"^projection {name}: Fussy takes no objective"):
        net.check()


@pytest.mark.parametrize("kind", FUSSY)
def test_an_own_check_refuses_the_projection_that_carries_it(kind):
    with refused("^projection (retina->V1|V1->retina): Fussy takes 4 units only"):
        carrying(kind, FUSSY[kind](of_size=4))


def test_a_rule_put_on_by_with_rule_is_asked_too():
    with refused("^projection retina->V1: Fussy takes 4 units only"):
        two("hebbian").with_rule(FussyRule(of_size=4))
