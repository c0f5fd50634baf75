"""TDCA in the declaration: a teacher over the network, shown as populations and top-down projections."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from networks import chain, conv, dense_chain, residual, several_inputs

import cortex_sim as cs
from cortex_sim.credit import (
    CoarseMap,
    DenseCredit,
    Learned,
    NoDiffusion,
    Ring,
    SharedCredit,
    Teacher,
    TrainedCredit,
    diffusion,
    untrained,
)
from cortex_sim.credit.teacher import taught_populations
from cortex_sim.initialisers import stream
from cortex_sim.rules.base import Arrival

DENSE, SHARED = untrained(DenseCredit(3, 4, 5), 1), untrained(SharedCredit(4, 5), 1)
RAW = untrained(DenseCredit(3, 4, 5, "raw", pooled=True, gated=False), 2)
forms = pytest.mark.parametrize("credit", [DENSE, SHARED, RAW], ids=["dense", "shared", "raw"])


def two():
    """One hidden population under DENSE."""
    net = cs.Network("two")
    net.population("retina", 7)
    net.population("V1", 11, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="tdca")
    net.bottom_up("V1", "IT", plasticity="tdca")
    net.objective("IT", "cross_entropy")
    return net.with_rule("tdca", credit=DENSE)


def test_every_plastic_projection_carries_the_rule():
    net = several_inputs().with_rule("tdca", credit=DENSE)
    assert all(p.plasticity == cs.Tdca() for p in net.bottom_ups)
    assert cs.Tdca.arrival is Arrival.CREDIT
    assert {p.name for p in net.top_downs} == {
        f"TDCA {name}->{name}" for name in ("dorsal", "ventral", "V4", "IT")
    }
    assert taught_populations(net) == ("dorsal", "ventral", "V4")
    assert list(net.populations) == list(several_inputs().populations)


@pytest.mark.parametrize("network, credit", [(chain, DENSE), (residual, RAW), (conv, SHARED)])
def test_survives_yaml_and_copies(network, credit):
    net = network("tanh", "he").with_rule("tdca", credit=credit)
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net == net.copy()
    for name, w in net.initial_weights(3).items():
        np.testing.assert_array_equal(again.initial_weights(3)[name], w)


@forms
def test_the_teacher_holds_what_was_trained(credit):
    teacher = chain().with_rule("tdca", credit=credit).teacher
    assert teacher.network == credit.network
    assert (teacher.top, teacher.outputs, teacher.hidden) == ("IT", 3, ("V1", "V2"))
    assert teacher.parameters.keys() == credit.parameters.keys()
    for name, values in credit.parameters.items():
        np.testing.assert_array_equal(teacher.parameters[name], values)
        with pytest.raises(ValueError, match="read-only"):
            teacher.parameters[name][...] = 0


def test_what_is_shown_of_it_carries_the_trained_weights():
    net = chain().with_rule("tdca", credit=DENSE)
    shown = {p.name: p.feedback for p in net.credit_projections}
    of = {"TDCA context->TDCA": "context", "TDCA->TDCA deep": "hidden", "TDCA deep->TDCA IT": "top"}
    of |= {f"TDCA base->TDCA {n}": "broadcast_0" for n in ("V1", "V2")}  # both receive the one set
    of |= {f"TDCA deep->TDCA {n}": "channels_0" for n in ("V1", "V2")}
    for name, parameter in of.items():
        np.testing.assert_array_equal(shown.pop(name).weights, DENSE.parameters[parameter])
    assert list(shown) == ["TDCA base->TDCA IT"]
    assert not set(net.initial_weights(0)) & set(of)  # they belong to the teacher, and are not drawn


def test_two_teachers_are_equal_where_all_they_hold_is():
    net, same = (chain().with_rule("tdca", credit=DENSE) for _ in range(2))
    assert net.teacher == same.teacher and hash(net.teacher) == hash(same.teacher)
    parameters = dict(DENSE.parameters) | {"top": DENSE.parameters["top"] + 1}
    for other in (
        replace(net.teacher, parameters=parameters),
        replace(net.teacher, tau_ms=20.0),
        replace(net.teacher, network=replace(DENSE.network, gated=False)),
    ):
        assert other != net.teacher
        same.teacher = other
        assert same != net
    assert net.teacher != chain().teacher


def test_hidden_populations_hear_the_level_of_their_height():
    network = DenseCredit(3, (2, 4), 5, levels=2, kernel=("block", Ring(2.0)))
    net = dense_chain((5, 7, 9, 8, 3)).with_rule("tdca", credit=untrained(network))
    assert [net.credit_populations[f"TDCA V{i}"].size for i in (1, 2, 3)] == [2, 2, 4]
    assert [net.projection(f"TDCA V{i}->V{i}").feedback.kernel for i in (1, 3)] == list(network.kernel)


def test_diffusion_is_drawn_for_the_width_there_is_from_its_own_stream():
    credit = untrained(DenseCredit(3, 4, 5, kernel="dense", signs=True))
    drawn = []
    for width in (6, 11):
        net = dense_chain((7, width, 3)).with_rule("tdca", credit=credit)
        d = net.initial_weights(5)["TDCA V1->V1"]
        expected = diffusion(
            net.projection("TDCA V1->V1").feedback.kernel, (width,), 4, stream(5, "TDCA V1->V1"), True
        )
        np.testing.assert_array_equal(d, expected)
        drawn.append(d)
    assert [len(d) for d in drawn] == [6, 11]
    assert np.abs(drawn[0] - drawn[1][:6]).max() > 0.1


def test_a_kernel_of_maps_knows_the_shape():
    credit = untrained(SharedCredit(8, 5, kernel=CoarseMap(2)))
    net = conv().with_rule("tdca", credit=credit)
    d = net.initial_weights(0)["TDCA V2->V2"]
    np.testing.assert_array_equal(d, diffusion(CoarseMap(2), (7, 4, 3), 8, np.random.default_rng(0)))
    assert d.shape == (84, 8)


def test_a_learned_kernel_is_declared_as_the_array_it_became():
    network = DenseCredit(3, 4, 5, kernel=Learned(units=11), levels=2)
    rng = np.random.default_rng(0)
    credit = TrainedCredit(network, {n: rng.normal(size=s) for n, s in network.shapes().items()}, {})
    net = dense_chain((13, 11, 7, 3)).with_rule("tdca", credit=credit)
    d = net.initial_weights(0)
    np.testing.assert_allclose(d["TDCA V1->V1"], credit.parameters["diffusion_0"], atol=1e-12)
    assert d["TDCA V2->V2"].shape == (7, 4)
    middle = credit.parameters["diffusion_1"][5]  # of 11 units the sixth, of 7 the fourth
    np.testing.assert_allclose(d["TDCA V2->V2"][3], middle)
    for wrong in (lambda: SharedCredit(4, kernel=Learned(11)), lambda: cs.Diffusion(Learned(11))):
        with pytest.raises(cs.DeclarationError, match="learned kernel"):
            wrong()


def test_another_rule_takes_the_credit_network_away():
    net = chain().with_rule("tdca", credit=DENSE).with_rule("backprop")
    assert net.teacher is None and not net.credit_populations and not net.credit_projections
    assert net == chain().with_rule("backprop")


def test_print_shows_populations_and_projections():
    said = str(chain().with_rule("tdca", credit=DENSE))
    for words in ("credit populations", "TDCA context", "within the credit network", "TDCA deep->TDCA V2"):
        assert words in said
    assert "TDCA V1->V1" in said and "Diffusion" in said
    assert "credit" not in str(chain())


def test_the_default_credit_network_fits():
    net = chain().with_rule("tdca")
    assert net.credit_populations["TDCA base"].size == 3


# -- refusals --------------------------------------------------------------------------------------


def without_objective():
    net = cs.Network("aimless")
    net.population("retina", 3)
    net.population("IT", 3)
    net.bottom_up("retina", "IT", plasticity="tdca")
    return net


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda: chain().with_rule("tdca", credit=untrained(DenseCredit(5))), "5 output units, but IT has 3"),
        (lambda: chain().with_rule("backprop", credit=DENSE), "Backprop takes no credit network"),
        (lambda: chain().with_rule("tdca", credit=DENSE, scale=2.0), "takes a credit network, not {'scale'"),
        (lambda: without_objective().with_rule("tdca"), "needs an objective"),
        (lambda: without_objective().check(), "needs an objective"),
        (
            lambda: chain().with_rule("tdca", credit=untrained(DenseCredit(3, 4, kernel=NoDiffusion()))),
            "TDCA V1->V1: NoDiffusion: 4 channels for 11 units",
        ),
        (
            lambda: chain().with_rule("tdca", credit=TrainedCredit(Other(), {}, {})),
            "credit_network must be one of .*dense, layered, .*shared, .*or an object with outputs, context",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_any_work(ask, message):
    with pytest.raises(cs.DeclarationError, match=message):
        ask()


class Other:
    """A credit network of another form."""

    context, gated = DenseCredit().context, True

    def shapes(self):
        return {}


def gone(name):
    return lambda net: net.projections.pop(name)


def untaught(net):
    net.teacher = None


def from_the_top(net):
    net.top_down("IT", "V1", feedback="random")


def from_within(net):
    net.top_down("TDCA deep", "V1", feedback="random")


def another_kind(net):
    net.projections["TDCA V1->V1"] = replace(net.projection("TDCA V1->V1"), feedback=cs.Random())


def one_more(net):
    net.population("V7", 4)
    net.bottom_up("retina", "V7", plasticity="tdca")


@pytest.mark.parametrize(
    "change, message",
    [
        (untaught, r"retina->V1 learns by Tdca, but there is no credit network.*with_rule\("),
        (gone("TDCA V1->V1"), "TDCA V1->V1, which brings V1 its credit, is missing; use net.with_rule"),
        (gone("TDCA IT->IT"), "TDCA IT->IT, which brings IT its credit, is missing"),
        (from_the_top, "IT->V1: brings credit from IT, but Tdca takes credit only from the channels"),
        (from_within, "TDCA deep->V1: brings credit from TDCA deep, but Tdca"),
        (another_kind, "TDCA V1->V1: for Tdca its feedback must be Diffusion or Given. Got Random"),
        (one_more, "is for IT, V1 with 3 outputs, but IT, V1, V7 learn"),
    ],
)  # fmt: skip
def test_a_part_that_is_missing_or_too_much_is_named(change, message):
    net = two()
    change(net)
    with pytest.raises(cs.DeclarationError, match=message):
        net.check()


def test_a_kernel_of_ones_own_may_be_given():
    net = two()
    d = np.random.default_rng(0).normal(size=(11, 4))
    net.projections["TDCA V1->V1"] = replace(net.projection("TDCA V1->V1"), feedback=cs.Given(d))
    net.check()
    np.testing.assert_array_equal(net.initial_weights(0)["TDCA V1->V1"], d)
    assert cs.Network.from_yaml(net.to_yaml()) == net


def test_a_credit_network_teaches_all_of_the_network():
    net = two()
    net.population("extra", 4)
    net.bottom_up("V1", "extra", plasticity="backprop")
    with pytest.raises(cs.DeclarationError, match=r"V1->extra: learns by Backprop\(\), but network"):
        net.check()


def test_a_teacher_without_the_rule_is_refused():
    net = chain().with_rule("backprop")
    net.teacher = two().teacher
    with pytest.raises(cs.DeclarationError, match="has a credit network, but no projection learns from it"):
        net.check()


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda net: net.population("TDCA", 3), "population TDCA: the name is taken"),
        (lambda net: net.bottom_up("TDCA", "V1"), "unknown population of two 'TDCA'"),
        (lambda net: net.top_down("V1", "TDCA", feedback="random"), "unknown population of two 'TDCA'"),
        (
            lambda net: net.top_down("TDCA deep", "V1", feedback="random", regulariser=cs.Decay()),
            "change only in the outer loop",
        ),
        (
            lambda net: net.top_down("TDCA deep", "V1", feedback=cs.Given(np.ones((2, 2)))),
            r"weights have shape \(2, 2\), give shape \(11, 5\)",
        ),
        (lambda net: replace(net.teacher, parameters={}), "parameters do not fit its form"),
        (lambda net: replace(net.teacher, outputs=4), "trained for 3 output units, but IT has 4"),
        (lambda net: replace(net.teacher, tau_ms=0), "teacher: tau_ms must be"),
        (lambda net: cs.Network.from_yaml("network: n\ncredit_populations: {}"), "belong to the teacher"),
        (lambda net: cs.Network.from_yaml("network: n\nteacher: {top: IT}"), "teacher: needs credit_network"),
        (lambda net: Teacher.from_data(net.teacher.to_data() | {"parameters": {"top": 3}}), "arrays by name"),
    ],
)  # fmt: skip
def test_what_the_teacher_does_not_allow(ask, message):
    with pytest.raises(cs.DeclarationError, match=message):
        ask(two())


def test_a_population_called_like_a_part_of_it_is_refused():
    net = cs.Network("clash")
    net.population("retina", 7)
    net.population("TDCA base", 3)
    net.bottom_up("retina", "TDCA base", plasticity="tdca")
    net.objective("TDCA base", "cross_entropy")
    with pytest.raises(
        cs.DeclarationError, match="TDCA base: a population of the credit network has this name"
    ):
        net.with_rule("tdca", credit=DENSE)


# -- contexts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Declares:
    """The error in one unit, declared as ``sizes``."""

    sizes: Any
    broadcast: int = 3
    parameters: ClassVar = {}
    reads_error: ClassVar[bool] = True

    def signals(self, outputs):
        return dict(self.sizes)

    def draw(self):
        return {}

    def trained(self, parameters):
        return self

    def seen(self, received):
        return {"size": abs(received.error).sum(-1, keepdims=True)}

    def base(self, parameters, received):
        return received.error[..., : self.broadcast]


def test_the_first_layer_is_as_large_as_the_signals_that_are_declared():
    credit = untrained(DenseCredit(3, 4, 5, Declares((("size", 1),))))
    net = chain().with_rule("tdca", credit=credit)
    assert credit.parameters["context"].shape == (5, 1)
    assert net.credit_populations["TDCA context"].size == 1


@pytest.mark.parametrize(
    "context, message",
    [
        (Declares((("size", 2),)), r"must have shapes {'size': \(1, 2\)}.*Got {'size': \(1, 1\)}"),
        (Declares((("reward", 1),)), "make signals.outputs. and seen.received. agree"),
        (Declares((("size", 1),), broadcast=2), "base must have one unit for each of 3 outputs"),
    ],
)
def test_signals_that_are_not_what_was_declared_are_refused(context, message):
    with pytest.raises(cs.DeclarationError, match=message):
        chain().with_rule("tdca", credit=untrained(DenseCredit(3, 4, 5, context)))


def test_the_shared_form_takes_signals_of_the_top_s_size_or_of_one_unit():
    assert SharedCredit(4, 5, Declares((("size", 1),))).shapes()["unit"] == (5, 3)
    with pytest.raises(
        cs.DeclarationError, match="SharedCredit: Declares has signals of .*DenseCredit.. accepts any"
    ):
        SharedCredit(4, 5, Declares((("size", 2),)))
