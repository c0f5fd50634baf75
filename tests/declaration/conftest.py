"""Three graphs that between them hold all that a rule must find its way through."""

import pytest

import cortex_sim as cs
from cortex_sim import registry
from cortex_sim.rules import base


def chain() -> cs.Network:
    """Retina - V1 - V2 - IT, dense, every size a prime of its own."""
    net = cs.Network("chain")
    net.population("retina", 13)
    net.population("V1", 11, activation="leaky_relu")
    net.population("V2", 7, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Dense(init="he"), plasticity="gait_prop")
    net.bottom_up("V1", "V2", cs.Dense(), plasticity="gait_prop", regulariser="orthogonality")
    net.bottom_up("V2", "IT", cs.Dense(init="xavier"), plasticity="gait_prop")
    net.objective("IT", "cross_entropy")
    return net


def residual() -> cs.Network:
    """A convolutional block with a skip connection around it; its first projection is fixed."""
    net = cs.Network("residual")
    net.population("retina", shape=(2, 5, 5))
    for name in ("V1", "V2", "V4"):
        net.population(name, shape=(3, 5, 5), activation="leaky_relu")
    net.population("IT", 7)
    field = cs.Conv2d(kernel=3, padding=1)
    net.bottom_up("retina", "V1", field)
    net.bottom_up("V1", "V2", field, plasticity="gait_prop", regulariser="hard_orthogonality")
    net.bottom_up("V2", "V4", field, plasticity="gait_prop")
    net.bottom_up("V1", "V4", "identity")
    net.bottom_up("V4", "IT", "dense", plasticity="gait_prop")
    net.objective("IT", "squared_error")
    return net


def fan_out() -> cs.Network:
    """One area drives two, and both drive IT."""
    net = cs.Network("fan_out")
    net.population("retina", 13)
    for name, size in (("V1", 11), ("dorsal", 7), ("ventral", 5)):
        net.population(name, size, activation="leaky_relu")
    net.population("IT", 3)
    for pre, post in (("retina", "V1"), ("V1", "dorsal"), ("V1", "ventral"), ("dorsal", "IT")):
        net.bottom_up(pre, post, plasticity="gait_prop", regulariser=cs.Decay(1e-3))
    net.bottom_up("ventral", "IT", plasticity="gait_prop")
    net.objective("IT", "cross_entropy")
    return net


@pytest.fixture(params=[chain, residual, fan_out], ids=lambda build: build.__name__)
def graph(request):
    """Each of the three, without top-down projections."""
    return request.param()


@pytest.fixture(name="chain")
def _chain():
    return chain()


@pytest.fixture(name="residual")
def _residual():
    return residual()


@pytest.fixture(name="fan_out")
def _fan_out():
    return fan_out()


@pytest.fixture
def own_names(monkeypatch):
    """What the test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_TABLES", {k: dict(t) for k, t in registry._TABLES.items()})
    monkeypatch.setattr("cortex_sim.words.WORDS", words := dict(base.WORDS))
    monkeypatch.setattr("cortex_sim.cards.WORDS", words)
    monkeypatch.setattr(base, "WORDS", words)
