"""Lateral projections: from a population to itself, taken off its drive."""

import numpy as np
import pytest

import cortex_sim as cs


def two():
    net = cs.Network("two")
    net.population("retina", 5)
    net.population("V1", 3)
    net.bottom_up("retina", "V1", plasticity="hebbian")
    return net


@pytest.fixture
def net():
    net = two()
    net.lateral("V1", plasticity=cs.Decorrelation(), regulariser=cs.Decay(0.1))
    return net


def refused(*parts):
    return pytest.raises(cs.DeclarationError, match=".*".join(parts))


def test_reads_as_it_was_declared(net):
    (lateral,) = net.laterals
    assert (lateral.name, lateral.kind, lateral.pre, lateral.post) == ("V1->V1", "lateral", "V1", "V1")
    assert (lateral.plasticity, lateral.regularisers) == (cs.Decorrelation(), (cs.Decay(0.1),))
    assert lateral.is_lateral and not lateral.is_top_down
    net.check()


def test_is_neither_bottom_up_nor_top_down(net):
    assert [p.name for p in net.bottom_ups] == [p.name for p in net.inputs("V1")] == ["retina->V1"]
    assert net.top_downs == net.credit_inputs("V1") == []
    assert net.stimulated == ["retina"]


def test_starts_at_zero(net):
    np.testing.assert_array_equal(net.initial_weights(3)["V1->V1"], np.zeros((3, 3)))


def test_weights_may_be_given():
    net, given = two(), np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0.0]])
    net.lateral("V1", weights=given)
    np.testing.assert_array_equal(net.initial_weights(0)["V1->V1"], given)
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net
    np.testing.assert_array_equal(again.initial_weights(0)["V1->V1"], given)


def test_survives_yaml(net):
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net and again.laterals == net.laterals
    assert "connector" not in net.to_yaml().split("kind: lateral")[1]


def test_stays_under_another_rule(net):
    net.population("IT", 2)
    net.bottom_up("V1", "IT", plasticity="hebbian")
    net.objective("IT", "cross_entropy")
    other = net.with_rule("gait_prop")
    assert other.laterals == net.laterals
    assert [p.plasticity for p in other.bottom_ups] == [cs.GaitProp()] * 2


def test_is_shown_in_print_and_repr(net):
    shown = str(net)
    assert (
        "\nlateral, without credit\n" in shown
        and "V1->V1      (3, 3)   Decorrelation  Decay(rate=0.1)" in shown
    )
    assert "1 bottom-up, 0 top-down, 1 lateral projections" in repr(net)
    assert "\nlateral" not in str(two())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"plasticity": "hebbian"}, ["Hebbian is no rule for lateral projections", r"Decorrelation\(\)"]),
        ({"plasticity": "backprop"}, ["Backprop is no rule for lateral"]),
        ({"plasticity": cs.KolenPollack(of="V1->V1")}, ["KolenPollack is no rule for lateral"]),
        ({"regulariser": cs.Orthogonality()}, ["Orthogonality does not act on lateral", r"use Decay\(\)"]),
        ({"regulariser": cs.HardOrthogonality()}, ["HardOrthogonality does not act on lateral"]),
        ({"weights": np.ones((3, 3))}, ["zero on the diagonal", r"np.diag\(weights\)"]),
        ({"weights": np.zeros((3, 2))}, [r"shape \(3, 2\)", r"give shape \(3, 3\)"]),
        ({"weights": "xavier"}, ["must be an array of numbers"]),
    ],
)
def test_what_does_not_belong_there_is_refused(settings, says):
    net = two()
    with refused("", *says):
        net.lateral("V1", **settings)
    assert net.laterals == []


def test_one_a_population(net):
    with refused("projection V1->V1: already declared"):
        net.lateral("V1")


def test_of_an_unknown_population():
    with refused("unknown population of two 'V2'"):
        two().lateral("V2")


def test_nothing_is_taken_off_a_stimulus():
    net = two()
    net.lateral("retina")
    with refused("projection retina->retina: the rates of retina are the stimulus"):
        net.check()


def test_its_rule_belongs_nowhere_else():
    net = two()
    net.population("V2", 2)
    with refused(r"V1->V2: Decorrelation changes lateral weights", r"net.lateral\('V2'"):
        net.bottom_up("V1", "V2", plasticity="decorrelation")
    with refused("V1->retina: Decorrelation is a rule for lateral projections"):
        net.top_down("V1", "retina", feedback="random", plasticity=cs.Decorrelation())
    with refused("with_rule: Decorrelation changes lateral weights"):
        net.with_rule(cs.Decorrelation())
    with refused("names no bottom-up projection"):
        net.lateral("V1")
        net.top_down("V1", "retina", feedback=cs.Transpose(of="V1->V1"))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("pre: retina, post: V1", "projection retina->V1: a lateral projection connects a population"),
        ("pre: V1, post: V1, feedback: random", "unknown key of lateral projection V1->V1 'feedback'"),
    ],
)
def test_broken_yaml(entry, says):
    text = two().to_yaml() + f"- {{kind: lateral, {entry}}}\n"
    with refused(says):
        cs.Network.from_yaml(text)


def test_a_rule_of_ones_own(own_names):
    from dataclasses import dataclass
    from typing import ClassVar

    @dataclass(frozen=True)
    class Own:
        lateral: ClassVar[bool] = True

        def change(self, w, r_pre, r_post):
            return 0 * w

    assert two().lateral("V1", plasticity=Own()).plasticity == Own()
