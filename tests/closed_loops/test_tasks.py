"""Environments of gymnasium and trials of neurogym as closed loops."""

import re

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.protocol import loop_running
from cortex_sim.protocol.planning import plan
from cortex_sim.recording import recorder
from cortex_sim.recording.fingerprint import fingerprint


class Space:
    def __init__(self, n=None, shape=()):
        self.n, self.shape = n, shape


class Cart:
    """A cart that is pushed left or right along a noisy track, with gymnasium's interface."""

    observation_space, action_space, spec = Space(shape=(2,)), Space(n=2), None

    def reset(self, *, seed=None):
        self.rng = np.random.default_rng(seed)
        self.place, self.speed = self.rng.uniform(-0.1, 0.1, size=2)
        return np.array([self.place, self.speed]), {}

    def step(self, action):
        self.speed += (0.1 if action == 1 else -0.1) + 0.02 * self.rng.standard_normal()
        self.place += self.speed
        out = bool(abs(self.place) > 0.5)
        return np.array([self.place, self.speed]), 1.0 - abs(self.place), out, False, {}


def steered(units=2):
    """Action 1 where the cart is, or moves, to the left."""
    net = cs.Network("driver")
    seen = net.population("seen", units)
    acts = net.population("acts", 2, activation="linear", tau_ms=5, bias=False)
    toward = np.array([[1.0, 2.0], [-1.0, -2.0]])
    net.bottom_up(seen, acts, cs.Dense(init=np.pad(toward, ((0, 0), (0, units - 2)))))
    return net


def driving(env, trials=30, **settings):
    loop = cs.tasks.environment(env, ["acts"], "decide", **settings)
    phase = cs.Phase("decide", 60, drive={"seen": loop["observation"]})
    return cs.Protocol(phase, trials=trials)


def by_hand(env, loop_seed, trials):
    """The same steps, made directly: one seed an episode, the better action by the sign of the drive."""
    rows, episode, total = [], 0, 0.0

    def begin():
        word = int(np.random.SeedSequence([loop_seed, episode]).generate_state(1)[0] >> 1)
        return env.reset(seed=word)[0]

    observation = begin()
    for _ in range(trials):
        action = int(observation @ [1.0, 2.0] < 0)
        shown = observation
        observation, reward, ended, cut, _ = env.step(action)
        total += reward
        rows.append((*shown, action, reward, total, ended or cut))
        if ended or cut:
            episode, total = episode + 1, 0.0
            observation = begin()
    return np.array(rows, dtype=float)


def table(made):
    columns = [made[f"environment:{n}"].values for n in ("action", "reward", "total", "ended")]
    return np.column_stack([made["environment:observation"].values, *columns])


@pytest.mark.parametrize("backend", [cs.brian2, cs.torch])
def test_an_environment_is_stepped_once_a_trial(backend):
    made = backend.run(cs.Experiment(steered(), {"one": driving(Cart())}), 3, progress=False)
    loop_seed = plan(driving(Cart()), steered(), 3).loops["environment"].state["seed"]
    expected = by_hand(Cart(), int(loop_seed), 30)
    np.testing.assert_allclose(table(made), expected, atol=1e-12)
    np.testing.assert_array_equal(made.rate.values[:, :2], expected[:, :2])


def test_gymnasium():
    gymnasium = pytest.importorskip("gymnasium")
    pole = gymnasium.make("CartPole-v1", max_episode_steps=15)
    toward = np.array([[-0.1, -0.2, -1.0, -1.0], [0.1, 0.2, 1.0, 1.0]])
    net = cs.Network("balance")
    seen = net.population("seen", 4)
    net.bottom_up(seen, net.population("acts", 2, activation="linear", bias=False), cs.Dense(init=toward))
    made = cs.torch.run(cs.Experiment(net, {"one": driving(pole, 40)}), progress=False)
    ended = np.flatnonzero(made["environment:ended"])
    assert len(ended) >= 2 and made["environment:total"].values[ended[0]] == 15  # balanced until it is cut
    lake = gymnasium.make("FrozenLake-v1", is_slippery=False)
    wide = cs.Network("wide")
    seen = wide.population("seen", 16)
    right = np.zeros((4, 16))
    right[[2, 2, 1, 1, 1, 2], [0, 1, 2, 6, 10, 14]] = 1.0  # the safe way
    wide.bottom_up(seen, wide.population("acts", 4, activation="linear", bias=False), cs.Dense(init=right))
    made = cs.torch.run(cs.Experiment(wide, {"one": driving(lake, 7)}), progress=False)
    assert made["environment:reward"].values.tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert made["environment:ended"].values.tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert made["environment:observation"].values.argmax(axis=1).tolist() == [0, 1, 2, 6, 10, 14, 0]


