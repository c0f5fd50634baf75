"""The network after a protocol's trials, presented with other stimuli."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import CortexSimError
from cortex_sim.recording import select, weights_of
from cortex_sim.responding import candidate, respond_to

OWN = """
import numpy as np
import cortex_sim as cs


def experiment(seed=0):
    net = cs.Network("grown")
    retina, v1 = net.population("retina", 5), net.population("V1", 3, bias=False)
    net.bottom_up(retina, v1, plasticity="hebbian")
    images = np.random.default_rng(seed).normal(size=(4, 5))
    learn = cs.Phase("learn", 20, drive={"retina": images}, plasticity=True)
    grow = cs.Protocol(learn, trials=4, order="shuffled", record=cs.Record(weights=True), eta_per_s=0.3)
    return cs.Experiment(net, {"grow": grow, "rest": grow.replace(eta_per_s=0.0)}, noise=0.01)
"""
X = np.random.default_rng(9).normal(size=(7, 5)).astype(np.float32)


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return str(tmp_path / "own.py")


def experiment_of(path, seed):
    from cortex_sim.experiments import finding

    return finding.experiment(path, seed)


def test_responses_after_the_last_trial(own):
    """By the weights that simulating the experiment records last: W x, linear and without bias."""
    recorded = cs.brian2.run(experiment_of(own, 2), seed=2, progress=False)
    last = {}
    for arm in ("grow", "rest"):
        last[arm] = weights_of(recorded, "retina->V1", arm)[1][-1]
        given = own if arm == "grow" else experiment_of(own, 2)
        shown = respond_to(given, X, arm=arm, seed=2, like="none", populations=["V1"])
        np.testing.assert_allclose(shown.rate, X @ last[arm].T, atol=1e-5)
        assert shown.attrs["model"] == arm and shown.attrs["backend"] == "torch"
    assert np.abs(last["grow"] - last["rest"]).max() > 1e-3


def test_a_protocol_that_starts_from_a_run_keeps_its_preprocessing(run, images):
    net = cs.load(run).network
    idle = cs.Protocol(cs.Phase("idle", 5, drive={"retina": np.zeros((1, 3, 6, 6))}))
    found = candidate(cs.Experiment(net, {"idle": idle}, start=run))
    assert found.preprocessing == images.preprocessing() and found.trained
    expected = select(respond_to(run, images), population="IT").rate
    np.testing.assert_allclose(select(respond_to(found, images), population="IT").rate, expected, atol=1e-5)


def test_what_is_missing_is_said_before_anything_is_simulated(own, monkeypatch):
    monkeypatch.setattr("cortex_sim.responding.candidates.after", None)
    with pytest.raises(CortexSimError, match="grow: holds no preprocessing"):
        candidate(own, arm="grow")


@pytest.mark.parametrize(
    "given, message",
    [
        ({"arm": "growing", "like": "none"}, "unknown arm 'growing' .*known: grow, rest"),
        ({"arm": "grow"}, "grow: holds no preprocessing"),
        ({"arm": "grow", "like": "none", "rule": "oja"}, "its arms declare their rules; leave out --rule"),
        ({"arm": "grow", "like": "none", "seed": -1}, "at least 0"),
    ],
)
def test_refuses(given, message, own):
    with pytest.raises(CortexSimError, match=message) as it:
        candidate(own, **given)
    assert "\n" not in str(it.value)


def test_one_of_several_arms_must_be_named(own):
    with pytest.raises(CortexSimError, match="has several arms; give --arm .*grow, rest"):
        candidate(experiment_of(own, 0), like="none")
    with pytest.raises(CortexSimError, match="unknown protocol 'no_such_protocol'"):
        candidate("no_such_protocol", arm="grow")
