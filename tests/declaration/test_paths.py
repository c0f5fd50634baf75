"""Checking a declaration takes time in proportion to it."""

import time

import pytest

import cortex_sim as cs


def deep(blocks):
    """Blocks of three projections, each with a skip connection around it."""
    net = cs.Network("deep")
    net.population("p0", 4, activation="leaky_relu")
    for i in range(1, 3 * blocks + 1):
        net.population(f"p{i}", 4, activation="leaky_relu")
        net.bottom_up(f"p{i - 1}", f"p{i}", plasticity="gait_prop")
        if i % 3 == 0:
            net.bottom_up(f"p{i - 3}", f"p{i}", "identity")
    net.objective(f"p{3 * blocks}", "squared_error")
    return net.with_rule("gait_prop")


def seconds(net):
    times = []
    for _ in range(7):
        start = time.process_time()
        net.check()
        times.append(time.process_time() - start)
    return min(times)


def test_checking_stays_near_linear_in_depth():
    """Eight times the depth: 8 if linear, 64 if quadratic; paths around blocks double with each block."""
    assert seconds(deep(40)) < 24 * seconds(deep(5))


def test_no_plasticity_without_its_way_down_names_the_word():
    net = cs.Network("n")
    for name in ("retina", "V1", "IT"):
        net.population(name, 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "squared_error")
    with pytest.raises(cs.DeclarationError, match=r'or use net.with_rule\("backprop"\), which adds all'):
        net.check()
    net.with_rule("backprop").check()


def test_credit_in_a_circle_is_still_no_credit():
    """V2 receives of the objective through V1 only, so it has nothing to tell V1."""
    net = cs.Network("n")
    for name in ("retina", "V1", "V2", "IT"):
        net.population(name, 3)
    net.bottom_up("retina", "V1", plasticity="feedback_alignment")
    net.bottom_up("V1", "IT")
    net.bottom_up("retina", "V2")
    net.objective("IT", "squared_error")
    for pre, post in (("IT", "V1"), ("V1", "V2"), ("V2", "V1")):
        net.top_down(pre, post, feedback="random")
    with pytest.raises(cs.DeclarationError, match="brings V1 the credit of V2, which receives none itself"):
        net.check()
