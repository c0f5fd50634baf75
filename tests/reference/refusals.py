"""Declarations that are refused, and a network to refuse them on."""

from contextlib import contextmanager

import pytest

import cortex_sim as cs


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