def test_continuous_actions_and_other_choices():
    class Slider(Cart):
        action_space = Space(shape=(2,))

        def step(self, action):
            assert action.shape == (2,) and action.dtype == np.float32
            return np.asarray(action, dtype=float), float(action[0]), False, True, {}

    made = cs.torch.run(cs.Experiment(steered(), {"one": driving(Slider(), 5)}), progress=False)
    np.testing.assert_allclose(made["environment:action"], made.rate.values[:, 2:], atol=1e-6)
    drawn = driving(Cart(), 20, choose=lambda seen, rng: rng.integers(2))
    made = cs.torch.run(cs.Experiment(steered(), {"one": drawn}), progress=False)
    assert 4 < made["environment:action"].values.sum() < 16


class Ended(Exception):
    """The end of a program."""


def test_resumed_it_repeats_the_episode_and_ends_as_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "CHUNK_SECONDS", -1.0)
    call, at = loop_running.Loops.call, {}

    def ending(self, phase, rates, means):
        if self.called(phase) and self._shown.trials[0] == at.get("trial"):
            raise Ended
        call(self, phase, rates, means)

    monkeypatch.setattr(loop_running.Loops, "call", ending)

    def run(env, name, **settings):
        made = cs.Experiment(steered(), {"one": driving(env, 25)})
        cs.torch.run(made, 3, out=tmp_path / name, progress=False, **settings).close()

    run(Cart(), "whole.nc")
    for number, trial in enumerate((3, 10, 17, None)):
        at["trial"] = trial
        try:
            run(Cart(), "a.nc", resume=number > 0)
        except Ended:
            assert trial is not None
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()

    class Forgetful(Cart):
        def reset(self, *, seed=None):
            return super().reset(seed=None)

    with pytest.raises(
        RunError, match="closed loop environment, trial 0: with the same seed and actions the"
    ):
        run(Forgetful(), "b.nc")
    assert fingerprint(driving(Cart())) == fingerprint(driving(Cart()))
    assert fingerprint(driving(Cart())) != fingerprint(driving(Forgetful()))


def test_environments_that_do_not_fit():
    class Old(Cart):
        def reset(self, *, seed=None):
            return np.zeros(2)

    class Nested(Cart):
        def reset(self, *, seed=None):
            return {"a": 1}, {}

    class Short(Cart):
        def step(self, action):
            return super().step(action)[:4]

    class Three(Cart):
        action_space = Space(n=3)

    for env, said in (
        (object(), "environment environment: has no reset; give an object with gymnasium's interface"),
        (Old(), "reset must return (observation, info), as in gymnasium since 0.26. Got ndarray"),
        (
            Nested(),
            "an observation is a dict, but a population needs an array; wrap the",
        ),
        (Short(), "step must return (observation, reward, terminated, truncated, info)"),
        (Three(), "there are 3 actions, but acts has 2 units; read a population with 3, or give choose="),
    ):
        with pytest.raises((DeclarationError, RunError), match=re.escape(said)):
            cs.torch.run(cs.Experiment(steered(), {"one": driving(env, 3)}), progress=False)
    with pytest.raises(DeclarationError, match="choose must be a function"):
        driving(Cart(), choose=3)


class Dots:
    """A stimulus of random length on one side, then a cue to say which; with neurogym's interface."""

    dt, action_space = 20, Space(n=3)

    def seed(self, seed=None):
        self.rng = np.random.RandomState(seed)

    def new_trial(self, **settings):
        shown, asked = self.rng.randint(3, 7), 2
        self.side = self.rng.randint(2)
        self.ob = np.zeros((shown + asked, 3))
        self.ob[:shown, 0] = 1
        self.ob[:shown, 1 + self.side] = 0.8 + 0.1 * self.rng.randn(shown)
        self.gt = np.r_[np.zeros(shown, int), np.full(asked, 1 + self.side)]
        return {"ground_truth": self.side}


