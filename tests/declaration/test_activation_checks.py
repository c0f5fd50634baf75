from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import registry
from cortex_sim.arrays import array_namespace


@dataclass(frozen=True)
class Squash:
    """f(a) = a/(1 + |a|)."""

    invertible: ClassVar[bool] = True
    rate_text: ClassVar[str] = "a / (1 + abs(a))"
    gain_text: ClassVar[str] = "1 / (1 + abs(a))**2"

    def rate(self, a):
        return a / (1 + abs(a))

    def gain(self, a):
        return 1 / (1 + abs(a)) ** 2

    def drive(self, r):
        return r / (1 - abs(r))


class WrongGain(Squash):
    def gain(self, a):
        return 1 / (1 + abs(a))


class WrongDrive(Squash):
    def drive(self, r):
        return r


class WrongText(Squash):
    rate_text = "a / (2 + abs(a))"


class WrongGainText(Squash):
    gain_text = "1 / (1 + abs(a))"


class OneNumber(Squash):
    def rate(self, a):
        return array_namespace(a).sum(a) * 1.0


@pytest.mark.parametrize("name", registry.names("activation"))
def test_every_activation_that_ships_passes(name):
    cs.check_activation(name)


def test_a_sound_one_passes_and_runs_in_time():
    cs.check_activation(Squash())
    assert np.isclose(Squash().drive(Squash().rate(0.3)), 0.3)


@pytest.mark.parametrize(
    ("activation", "said"),
    [
        (WrongGain(), "gain is not the derivative of rate: at a = -3.13 they are"),
        (WrongDrive(), "drive does not undo rate"),
        (WrongText(), "rate_text 'a / .2 . abs.a..' is not its rate"),
        (WrongGainText(), "gain_text .* is not its gain"),
        (OneNumber(), "shapes|derivative"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_defect_is_named(activation, said):
    with pytest.raises(cs.DeclarationError, match=said):
        cs.check_activation(activation)


def test_a_text_that_disagrees_is_found_at_build():
    net = cs.Network("squashed")
    net.population("retina", 3)
    net.population("V1", 2, activation=WrongText())
    net.bottom_up("retina", "V1")
    with pytest.raises(cs.DeclarationError, match="activation WrongText: rate_text"):
        cs.brian2.build(net)
