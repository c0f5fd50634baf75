"""TDCA in the declaration: the credit network stands as populations and top-down projections."""

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
    TrainedCredit,
    diffusion,
    untrained,
)
from cortex_sim.credit.declared import declared_credit, taught
from cortex_sim.initialisers import stream
from cortex_sim.rules.base import Arrival

DENSE, SHARED = untrained(DenseCredit(3, 4, 5), 1), untrained(SharedCredit(4, 5), 1)
RAW = untrained(DenseCredit(3, 4, 5, "raw", pooled=True, gated=False), 2)
forms = pytest.mark.parametrize("credit", [DENSE, SHARED, RAW], ids=["dense", "shared", "raw"])


def by_hand():
    """What `with_rule("tdca", credit=DENSE)` declares, for one hidden population."""
    p = DENSE.parameters
    net = cs.Network("by hand")
    net.population("retina", 7)
    net.population("V1", 11, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity=cs.Tdca())
    net.bottom_up("V1", "IT", plasticity="tdca")
    net.objective("IT", "cross_entropy")
    net.credit_population("TDCA context", 6)
    net.credit_population("TDCA base", 3)
    net.credit_population("TDCA", 5, activation="tanh", biases=p["context_bias"][0])
    net.credit_population("TDCA deep", 5, activation="tanh", biases=p["hidden_bias"][0])
    net.credit_population("TDCA IT", 3)
    net.top_down("TDCA context", "TDCA", feedback=cs.Given(p["context"]))
    net.top_down("TDCA", "TDCA deep", feedback=cs.Given(p["hidden"]))
    net.top_down("TDCA base", "TDCA IT", feedback=cs.Diffusion(NoDiffusion()))
    net.top_down("TDCA deep", "TDCA IT", feedback=cs.Given(p["top"]))
    channels = net.credit_population("TDCA V1", 4)
    net.top_down("TDCA base", channels, feedback=cs.Given(p["broadcast_0"]))
    net.top_down("TDCA deep", channels, feedback=cs.Given(p["channels_0"]))
    net.top_down(channels, "V1", feedback=cs.Diffusion())
    net.top_down("TDCA IT", "IT", feedback=cs.Diffusion("identity"))
    return net


def test_a_user_can_declare_the_same_by_hand():
    net = by_hand()
    net.check()
    assert net.with_rule("tdca", credit=DENSE) == net


def test_every_plastic_projection_carries_the_rule():
    net = several_inputs().with_rule("tdca", credit=DENSE)
    assert all(p.plasticity == cs.Tdca() for p in net.bottom_ups)
    assert cs.Tdca.arrival is Arrival.CREDIT
    assert {p.name for p in net.top_downs} == {
        f"TDCA {name}->{name}" for name in ("dorsal", "ventral", "V4", "IT")
    }
    assert taught(net) == ("dorsal", "ventral", "V4")
    assert list(net.populations) == list(several_inputs().populations)


@pytest.mark.parametrize("network, credit", [(chain, DENSE), (residual, RAW), (conv, SHARED)])
def test_survives_yaml_and_copies(network, credit):
    net = network("tanh", "he").with_rule("tdca", credit=credit)
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net == net.copy()
    for name, w in net.initial_weights(3).items():
        np.testing.assert_array_equal(again.initial_weights(3)[name], w)


