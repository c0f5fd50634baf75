"""Pre-training one stimulus blocks another, as in Rescorla and Wagner's recursion."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk

import cortex_sim as cs
from cortex_sim.experiments.finding import experiment as found

NAME = "blocking"


@pytest.fixture
def short(monkeypatch):
    """The protocol with stages of four trials."""
    blocking = module(NAME)
    monkeypatch.setattr(blocking, "STAGE", 4)
    return blocking


def rescorla_wagner(tone, light, us, rate):
    """V_j += αβ(λ − Σ_present V), one stimulus at a time."""
    v = {"tone": 0.0, "light": 0.0}
    for t, s, strength in zip(tone, light, us, strict=True):
        present = [name for name, on in (("tone", t), ("light", s)) if on]
        surprise = strength - sum(v[name] for name in present)
        for name in present:
            v[name] += rate * surprise
    return v


def euler(tone, light, us, start, eta, tau=10.0, before=100, during=100):
    """Drive and weights of one trial, millisecond by millisecond: τ da/dt = −a + w·x, dw/dt = η(US − a)x."""
    w, a, x = start.copy(), 0.0, np.array([tone, light])
    for step in range(before + during):
        change = eta / 1000 * (us - a) * x if step >= before else 0.0
        a, w = a + (w @ x - a) / tau, np.clip(w + change, 0, 1)
    return w


def test_trials_are_as_the_schedule_says():
    blocking = module(NAME)
    schedule = blocking.trials("overexpectation")
    assert schedule[:2].tolist() == [[1, 0, 0.5], [0, 1, 0.5]] and schedule.shape == (120, 3)
    np.testing.assert_array_equal(schedule[blocking.STAGE :], blocking.trials("blocking")[blocking.STAGE :])
    assert not blocking.trials("no pre-training")[: blocking.STAGE].any()


def test_one_step_a_trial_at_equilibrium_is_the_recursion(short):
    recording = cs.torch.run(found(NAME), progress=False)
    for arm in (*short.STAGES, *short.HEBB):
        _, weights = short.strengths(recording, arm)
        np.testing.assert_allclose(weights, short.recursion(arm), atol=1e-14)
        if arm in short.STAGES:
            by_hand = rescorla_wagner(*short.trials(arm).T, rate=0.1)
            np.testing.assert_allclose(weights[-1], list(by_hand.values()), atol=1e-14)
            np.testing.assert_allclose(short.probes(recording, arm)[-1, :2], weights[-1], atol=1e-14)
    assert short.figure(recording).axes


def test_time_takes_the_steps_of_the_equations(short):
    arms = ["blocking", "stronger US"]
    recording = both_engines(NAME, only=arms)
    for arm in arms:
        _, weights = short.strengths(recording, arm)
        for (tone, light, us), before, after in zip(short.trials(arm), weights, weights[1:], strict=False):
            np.testing.assert_allclose(euler(tone, light, us, before, short.ETA), after, atol=1e-13)


@pytest.mark.slow
def test_known_result(tmp_path):
    rows = runs_on_disk(NAME, tmp_path)
    light = {arm: row["light"] for arm, row in rows.items()}
    assert light["blocking"] < 0.01 * light["no pre-training"]
    assert rows["blocking"]["tone"] == pytest.approx(0.5, abs=0.01)
    assert light["no pre-training"] == pytest.approx(0.25, abs=0.01)
    assert light["stronger US"] == pytest.approx(0.25, abs=0.01)
    assert light["overexpectation"] == pytest.approx(0.25, abs=0.01)
    assert light["Hebb, pre-trained"] >= light["Hebb, no pre-training"] > 0.9
    for arm, row in rows.items():
        assert row["light"] == pytest.approx(row["light by the recursion"], abs=0.01), arm
