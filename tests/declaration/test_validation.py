"""Every refusal names the object, what is wrong with it, and the way out."""

import numpy as np
import pytest
from refusals import refused, three

import cortex_sim as cs

# --- names


@pytest.mark.parametrize("name", ["", "a/b", "V1->V2", "1st", "V1\n", " V1", 3, None, ["V1"]])
def test_a_malformed_name(name):
    with refused(f"population {name!r}", 'does not end with a space ("V1", "V4 left")'):
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
    with refused("population V1: give either size or shape=(channel, row, column)"):
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
    with refused("Identity() needs populations of the same shape", "(2, 8, 8)", "or use Dense()"):
        convolved((5, 8, 8), cs.Identity())


def test_given_feedback_of_another_shape():
    with refused("IT->V1: weights have shape (2, 3), give shape (3, 2)", "3 V1 units by 2 IT units"):
        three().top_down("IT", "V1", feedback=cs.Given(np.zeros((2, 3))))


@pytest.mark.parametrize("weights", [np.full((3, 2), np.nan), np.full((3, 2), np.inf)])
def test_given_feedback_must_be_finite(weights):
    with refused("Given feedback: weights contain NaN or infinity; give finite numbers"):
        cs.Given(weights)


# --- graph


def test_a_cycle():
    net = three()
    with refused("projection IT->retina: closes the cycle IT -> retina -> V1 -> IT", "net.top_down("):
        net.bottom_up("IT", "retina")
    assert "IT->retina" not in net.projections


def test_a_projection_to_itself():
    with refused("projection V1->V1: connects V1 to itself; use two populations"):
        three().bottom_up("V1", "V1")


def test_a_projection_declared_twice():
    with refused("projection V1->IT: already declared (bottom_up)", "put a population in between"):
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


def test_a_seed_beyond_int64_which_no_file_holds():
    three().initial_weights(2**63 - 1)
    with refused("network three: seed must be at most 2⁶³ − 1, 9223372036854775807. Got 9223372036854775808"):
        three().initial_weights(2**63)
