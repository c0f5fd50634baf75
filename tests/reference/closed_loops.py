"""Two closed loops, and the same experiments computed from the equations, with an Euler loop of their own."""

from __future__ import annotations

from zlib import crc32

import numpy as np

import cortex_sim as cs

TAU, DT = 10.0, 1.0
STEP, TRIALS = 0.08, 60
W_UP = np.array([[0.9, 0.3, -0.2], [-0.4, 0.8, 0.5]])


# -- an adaptive staircase: 3 right answers lower the contrast, one wrong answer raises it -----------


def staircase(seen, state, rng):
    """3-down-1-up; the observer says yes where its rate and noise of its own exceed a criterion."""
    yes = bool(seen["V1"][0] + 0.1 * rng.standard_normal() > 0.25)
    row = state["row"] + 1 if yes else 0
    change = -STEP if row == 3 else (0.0 if yes else STEP)
    level = min(max(state["level"] + change, 0.0), 2.0)
    return {"level": level, "row": row % 3, "yes": yes, "levels": [*state["levels"], level]}


def observer():
    net = cs.Network("observer")
    retina = net.population("retina", 3)
    v1 = net.population("V1", 2, activation="tanh", tau_ms=TAU, bias=False)
    net.bottom_up(retina, v1, cs.Dense(init=W_UP))
    return net


def staircase_protocol(average=False, trials=TRIALS):
    loop = cs.ClosedLoop(
        staircase,
        reads=["V1"],
        phase="look",
        average=average,
        state={"level": 1.2, "row": 0, "yes": 0, "levels": []},
    )
    look = cs.Phase("look", 60, drive={"retina": cs.Sum(loop["level"], [0.0, 0.1, 0.2])})
    return cs.Protocol(cs.Phase("before", 20), look, trials=trials)


def staircase_by_euler(seed, average=False, settled=False, trials=TRIALS):
    """(level, yes) of every trial."""
    state, found = {"level": 1.2, "row": 0, "levels": []}, []
    for trial in range(trials):
        a, course = np.zeros(2), []
        shown = state["level"] + np.array([0.0, 0.1, 0.2])
        for _ in range(60):
            a = a + DT / TAU * (-a + W_UP @ shown)
            course.append(np.tanh(a))
        rates = np.mean(course, axis=0) if average else course[-1]
        rates = np.tanh(W_UP @ shown) if settled else rates
        rng = np.random.default_rng(np.random.SeedSequence([seed, crc32(b"staircase"), trial + 1]))
        level = state["level"]
        state = state | staircase({"V1": rates}, state, rng)
        found.append((level, float(state["yes"])))
    return np.array(found)


# -- reward for the chosen action: two cues, one of two actions is right for each --------------------

CUES = np.array([[1.0, 0.0], [0.0, 1.0]])
RIGHT = np.array([1, 0])
W_START = np.array([[0.5, 0.4], [0.4, 0.5]])
ETA, TAU_E = 4.0, 50.0


def reward(seen, state, rng):
    """The action with the higher noisy rate is taken, and rewarded if right; surprise is reward - mean."""
    action = int(np.argmax(seen["action"] + 0.3 * rng.standard_normal(2)))
    got = float(action == RIGHT[seen.image])
    mean = state["mean"] + 0.1 * (got - state["mean"])
    return {"surprise": got - state["mean"], "mean": mean, "action": action, "taken": np.eye(2)[action]}


def chooser():
    net = cs.Network("chooser")
    cue = net.population("cue", 2)
    action = net.population("action", 2, activation="relu", tau_ms=TAU, bias=False)
    net.bottom_up(cue, action, cs.Dense(init=W_START), plasticity=cs.ThreeFactor(tau_ms=TAU_E))
    return net


def reward_protocol(trials=40):
    loop = cs.ClosedLoop(
        reward,
        reads=["action"],
        phase="decide",
        state={"surprise": 0.0, "mean": 0.5, "action": 0, "taken": np.zeros(2)},
    )
    cue = {"cue": CUES}
    act = {"cue": CUES, "action": cs.Sum(loop["taken"], -0.5)}  # the action taken stays active, the other not
    return cs.Protocol(
        cs.Phase("decide", 80, drive=cue),
        cs.Phase("act", 100, drive=act, plasticity={"cue->action": ETA}, modulator=loop["surprise"]),
        trials=trials,
        order="shuffled",
        record=cs.Record(phase="decide", weights=True),
    )


def rewarded_by_euler(images, seed):
    """(surprise, action) of every trial, and the weights after each."""
    w, trace, state, rows, weights = W_START.copy(), np.zeros((2, 2)), {"mean": 0.5}, [], []
    for trial, image in enumerate(images):
        x, a = CUES[image], np.zeros(2)
        for _ in range(80):
            a = a + DT / TAU * (-a + w @ x)
        rng = np.random.default_rng(np.random.SeedSequence([seed, crc32(b"reward"), trial + 1]))
        seen = type("Seen", (), {"image": image, "__getitem__": lambda self, name, a=a: np.maximum(a, 0)})()
        state = state | reward(seen, state, rng)
        for _ in range(100):  # learning reads the rates and traces of before the step
            r = np.maximum(a, 0)
            moved = a + DT / TAU * (-a + w @ x + state["taken"] - 0.5)
            w = w + DT / 1000 * ETA * state["surprise"] * trace
            trace = trace + DT / TAU_E * (np.outer(r, x) - trace)
            a = moved
        rows.append((state["surprise"], state["action"]))
        weights.append(w.copy())
    return np.array(rows), np.array(weights)
