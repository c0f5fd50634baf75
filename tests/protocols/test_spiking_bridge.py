"""The same declaration with spikes: arms differ as they say, learning is e-prop's, results are kept."""

import json

import numpy as np
import pytest
from short_runs import module

import cortex_sim as cs

NAME = "spiking_bridge"
WITH_TRACES = ("e-prop, symmetric", "e-prop, random")  # diffused from few places failed with one seed


def test_every_arm_starts_alike_and_differs_in_what_brings_credit():
    script = module(NAME)
    nets = {name: script.network(arm) for name, arm in script.ARMS.items()}
    start = {name: cs.brian2.Spiking(net, 3).weights for name, net in nets.items()}
    for weights in start.values():
        for name, w in weights.items():
            np.testing.assert_array_equal(w, start["e-prop, random"][name])
    down = {name: [type(p.feedback).__name__ for p in net.top_downs] for name, net in nets.items()}
    assert down["e-prop, symmetric"] == ["Transpose"]
    assert down["e-prop, random"] == down["broadcast without traces"] == ["Random"]
    assert down["e-prop, diffused from 8"] == ["Diffused"] and down["readout only"] == []
    kept = {name: net.projection("PFC->answer").plasticity for name, net in nets.items()}
    assert kept["broadcast without traces"] == cs.EProp("none")
    assert kept["e-prop, random"] == cs.EProp()


def test_parts_are_other_trials_of_the_same_curves():
    script = module(NAME)
    drawn = {part: script.draw(part, 20, 1) for part in ("train", "validation", "test")}
    for x, y in drawn.values():
        assert x.shape == (20, 300, 21) and y.shape == (20, 300, 1)
    assert not np.array_equal(drawn["train"][0], drawn["test"][0])
    curves = {part: np.unique(y[:, :, 0].round(5), axis=0) for part, (_, y) in drawn.items()}
    np.testing.assert_array_equal(curves["train"], curves["test"])
    assert len(curves["train"]) == script.PATTERNS


def test_the_first_update_is_adams_step_along_the_change():
    """Adam's first step is the rate times the sign."""
    script = module(NAME)
    arm = script.ARMS["e-prop, random"]
    sim, curve = script.learned(arm, 0.01, 0, updates=1)
    rates = cs.brian2.FiringRates(script.TARGET_HZ, script.STRENGTH)
    before = cs.brian2.Spiking(script.network(arm), 0, firing_rates=rates)
    change = before.run(*script.draw("train", script.BATCH, 0)).changes
    assert len(curve) == 1
    for name in ("stimulus->PFC", "PFC->PFC recurrent", "PFC->answer"):
        moved = sim.weights[name] - before.weights[name]
        large = abs(change[name]) > 1e-6
        assert large.any()
        np.testing.assert_allclose(moved[large], 0.01 * np.sign(change[name][large]), rtol=0.02)


def test_scores_are_shares_of_variance():
    script = module(NAME)
    _, y = script.draw("test", 10, 0)
    assert script.explained(y, y) == 1
    assert abs(script.explained(np.broadcast_to(y.mean((0, 1)), y.shape), y)) < 1e-6


def test_results_are_kept_and_drawn(tmp_path, monkeypatch):
    script = module(NAME)
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    assert script.kept("a", lambda: {"score": 1.0}) == {"score": 1.0}
    assert script.kept("a", lambda: pytest.fail("made a second time")) == {"score": 1.0}
    assert json.loads((tmp_path / "results.json").read_text()) == {"a": {"score": 1.0}}
    run = {"score": 0.5, "rate_hz": 10.0, "curve": list(np.linspace(-1, 0.5, 30))}
    trial = {when: np.eye(30, dtype=bool) for when in ("before", "after")}
    trial |= {name: np.zeros((30, 1)) for name in ("output before", "output", "target")}
    drawn = script.figure({name: [run, run] for name in script.ARMS}, trial)
    assert len(drawn.axes) == 6


@pytest.mark.slow
def test_known_result(tmp_path, monkeypatch):
    """One seed, at the rate that the search gave every arm; about two minutes."""
    script = module(NAME)
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    found = {name: script.measured(name, 0.03, 0, "test")["score"] for name in script.ARMS}
    controls = max(found["broadcast without traces"], found["readout only"])
    assert min(found[name] for name in WITH_TRACES) > controls
