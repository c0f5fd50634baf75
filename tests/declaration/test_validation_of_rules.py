"""Rules, and how their credit arrives: every refusal names the object, the wrong, and the way out."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from refusals import refused, three

import cortex_sim as cs
from cortex_sim.rules.base import Arrival

# --- rules and the projections they belong to


def test_plasticity_on_an_identity():
    net = cs.Network("n")
    net.population("V1", 3)
    net.population("V2", 3)
    with refused("V1->V2: Identity() has no weights to learn; remove plasticity=GaitProp(...)"):
        net.bottom_up("V1", "V2", "identity", plasticity="gait_prop")
    with refused("V1->V2: Identity() has no weights for Decay to act on; remove the regulariser"):
        net.bottom_up("V1", "V2", "identity", regulariser="decay")


@pytest.mark.parametrize("rule", [cs.KolenPollack, cs.WeightMirror, cs.InverseLearning])
def test_a_top_down_rule_on_a_bottom_up_projection(rule):
    word = rule.__name__
    with refused(f"{word} changes top-down weights, but retina->IT is bottom-up", "net.top_down("):
        three().bottom_up("retina", "IT", plasticity=rule(of="V1->IT"))


@pytest.mark.parametrize("rule", [cs.GaitProp(), cs.Backprop(), cs.Bcm()])
def test_a_bottom_up_rule_on_a_top_down_projection(rule):
    word = type(rule).__name__
    with refused(f"IT->V1: {word} is a rule for bottom-up projections", "KolenPollack(of='V1->IT')"):
        three().top_down("IT", "V1", feedback="random", plasticity=rule)


@pytest.mark.parametrize("feedback", [cs.Transpose, cs.Inverse, cs.SignSymmetric])
def test_tied_feedback_cannot_learn_by_itself(feedback):
    word = feedback.__name__
    tied = feedback(of="V1->IT")
    with refused(f"IT->V1: {word} weights follow V1->IT", "use feedback=Random() or Given(array)"):
        three().top_down("IT", "V1", feedback=tied, plasticity=cs.KolenPollack(of="V1->IT"))
    with refused(f"IT->V1: {word} weights follow V1->IT, so Decay cannot act", "give it to V1->IT"):
        three().top_down("IT", "V1", feedback=tied, regulariser="decay")


@pytest.mark.parametrize("part", ["feedback", "plasticity"])
def test_a_partner_that_is_none(part):
    thing = {"feedback": cs.Inverse, "plasticity": cs.KolenPollack}[part]
    word, free = thing.__name__, {"feedback": cs.Random()}
    with refused(f"IT->V1: {word}(of='V1->V9') names no bottom-up projection; known: V1->IT, retina->V1"):
        three().top_down("IT", "V1", **free | {part: thing(of="V1->V9")})
    with refused(f"IT->V1: {word}(of='retina->V1') belongs to a top-down projection from V1 to retina"):
        three().top_down("IT", "V1", **free | {part: thing(of="retina->V1")})
    with refused("of must be a projection or its name"):
        thing(of=3)


def test_auxiliary_units_where_units_outnumber_inputs():
    net = cs.Network("n")
    net.population("V1", 3)
    net.population("V2", 5)
    net.bottom_up("V1", "V2")
    with refused("V2->V1: V1->V2 has 5 post units for 3 inputs", "use auxiliary=False"):
        net.top_down("V2", "V1", feedback=cs.Inverse(of="V1->V2", damping=0, auxiliary=True))


def test_auxiliary_units_of_a_convolution_count_the_patch():
    net = cs.Network("n")
    net.population("V1", shape=(1, 4, 4))
    net.population("V2", shape=(5, 3, 3))
    net.bottom_up("V1", "V2", cs.Conv2d(2))  # 5 channels receive 4 inputs each
    with refused("V2->V1: V1->V2 has 5 post units for 4 inputs"):
        net.top_down("V2", "V1", feedback=cs.Inverse(of="V1->V2", damping=0, auxiliary=True))


@pytest.mark.parametrize(
    "thing, settings, message",
    [
        (cs.Inverse, {"damping": 1e-3, "auxiliary": True}, "give damping=0 with auxiliary=True"),
        (cs.Inverse, {"damping": -1}, "Inverse: damping must be 0 or more. Got -1"),
        (cs.Inverse, {"solver": "lu"}, 'solver must be "direct" or "iterative". Got \'lu\''),
        (cs.Inverse, {"keeps": "all"}, 'keeps must be "gram" or "difference". Got \'all\''),
        (cs.Inverse, {"keeps": "difference"}, 'give rescale=True, or keeps="gram"'),
        (
            cs.Inverse,
            {"keeps": "difference", "rescale": True, "auxiliary": True, "damping": 0},
            'leave keeps="difference" out',
        ),
        (cs.Inverse, {"refresh": 0}, "refresh must be a whole number of at least 1"),
        (cs.Inverse, {"rescale": "no"}, "rescale must be True or False"),
    ],
    ids=str,
)
def test_an_inverse_that_cannot_be(thing, settings, message):
    with refused(message):
        thing(of="V1->IT", **settings)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: cs.GaitProp(form="exact"), 'GaitProp: form must be "limit" or "finite". Got \'exact\''),
        (lambda: cs.GaitProp(form=[1]), 'GaitProp: form must be "limit" or "finite". Got [1]'),
        (lambda: cs.GaitProp(gamma=0), "GaitProp: gamma must be a positive number"),
        (lambda: cs.GaitProp(normalised=1), "GaitProp: normalised must be True or False"),
        (lambda: cs.TargetProp(gamma=-1), "TargetProp: gamma must be a positive number"),
        (lambda: cs.Bcm(window=0.5), "Bcm: window must be at least 1 presentation. Got 0.5"),
        (lambda: cs.Random(scale=0), "Random: scale must be a positive number"),
        (lambda: cs.Decay(rate=-1), "Decay: rate must be 0 or more"),
        (lambda: cs.Orthogonality(strength=0), "Orthogonality: strength must be a positive number"),
        (lambda: cs.Orthogonality(diagonal="no"), "Orthogonality: diagonal must be True or False"),
        (lambda: cs.Orthogonality(probes=8, diagonal=False), "use diagonal=True, or probes=None"),
        (lambda: cs.HardOrthogonality(every=0), "every must be a whole number of at least 1"),
        (lambda: cs.HardOrthogonality(strength=1.5), "strength must be at most 1. Got 1.5"),
        (lambda: cs.CrossEntropy(weight=0), "CrossEntropy: weight must be a positive number"),
    ],
)
def test_a_setting_out_of_range(make, message):
    with refused(message):
        make()


def test_columns_that_cannot_become_orthogonal():
    """Of more inputs than post units; auxiliary units make up for them, under GAIT-prop."""

    def net(rule, *sizes, **feedback):
        net = cs.Network("n")
        for name, size in zip(("retina", "V1", "IT"), sizes, strict=True):
            net.population(name, size)
        net.bottom_up("retina", "V1", plasticity="backprop")
        net.bottom_up("V1", "IT", plasticity="backprop", regulariser=cs.Orthogonality(diagonal=False))
        net.objective("IT", "squared_error")
        return net.with_rule(rule, **feedback)

    with refused("V1->IT: Orthogonality(diagonal=False)", "5 columns", "3 rows", "gain=None"):
        net("backprop", 4, 5, 3).check()
    with refused("V1->IT: Orthogonality(diagonal=False)", "Inverse(auxiliary=True)"):
        net("gait_prop", 4, 5, 3).check()
    net("backprop", 4, 3, 5).check()
    net("gait_prop", 4, 5, 3, auxiliary=True, damping=0.0).check()


# --- how credit arrives


def test_a_missing_way_down():
    with refused("retina->V1: learns by GaitProp", "no top-down projection brings credit to V1"):
        three().check()
    with refused("add net.top_down('IT', 'V1', feedback=Inverse(...))"):
        three().check()
    three().with_rule("gait_prop").check()  # as the message says, that heals it


def test_feedback_that_the_rule_does_not_take():
    net = three(rule="backprop")
    net.top_down("IT", "V1", feedback="random")
    with refused("retina->V1: learns by Backprop", "through Transpose, but IT->V1 has Random"):
        net.check()


def four(rule):
    """Retina - V1 - V2 - IT."""
    net = cs.Network("four")
    for name in ("retina", "V1", "V2", "IT"):
        net.population(name, 3)
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "IT")):
        net.bottom_up(pre, post, plasticity=rule)
    net.objective("IT", "squared_error")
    return net


def test_credit_from_a_population_that_has_none():
    net = four("feedback_alignment")
    net.projections["V1->V2"] = net.projections["V1->V2"].__class__("bottom_up", "V1", "V2", cs.Dense())
    net.top_down("V2", "V1", feedback="random")
    with refused("V2->V1: brings V1 the credit of V2, which receives none itself", "from above to V2"):
        net.check()


def test_direct_feedback_that_does_not_start_at_the_top():
    net = four("direct_feedback_alignment")
    net.top_down("IT", "V2", feedback="random")
    net.top_down("V2", "V1", feedback="random")
    with refused("V2->V1: DirectFeedbackAlignment of retina->V1", "net.top_down('IT', 'V1', ...)"):
        net.check()


def test_a_missing_direct_way_asks_for_one_from_the_top():
    net = four("direct_feedback_alignment")
    net.top_down("IT", "V2", feedback="random")
    with refused("brings credit to V1; add net.top_down('IT', 'V1', feedback=Random(...))"):
        net.check()


def test_one_of_two_ways_down_forgotten(fan_out):
    net = fan_out.with_rule("gait_prop")
    del net.projections["ventral->V1"]
    with refused("retina->V1: V1 also drives ventral, whose credit does not return", "'ventral', 'V1'"):
        net.check()


def test_credit_may_cross_an_identity_whatever_the_rule(residual):
    net = residual.with_rule("gait_prop")
    net.top_down("V4", "V1", feedback=cs.Transpose(of="V1->V4"))
    net.check()
    assert net.projection("V4->V1").connector == cs.Identity()


# --- rules by targets


@pytest.mark.parametrize("rule", [cs.TargetProp(), cs.DifferenceTargetProp(), cs.GaitProp(form="finite")])
def test_targets_need_an_invertible_activation(rule):
    word = type(rule).__name__
    with refused(f"population V1: {word} needs the inverse of the rate function, but Relu has none"):
        three(activation="relu").with_rule(rule)
    three(activation="softplus").with_rule(rule).check()


def test_the_limit_form_takes_any_activation():
    assert len(three(activation="relu").with_rule("gait_prop").top_downs) == 1


def test_target_propagation_takes_chains_of_dense_projections(residual, fan_out):
    for net, population in ((fan_out, "V1"), (residual, "V1")):
        with refused(f"population {population}: TargetProp inverts", "use DifferenceTargetProp()"):
            net.with_rule("target_prop")
        net.with_rule("difference_target_prop").check()


def test_targets_hold_for_the_whole_network():
    net = three(rule=None)
    net.projections.clear()
    net.bottom_up("retina", "V1", plasticity=cs.GaitProp(form="finite"))
    net.bottom_up("V1", "IT", plasticity="gait_prop")
    net.top_down("IT", "V1", feedback=cs.Inverse(of="V1->IT"))
    with refused("network three: GaitProp(form='finite'", "every supervised projection must carry it"):
        net.check()


# --- Kolen and Pollack


@pytest.mark.parametrize("up, down", [((), ()), ((cs.Decay(),), ()), ((cs.Decay(1e-3),), (cs.Decay(),))])
def test_kolen_pollack_needs_one_decay_on_both(up, down):
    net = cs.Network("n")
    for name in ("retina", "V1", "IT"):
        net.population(name, 3)
    net.bottom_up("retina", "V1", plasticity="feedback_alignment")
    net.bottom_up("V1", "IT", plasticity="feedback_alignment", regulariser=up)
    rule = cs.KolenPollack(of="V1->IT")
    net.top_down("IT", "V1", feedback="random", plasticity=rule, regulariser=down)
    net.objective("IT", "squared_error")
    with refused(
        "projection IT->V1: KolenPollack needs the same decay", "give both regulariser=Decay(1e-4)", "own"
    ):
        net.check()
    net.projections["IT->V1"] = replace(
        net.projections["IT->V1"], plasticity=cs.KolenPollack(of="V1->IT", forgetting="own")
    )
    net.check()


# --- rules of the user's own


def test_a_rule_of_ones_own_enters_by_the_same_door(own_names):
    @cs.register("rule", "own_covariance")
    @dataclass(frozen=True)
    class Covariance:
        rate: float = 0.1

        def change(self, w, r_pre, r_post):
            return (r_post - r_post.mean(0)).T @ r_pre / len(r_pre)

    net = three(rule="own_covariance", objective=None)
    net.check()
    assert net.projection("V1->IT").plasticity == Covariance()
    assert net.with_rule(Covariance(rate=0.5)).projection("V1->IT").plasticity.rate == 0.5
    assert cs.Network.from_yaml(net.to_yaml()) == net
    with refused("rule 'own_covariance' is taken by", "choose another name"):
        cs.register("rule", "own_covariance")(cs.Bcm)


def test_a_supervised_rule_of_ones_own_says_once_how_its_credit_comes(own_names):
    @cs.register("rule", "own")
    @dataclass(frozen=True)
    class Own:
        arrival: ClassVar[Arrival] = Arrival.CHAIN
        accepts: ClassVar[tuple[type, ...]] = (cs.Transpose,)

    with refused("it is unknown how Own receives its credit; call cortex_sim.register_word("):
        three().with_rule(Own())
    cs.register_word("own", cs.Word(Own(), paired=lambda up: cs.TopDown(cs.Transpose(of=up))))
    assert three().with_rule("own").projection("IT->V1").feedback == cs.Transpose(of="V1->IT")


def test_settings_of_ones_own_rule_must_be_data():
    with refused("rule 'loose': ", "must be a dataclass", "write @dataclass(frozen=True) below"):

        @cs.register("rule", "loose")
        class Loose:
            def change(self, w, r_pre, r_post):
                return 0 * w


def test_half_a_supervised_rule():
    @dataclass(frozen=True)
    class Half:
        arrival: ClassVar[Arrival] = Arrival.CHAIN  # and no word on what it accepts

    with refused("rule must be one of backprop", "or an object with change or arrival, accepts"):
        three().bottom_up("retina", "IT", plasticity=Half())
