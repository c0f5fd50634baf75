"""Reversal learning: the global modulator in a closed loop, against the equations and the delta rule."""

from zlib import crc32

import numpy as np
import pytest
from short_runs import both_engines, found, module, runs_on_disk

import cortex_sim as cs

NAME = "reversal_learning"


def test_both_engines_take_the_same_steps():
    modulator = cs.PerTrial([0.5, -0.2, 0.1])
    protocol = found(NAME).arms["surprise"].protocol
    assert len(both_engines(NAME, only=["surprise"], trials=3).trial) == 3
    *others, reward = protocol.phases
    yoked = cs.Phase(reward.name, 60, plasticity=True, modulator=modulator)
    assert len(both_engines(NAME, only=["surprise"], trials=3, phases=[*others, yoked]).trial) == 3


def euler(seed, trials, modulator):
    """Weights after each trial, choices and reversals, from the equations in steps of 1 ms."""
    made = module(NAME)
    w, trace, state, rows = np.full(2, 0.5), np.zeros(2), dict(made.START), []
    for trial in range(trials):
        a = np.zeros(2)
        for _ in range(made.DECIDE_MS):
            a = a + (w - a) / made.TAU_MS
        rng = np.random.default_rng(np.random.SeedSequence([seed, crc32(b"bandit"), trial + 1]))
        state = state | made.bandit({"action": np.maximum(a, 0)}, state, rng)
        given = modulator(state, trial)
        for step in range(made.ACT_MS + made.REWARD_MS):
            acting, r = step < made.ACT_MS, np.maximum(a, 0)
            w = w + (0 if acting else made.ETA / 1000 * given * trace)
            trace = trace + (r * acting - trace) / made.TRACE_MS  # without the cue, pre is silent
            a = a + ((state["taken"] if acting else 0) - a) / made.TAU_MS
        rows.append((*w, state["choice"], state["reversed"]))
    return np.array(rows)


ARMS = {
    "surprise": lambda state, trial: state["surprise"],
    "yoked": lambda state, trial: module(NAME).delta_rule(1, trials=trial + 1)[trial],
    "reward alone": lambda state, trial: state["reward"],
}


def check(recording, trials):
    made = module(NAME)
    for arm, modulator in ARMS.items():
        expected = euler(0, trials, modulator)
        weights = cs.recording.weights_of(recording, made.PROJECTION, arm)[1][1:, :, 0]
        np.testing.assert_allclose(weights, expected[:, :2], atol=1e-9)
        np.testing.assert_array_equal(made.of_arm(recording, arm, "choice"), expected[:, 2])
        np.testing.assert_array_equal(made.of_arm(recording, arm, "reversed"), expected[:, 3])


def test_the_first_trials_are_those_of_the_equations(monkeypatch):
    made = module(NAME)
    short = made.delta_rule(1)[:4]
    monkeypatch.setattr(made, "TRIALS", 4)
    with monkeypatch.context() as patch:
        patch.setattr(made, "delta_rule", lambda seed: short)
        recording = cs.brian2.run(found(NAME))
    check(recording, 4)


@pytest.mark.slow
def test_every_trial_is_that_of_the_equations_and_nearly_of_the_delta_rule():
    made = module(NAME)
    recording = cs.brian2.run(found(NAME))
    check(recording, made.TRIALS)
    assert made.figure(recording).axes
    _, weights = cs.recording.weights_of(recording, made.PROJECTION, "surprise")
    taken = recording["bandit:taken"].values[recording["arm"].values == "surprise"]
    surprise = made.of_arm(recording, "surprise", "surprise")
    chosen = taken.astype(bool)
    change = np.diff(weights[:, :, 0], axis=0)[chosen]
    alpha = (change @ surprise) / (surprise @ surprise)
    assert alpha == pytest.approx(0.25, abs=0.01)
    # what remains is the trace of the trial before, e^(-120/30) of it
    assert np.abs(change - alpha * surprise).max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_known_result(seed, tmp_path):
    rows = runs_on_disk(NAME, tmp_path, seed)
    surprise = rows["surprise"]
    assert surprise["reversals"] >= 12 and surprise["trials to criterion, median"] <= 25
    assert surprise["right, first 5 trials after a reversal"] < 0.4
    assert surprise["right, trials 6 to 10 after it"] > 0.6
    for control in ("yoked", "reward alone"):
        assert rows[control]["reversals"] <= surprise["reversals"] / 3, control
        assert rows[control]["right choices"] < surprise["right choices"] - 0.15, control
    assert rows["reward alone"]["largest weight"] > 3 and surprise["largest weight"] < 1.3
