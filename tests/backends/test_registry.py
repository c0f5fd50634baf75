"""Backends by name: shipped ones, and one's own through the same door."""

import numpy as np
import pytest
from known_session import KnownSession, network, protocol

import cortex_sim as cs
from cortex_sim.backends import registry
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.experiments import running


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr(registry, "_BACKENDS", dict(registry._BACKENDS))


def test_a_backend_of_ones_own_runs_experiments(table):
    told = []

    def start(net, seed, conditions):
        told.append(conditions)
        return KnownSession(net, seed)

    cs.register_backend("known", start)
    assert registry.backends() == ["brian2", "known", "torch"]
    experiment = cs.Experiment(network(), {"one": protocol(trials=2)}, dt_ms=0.5, noise=0.25)
    made = running.run(experiment, "known", 3, progress=False)
    assert np.isfinite(made.rate.values).all()
    assert (told[0].dt_ms, told[0].noise, told[0].state) == (0.5, 0.25, None)


def test_names_are_kept_and_unknown_ones_listed(table):
    with pytest.raises(DeclarationError, match="'brian2' is registered already"):
        cs.register_backend("brian2", KnownSession)
    with pytest.raises(DeclarationError, match="give a function"):
        cs.register_backend("other", "brian2")
    with pytest.raises(RunError, match="unknown backend 'brian'.*known: brian2, torch"):
        registry.backend_called("brian")