def test_trials_of_a_task_are_shown_rewarded_and_repeated():
    task = cs.tasks.trial_task(Dots(), trials=12, seed=5)
    again = cs.tasks.trial_task(Dots(), trials=3, seed=5)
    for k in range(3):  # a trial depends on the seed and its number
        np.testing.assert_array_equal(again.observations[k], task.observations[k])
    assert len(set(task.whole_ms)) > 1 and set(task.decision_ms) == {40.0}
    assert [a + b for a, b in zip(task.before_ms, task.decision_ms, strict=True)] == task.whole_ms
    net = cs.Network("decides")
    seen = net.population("seen", 3)
    out = net.population("out", 3, activation="tanh", tau_ms=200, bias=False)
    net.bottom_up(seen, out, cs.Dense(init=np.eye(3) * [[0.0], [1.0], [0.5]]))  # the second side is weak
    loop = task.rewarded(["out"], "decide")
    protocol = cs.Protocol(
        cs.Phase("look", task.before_ms, drive={"seen": task.before}),
        cs.Phase("decide", task.decision_ms, drive={"seen": task.decision}),
        cs.Phase("reward", 20, drive={"out": loop["reward"]}),
        record=cs.Record(phase="decide"),
    )
    made = cs.brian2.run(cs.Experiment(net, {"one": protocol}), progress=False)
    for k in range(12):  # the equations, with the observations held for 20 ms
        a = np.zeros(3)
        for shown in np.repeat(task.observations[k], 20, axis=0):
            a = a + 1 / 200 * (-a + shown * [0.0, 1.0, 0.5])
        np.testing.assert_allclose(made.rate.values[k, 3:], np.tanh(a), atol=1e-12)
        assert made["Dots:choice"].values[k] == np.argmax(a)
        assert made["Dots:reward"].values[k] == (np.argmax(a) == task.answers[k])
    assert made["Dots:reward"].values.mean() > 0


def test_in_a_sequence_each_trial_of_a_task_has_its_own_answer():
    """Trials are counted over the sequence, the task's drives and answers by its own protocol."""
    task = cs.tasks.trial_task(Dots(), trials=8, seed=5)
    assert len(set(task.answers.tolist())) == 2
    net = cs.Network("decides")
    seen, out = net.population("seen", 3), net.population("out", 3, bias=False)
    net.bottom_up(seen, out, cs.Dense(init=np.eye(3)))
    loop = task.rewarded(["out"], "decide")
    sides = np.eye(3)[task.answers]
    own = cs.Protocol(
        cs.Phase("decide", 20, drive={"seen": cs.PerTrial(list(sides))}),
        cs.Phase("reward", 20, drive={"out": loop["reward"]}),
        record=cs.Record(phase="decide"),
    )
    before = cs.Protocol(cs.Phase("decide", 20), trials=3, record=own.record)
    made = cs.torch.run(cs.Experiment(net, {"one": cs.Sequence(before, own, own)}), progress=False)
    assert made["Dots:reward"].values[3:].tolist() == [1.0] * 16


def test_tasks_that_do_not_fit():
    class Same(Dots):
        def new_trial(self, **settings):
            self.ob, self.gt = np.zeros((4, 3)), np.ones(4, int)

    class Continuous(Dots):
        def new_trial(self, **settings):
            self.ob, self.gt = np.zeros((4, 3)), np.zeros((4, 2))

    class Odd(Dots):
        def new_trial(self, **settings):
            self.ob, self.gt = np.zeros((4, 3)), np.zeros(5, int)

    for make, said in (
        (
            lambda: cs.tasks.trial_task(object(), 3),
            "task object: has no seed; give an object with",
        ),
        (lambda: cs.tasks.trial_task(Dots(), 0), "task Dots: trials"),
        (lambda: cs.tasks.trial_task(Same(), 2).before, "in trial 0 the right answer is the same"),
        (
            lambda: cs.tasks.trial_task(Odd(), 2),
            "task Odd, trial 0: ob must have shape (bin, unit), and gt",
        ),
        (
            lambda: cs.tasks.trial_task(Continuous(), 2).rewarded(["V1"], "a"),
            "its answers are not whole numbers",
        ),
        (lambda: cs.tasks.trial_task(Dots(), 2).rewarded(["V1"], "a", choose=1), "choose must be a function"),
    ):
        with pytest.raises(DeclarationError, match=re.escape(said)):
            make()
