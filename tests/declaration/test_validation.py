"""Every refusal names the object, what is wrong with it, and the way out."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.rules.base import Arrival


@contextmanager
def refused(*parts):
    with pytest.raises(cs.DeclarationError) as refusal:
        yield
    message = str(refusal.value)
    for part in parts:
        assert part in message
    assert "\n" not in message


def three(activation="leaky_relu", rule="gait_prop", objective="squared_error"):
    """Retina (5) - V1 (3) - IT (2), without a way down."""
    net = cs.Network("three")
    net.population("retina", 5)
    net.population("V1", 3, activation=activation)
    net.population("IT", 2)
    net.bottom_up("retina", "V1", plasticity=rule)
    net.bottom_up("V1", "IT", plasticity=rule)
    if objective:
        net.objective("IT", objective)
    return net


# --- names


@pytest.mark.parametrize("name", ["", "a/b", "V1->V2", "1st", "V1\n", " V1", 3, None, ["V1"]])
def test_a_malformed_name(name):
    with refused(f"population {name!r}", 'starts with a letter ("V1", "V4 left")'):
        cs.Network("n").population(name, 3)


def test_a_name_taken():
    with refused("population V1: the name is taken; choose another"):
        three().population("V1", 3)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_network_without_a_name(name):
    with refused("network: name must be a non-empty string"):
        cs.Network(name)


def test_an_unknown_population():
    with refused("unknown population of three 'retna' (did you mean 'retina'?)", "known: IT, V1, "):
        three().bottom_up("retna", "IT")
    with refused("unknown population of three 'ITT'"):
        three().top_down("ITT", "V1", feedback="random")
    with refused("unknown population of three 'top'"):
        three(objective=None).objective("top", "squared_error")


def test_a_population_of_another_network():
    stranger = cs.Network("other").population("V1", 99)
    with refused("population V1: belongs to another network, not to three"):
        three().top_down("IT", stranger, feedback="random")


def test_an_unknown_projection():
    with refused("unknown projection of three 'IT->V2'", "known: V1->IT, retina->V1"):
        three().projection("IT->V2")


@pytest.mark.parametrize(
    "kind, declare",
    [
        ("activation", lambda net, thing: net.population("new", 3, activation=thing)),
        ("connector", lambda net, thing: net.bottom_up("retina", "IT", thing)),
        ("rule", lambda net, thing: net.bottom_up("retina", "IT", plasticity=thing)),
        ("regulariser", lambda net, thing: net.bottom_up("retina", "IT", regulariser=thing)),
        ("feedback", lambda net, thing: net.top_down("IT", "V1", feedback=thing)),
        ("objective", lambda net, thing: net.objective("IT", thing)),
    ],
)
def test_what_is_not_of_its_kind(kind, declare):
    other = cs.GaitProp() if kind != "rule" else cs.Dense()
    net = three(objective=None)
    with refused(f"unknown {kind} 'nonsense'", "known: "):
        declare(net, "nonsense")
    with refused(f"{kind} must be one of ", "Got <object obj"):
        declare(net, object())
    with refused(f"{kind} must be one of ", f"Got {type(other).__name__}", ", which is a "):
        declare(net, other)
    with refused(f"{kind}: give {type(other).__name__}(), an object, not the class itself"):
        declare(net, type(other))
    with refused(f"{kind} must be one of ", "Got 3"):
        declare(net, 3)


def test_a_word_that_lacks_a_setting():
    with refused("connector conv2d has no default for kernel; give Conv2d(kernel=...)"):
        three().bottom_up("retina", "IT", "conv2d")
    with refused("feedback transpose has no default for of; give Transpose(of=...)"):
        three().top_down("IT", "V1", feedback="transpose")


# --- shapes


@pytest.mark.parametrize("size", [0, -3, 2.5, "3", True, float("nan")])
def test_a_size_that_is_no_number_of_units(size):
    with refused(f"population V1: shape must be a whole number of at least 1. Got {size!r}"):
        cs.Network("n").population("V1", size)


@pytest.mark.parametrize("shape", [(3, 4), (), (1, 2, 3, 4), 5])
def test_a_shape_that_is_none(shape):
    with refused("population V1: shape must be (unit,) or (channel, row, column)", repr(shape)):
        cs.Network("n").population("V1", shape=shape)


@pytest.mark.parametrize("how", [{}, {"size": 3, "shape": (3,)}])
def test_neither_or_both_of_size_and_shape(how):
    with refused("population V1: give either a size or shape=(channel, row, column)"):
        cs.Network("n").population("V1", **how)


@pytest.mark.parametrize("tau", [0, -1.0, float("nan"), float("inf"), "10"])
def test_a_time_constant_must_be_positive(tau):
    with refused("population V1: tau_ms must be a positive number"):
        cs.Network("n").population("V1", 3, tau_ms=tau)


@pytest.mark.parametrize("flag", ["bias", "nonnegative"])
def test_a_flag_is_true_or_false(flag):
    with refused(f"population V1: {flag} must be True or False. Got 'no'"):
        cs.Network("n").population("V1", 3, activation="relu", **{flag: "no"})


@pytest.mark.parametrize("activation", ["linear", "leaky_relu", "tanh"])
def test_nonnegative_rates_need_such_an_activation(activation):
    with refused("population V1: nonnegative", "use relu, softplus or logistic"):
        cs.Network("n").population("V1", 3, activation=activation, nonnegative=True)


def test_weights_of_another_shape():
    net = cs.Network("n")
    net.population("retina", 784)
    net.population("V1", 256)
    with refused(
        "projection retina->V1: weights have shape (256, 128), but retina has 784 units and V1 256",
        'give shape (256, 784), or init="orthogonal" to draw them',
    ):
        net.bottom_up("retina", "V1", cs.Dense(init=np.zeros((256, 128))))


def convolved(post, connector, pre=(2, 8, 8)):
    net = cs.Network("n")
    net.population("retina", shape=pre)
    net.population("V1", shape=post)
    return net.bottom_up("retina", "V1", connector)


def test_a_kernel_of_another_shape():
    with refused("projection retina->V1: weights have shape (3, 3)", "give shape (5, 2, 3, 3)"):
        convolved((5, 6, 6), cs.Conv2d(3, init=np.zeros((3, 3))))


def test_a_convolution_without_channels():
    with refused("retina->V1: a convolution needs", "V1 has shape (5,)", "or use Dense()"):
        convolved((5,), cs.Conv2d(3))


def test_a_convolution_to_the_wrong_side():
    with refused("take 8x8 to 3x3, but V1 has shape (5, 4, 4); give V1 shape (5, 3, 3)"):
        convolved((5, 4, 4), cs.Conv2d(3, stride=2))


def test_a_kernel_larger_than_its_image():
    with refused("kernel 9 is larger than retina", "use a smaller kernel or more padding"):
        convolved((5, 1, 1), cs.Conv2d(9))


def test_an_identity_between_different_shapes():
    with refused("Identity() needs populations of one shape", "(2, 8, 8)", "or use Dense()"):
        convolved((5, 8, 8), cs.Identity())


def test_given_feedback_of_another_shape():
    with refused("IT->V1: weights have shape (2, 3), give shape (3, 2)", "3 V1 units by 2 IT units"):
        three().top_down("IT", "V1", feedback=cs.Given(np.zeros((2, 3))))


@pytest.mark.parametrize("weights", [np.full((3, 2), np.nan), np.full((3, 2), np.inf)])
def test_given_feedback_must_be_finite(weights):
    with refused("Given feedback: weights hold NaN or infinity; give finite numbers"):
        cs.Given(weights)


# --- graph


def test_a_cycle():
    net = three()
    with refused("projection IT->retina: closes the cycle IT -> retina -> V1 -> IT", "net.top_down("):
        net.bottom_up("IT", "retina")
    assert "IT->retina" not in net.projections


def test_a_projection_to_itself():
    with refused("projection V1->V1: joins V1 to itself; use two populations"):
        three().bottom_up("V1", "V1")


def test_a_projection_declared_twice():
    with refused("projection V1->IT: already declared (bottom_up)", "put a population between"):
        three().bottom_up("V1", "IT")
    net = three()
    net.top_down("IT", "V1", feedback="random")
    with refused("projection IT->V1: already declared (top_down)"):
        net.top_down("IT", "V1", feedback="random")


def test_a_top_down_projection_before_its_convolution():
    net = cs.Network("n")
    net.population("retina", shape=(2, 8, 8))
    net.population("V1", shape=(5, 8, 8))
    net.top_down("V1", "retina", feedback="random")
    with refused("V1->retina was declared before it", "declare the bottom-up projection first"):
        net.bottom_up("retina", "V1", cs.Conv2d(3, padding=1))


def test_a_population_that_nothing_joins():
    net = three()
    net.population("ear", 3)
    with refused("population ear: has no bottom-up input and projects to nothing", "or leave it out"):
        net.with_rule("gait_prop")


def test_credit_from_a_population_without_input():
    net = three()
    net.population("ear", 3)
    net.bottom_up("ear", "V1")
    net.top_down("ear", "retina", feedback="random")
    with refused("projection ear->retina: ear has no bottom-up input", "no credit to send"):
        net.check()


def test_an_empty_network():
    with refused("network n: no bottom-up projection; add net.bottom_up(...)"):
        cs.Network("n").check()


# --- objective


def test_a_supervised_rule_without_an_objective():
    net = three(objective=None)
    net.top_down("IT", "V1", feedback=cs.Inverse(of="V1->IT"))
    with refused("retina->V1 learns by GaitProp, which needs an objective; add net.objective("):
        net.check()


def test_two_objectives():
    with refused("network three: the objective is already at IT; declare one only"):
        three().objective("V1", "squared_error")


def test_an_objective_at_the_stimulus():
    net = three(rule=None, objective=None)
    net.objective("retina", "squared_error")
    with refused("the objective is at retina, whose rates are the stimulus", "with bottom-up input"):
        net.check()


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
    with refused(f"retina->IT: {word} changes top-down weights, retina->IT is bottom-up", "net.top_down("):
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
        (cs.Inverse, {"solver": "lu"}, "solver must be direct or iterative. Got 'lu'"),
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
        (lambda: cs.GaitProp(form="exact"), "GaitProp: form must be limit or finite. Got 'exact'"),
        (lambda: cs.GaitProp(form=[1]), "GaitProp: form must be limit or finite. Got [1]"),
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
    with refused("retina->V1: learns by Backprop", "through Transpose; IT->V1 has Random"):
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
    with refused("V2->V1: brings V1 the credit of V2, which gets none itself", "from above to V2"):
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
    with refused("retina->V1: V1 also drives ventral, whose credit never comes back", "'ventral', 'V1'"):
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
    with refused(f"population V1: {word} needs the inverse of the rate function, and Relu has none"):
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
    with refused("projection IT->V1: KolenPollack needs one decay", "give regulariser=Decay(1e-4) to both"):
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

    with refused("how Own receives its credit is unknown; call cortex_sim.register_word("):
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
