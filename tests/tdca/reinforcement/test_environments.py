"""Batched environments equal gymnasium's step by step; ranges, and what the choice tasks ask."""

import math

import gymnasium
import numpy as np
import pytest
import torch

from cortex_sim.errors import RunError
from cortex_sim.tdca.reinforcement.environment import drawn
from cortex_sim.tdca.reinforcement.named import ENVIRONMENTS, environment


def cartpole(env, own):
    env.force_mag, env.length, env.masspole = own["force"], own["length"], own["mass"]
    env.total_mass, env.polemass_length = env.masspole + env.masscart, env.masspole * env.length


def acrobot(env, own):
    env.LINK_MASS_1 = env.LINK_MASS_2 = own["mass"]
    env.LINK_LENGTH_1 = env.LINK_LENGTH_2 = own["length"]
    env.LINK_MOI = own["inertia"]


def mountain_car(env, own):
    env.force, env.gravity = own["force"], own["mass"]


def pendulum(env, own):
    env.m, env.l = own["mass"], own["length"]


PUBLISHED = {
    "cartpole": ("CartPole-v1", cartpole),
    "acrobot": ("Acrobot-v1", acrobot),
    "mountain_car": ("MountainCar-v0", mountain_car),
    "pendulum": ("Pendulum-v1", pendulum),
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("setting", ["D", "R", "E"])
def test_equals_gymnasium_step_by_step(name, setting):
    word, give = PUBLISHED[name]
    ours, generator = environment(name), torch.Generator().manual_seed(1)
    shape = (2, 3)
    physics = drawn(ours, setting, shape, generator, torch.float64)
    state = ours.begin(physics, shape, generator)
    theirs = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        env = gymnasium.make(word).unwrapped
        env.reset(seed=0)
        give(env, {k: float(v[at]) for k, v in physics.items()})
        env.state = state[(slice(None), *at)].numpy().copy()
        theirs[at] = env
    over = np.zeros(shape, dtype=bool)
    for _ in range(150):
        action = torch.randint(ours.actions, shape, generator=generator)
        state, reward, ended = ours.step(state, action, physics)
        seen = ours.observe(state, physics)
        for at in np.ndindex(shape):
            if over[at]:
                continue
            a = int(action[at])
            given = np.array([2.0 * (a - 1)]) if name == "pendulum" else a
            observed, r, end, *_ = theirs[at].step(given)
            now = np.asarray(theirs[at].state, dtype=float)
            np.testing.assert_allclose(state[(slice(None), *at)], now, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(seen[at], observed, rtol=1e-6, atol=1e-6)
            assert bool(ended[at]) == end
            np.testing.assert_allclose(float(reward[at]), r, rtol=1e-12)
            over[at] = end
            theirs[at].state = state[(slice(None), *at)].numpy().copy()  # each step from the same state


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_settings_are_disjoint(name):
    env, generator = environment(name), torch.Generator().manual_seed(0)
    drawn_in = {s: drawn(env, s, (500,), generator) for s in "DRE"}
    for parameter, span in env.ranges.items():
        low, high = span.random
        d, r, e = (drawn_in[s][parameter] for s in "DRE")
        assert (d == span.default).all() and ((r >= low) & (r <= high)).all()
        assert ((e < low) | (e > high)).all() and (e < low).any() and (e > high).any()
        assert ((e >= span.extreme[0]) & (e <= span.extreme[1])).all()
    with pytest.raises(RunError, match="setting of physical parameters"):
        drawn(env, "X", (2,), generator)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_observations_are_of_the_order_of_one(name):
    env, generator = environment(name), torch.Generator().manual_seed(0)
    physics = drawn(env, "R", (40, 1), generator)
    state = env.begin(physics, (40, 8), generator)
    seen, alive = [], torch.ones(40, 8, dtype=torch.bool)
    for _ in range(60):
        observed = env.scaled(env.observe(state, physics))
        assert observed.shape == (40, 8, env.observations)
        seen.append(observed[alive])
        state, _, ended = env.step(state, torch.randint(env.actions, (40, 8), generator=generator), physics)
        alive &= ~ended
    assert 0.1 < float(torch.cat(seen).square().mean().sqrt()) < 4


@pytest.mark.parametrize("name", ["match_to_sample", "context_choice"])
def test_no_linear_readout_solves_a_choice(name):
    env, generator = environment(name), torch.Generator().manual_seed(0)
    physics = drawn(env, "D", (1, 1), generator, torch.float64)
    state = env.begin(physics, (1, 4000), generator)
    x, y = env.observe(state, physics)[0], 2 * state[-1, 0] - 1
    x = torch.cat((x, torch.ones_like(x[:, :1])), 1)
    right = float((torch.sign(x @ torch.linalg.lstsq(x, y[:, None]).solution)[:, 0] == y).double().mean())
    assert right < (0.56 if name == "match_to_sample" else 0.72)
    if name == "match_to_sample":
        best = torch.sign((x[:, :8] * x[:, 8:16]).sum(1) - 4 * math.exp(-0.3))
    else:
        best = torch.sign((x[:, :4] * x[:, 4:8]).sum(1))
    assert float((best == y).double().mean()) > 0.95


def test_no_linear_readout_sorts_cards():
    """Only the product of cue and features says which value counts."""
    env, generator = environment("card_sorting"), torch.Generator().manual_seed(0)
    physics = drawn(env, "D", (1, 1), generator, torch.float64)
    state = env.begin(physics, (1, 4000), generator)
    x, answer = env.observe(state, physics)[0], state[-1, 0].long()
    ones = torch.cat((x, torch.ones_like(x[:, :1])), 1)
    wanted = torch.nn.functional.one_hot(answer, 3).double()
    linear = (ones @ torch.linalg.lstsq(ones, wanted).solution).argmax(1)
    assert float((linear == answer).double().mean()) < 0.66
    cue = x[:, 9:].argmax(1)
    named = x[:, :9].reshape(-1, 3, 3)[torch.arange(len(x)), cue].argmax(1)
    assert float((named == answer).double().mean()) > 0.95
    _, reward, ended = env.step(state, answer[None], physics)
    assert (reward == 1).all() and ended.all()
    _, reward, _ = env.step(state, (answer[None] + 1) % 3, physics)
    assert (reward == -1).all()


def test_unknown_environment():
    with pytest.raises(RunError, match="unknown environment 'cartpol' \\(did you mean 'cartpole'"):
        environment("cartpol")
