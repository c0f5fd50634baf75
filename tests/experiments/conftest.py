"""The known session in the place of both backends, and an experiment for it."""

import pytest
from known_session import KnownSession, network, protocol

import cortex_sim as cs
from cortex_sim.backends import registry
from cortex_sim.recording import assembling, recorder


@pytest.fixture
def session(monkeypatch):
    """The known session in the place of both backends."""

    class Own(KnownSession):
        made = 0  # whatever other tests have made of its parent

    def start(net, seed, conditions):
        return Own(net, seed)

    monkeypatch.setattr(registry, "_BACKENDS", {"brian2": start, "torch": start})
    return Own


@pytest.fixture
def experiment():
    return cs.Experiment(network(), {"one": protocol(), "two": protocol(trials=4)})


@pytest.fixture
def every_trial(monkeypatch):
    """A chunk after every trial, and blocks of the file shorter and longer than a chunk."""
    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    monkeypatch.setattr(assembling, "_BLOCK_BYTES", 4 * 8 * 10)