@forms
def test_what_was_trained_is_read_back_from_the_declaration(credit):
    net = chain().with_rule("tdca", credit=credit)
    declared = declared_credit(net)
    found = declared.parameters(net.initial_weights(0)) | declared.constants
    for name, values in found.items():
        trained = credit.parameters[name.replace("_1", "_0")]  # both hidden populations hear the one set
        np.testing.assert_array_equal(values, trained)
    assert {name.replace("_1", "_0") for name in found} == set(credit.parameters)
    assert declared.network.gated == credit.network.gated
    assert type(declared.network) is type(credit.network)


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
    assert not net.credit_populations and not net.credit_projections
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
        (lambda: chain().with_rule("tdca", credit=untrained(DenseCredit(5))), "for 5 output units, and IT"),
        (lambda: chain().with_rule("backprop", credit=DENSE), "Backprop takes no credit network"),
        (lambda: chain().with_rule("tdca", credit=DENSE, scale=2.0), "takes a credit network, not {'scale'"),
        (lambda: chain().with_rule(cs.Tdca("raw"), credit=DENSE), "asks for context=.*was trained with"),
        (lambda: chain().with_rule(cs.Tdca(pooled=True), credit=DENSE), "asks for pooled=True"),
        (lambda: without_objective().with_rule("tdca"), "needs an objective"),
        (lambda: without_objective().check(), "needs an objective"),
        (
            lambda: chain().with_rule("tdca", credit=untrained(DenseCredit(3, 4, kernel=NoDiffusion()))),
            "TDCA V1->V1: NoDiffusion: 4 channels for 11 units",
        ),
        (
            lambda: chain().with_rule("tdca", credit=TrainedCredit(Other(), {}, {})),
            "Other cannot be declared as populations",
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


def missing(name):
    def change(net):
        net.projections.pop(name, None)
        net.credit_populations.pop(name, None)
        if name in ("TDCA V1", "TDCA base"):
            net.projections = {n: p for n, p in net.projections.items() if name not in (p.pre, p.post)}

    return change


def idle(net):
    net.credit_population("TDCA V7", 3)


def from_the_top(net):
    net.top_down("IT", "V1", feedback="random")


@pytest.mark.parametrize(
    "change, message",
    [
        (missing("TDCA V1"), 'needs a credit population "TDCA V1" to give V1 its credit'),
        (missing("TDCA base"), 'needs a credit population "TDCA base" of 3 units, as many as IT'),
        (missing("TDCA V1->V1"), r"needs the top-down projection TDCA V1->V1; add net.top_down\('TDCA V1"),
        (missing("TDCA deep->TDCA V1"), "needs the top-down projection TDCA deep->TDCA V1"),
        (missing("TDCA IT->IT"), "needs the top-down projection TDCA IT->IT"),
        (idle, "credit populations TDCA V7 have no part"),
        (from_the_top, "IT->V1: brings credit from IT, but Tdca takes it from credit populations"),
    ],
)  # fmt: skip
def test_a_part_that_is_missing_or_too_much_is_named(change, message):
    net = by_hand()
    change(net)
    with pytest.raises(cs.DeclarationError, match=message):
        net.check()


def test_a_credit_network_teaches_all_of_the_network():
    net = by_hand()
    net.population("extra", 4)
    net.bottom_up("V1", "extra", plasticity="backprop")
    with pytest.raises(cs.DeclarationError, match=r"V1->extra: learns by Backprop\(\), but Tdca"):
        net.check()


def test_credit_populations_without_the_rule_are_refused():
    net = chain().with_rule("backprop")
    net.credit_population("TDCA base", 3)
    with pytest.raises(cs.DeclarationError, match="has credit populations, but no projection learns from"):
        net.check()


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda net: net.credit_population("V1", 3), "population V1: the name is taken"),
        (lambda net: net.population("TDCA", 3), "population TDCA: the name is taken"),
        (lambda net: net.credit_population("a/b", 3), "a name holds letters"),
        (lambda net: net.credit_population("more", 3, biases=[1.0]), r"shape \(1,\); give \(3,\)"),
        (lambda net: net.bottom_up("TDCA", "V1"), "unknown population of by hand 'TDCA'"),
        (lambda net: net.top_down("V1", "TDCA", feedback="random"), "hears of V1 by its context alone"),
        (
            lambda net: net.top_down("TDCA deep", "V1", feedback="random", regulariser=cs.Decay()),
            "change in the outer loop only",
        ),
        (
            lambda net: net.top_down("TDCA deep", "V1", feedback=cs.Given(np.ones((2, 2)))),
            r"weights have shape \(2, 2\), give shape \(11, 5\)",
        ),
    ],
)  # fmt: skip
def test_credit_populations_hear_each_other_only(ask, message):
    with pytest.raises(cs.DeclarationError, match=message):
        ask(by_hand())


def test_a_small_network_of_another_size_is_refused():
    p = SHARED.parameters
    from cortex_sim.credit.feedback import Addressed

    with pytest.raises(cs.DeclarationError, match=r"Addressed: weights must have shape \(5, 5\)"):
        Addressed(p["unit"][:, :2], p["unit_bias"], p["unit_out"])


def test_the_shared_form_has_one_small_network():
    from dataclasses import replace

    net = chain().with_rule("tdca", credit=SHARED)
    p = net.projection("TDCA base->TDCA V2")
    other = replace(p.feedback, out=p.feedback.out + 1)
    net.projections[p.name] = replace(p, feedback=other)
    with pytest.raises(cs.DeclarationError, match="has one small network for all populations"):
        net.check()
