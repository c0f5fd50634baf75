"""Policies that learn: REINFORCE's credit, returns, baselines, contexts, and independence of inner runs."""

import numpy as np
import pytest
import torch

from cortex_sim import library
from cortex_sim.credit import DenseCredit
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.tdca.inner.cohort import layout, start
from cortex_sim.tdca.inner.rules import Backprop, Moment
from cortex_sim.tdca.inner.step import Plain
from cortex_sim.tdca.reinforcement.episodes import Baselines, World, returns_to_go, rollout
from cortex_sim.tdca.reinforcement.modulation import ModulatedCredit
from cortex_sim.tdca.reinforcement.named import environment
from cortex_sim.tdca.reinforcement.outcome import read_as_policy
from cortex_sim.tdca.reinforcement.persistent import Learning
from cortex_sim.tdca.reinforcement.policy import policy
from cortex_sim.tdca.reinforcement.rules import BackpropOfTrainedTop, LayeredOfTrainedTop
from cortex_sim.tdca.reinforcement.signals import ActionContext


def body_of(name, hidden=(5,), **settings):
    env = environment(name)
    sizes = {"inputs": env.observations, "classes": env.actions}
    return policy(library.model("tdca_mlp", hidden=list(hidden), activation="tanh", **sizes, **settings), env)


def learning_of(name, rule, count=3, episodes=4, seed=0, setting="R", scrambled=False, copies=1):
    body = body_of(name)
    learning = Learning(body, rule, Plain(0.05), environment(name), count, episodes, 0.9, copies)
    generator = torch.Generator().manual_seed(seed)
    learning.begin(torch.ones(count // copies, dtype=torch.bool), setting, scrambled, 10, generator)
    return learning, generator


def dense(actions, **settings):
    return DenseCredit(outputs=actions, channels=1, hidden=6, context=ActionContext(**settings))


def test_returns_are_the_published_sum():
    rewards = torch.randn(6, 2, 3, dtype=torch.float64)
    found = returns_to_go(rewards, 0.9)
    for t in range(6):
        expected = sum(0.9 ** (k - t) * rewards[k] for k in range(t, 6))
        torch.testing.assert_close(found[t], expected)


def test_baselines_are_running_means_over_live_steps():
    rng = np.random.default_rng(0)
    kept, lines = Baselines(2, 5), [[] for _ in range(2)]
    for k in range(3):
        g = torch.tensor(rng.normal(size=(4, 2, 3))).float()
        alive = torch.tensor(rng.random((4, 2, 3)) < 0.7).float()
        rest, deviation = kept.judged(g, alive)
        for run in range(2):
            lines[run].append((g[:, run], alive[:, run]))
            power = [0.7 ** (k - i) for i in range(k + 1)]
            for t in range(4):
                n = sum(p * float(a[t].sum()) for p, (_, a) in zip(power, lines[run], strict=True))
                total = sum(
                    p * float((v[t] * a[t]).sum()) for p, (v, a) in zip(power, lines[run], strict=True)
                )
                expected = (g[t, run] - total / max(n, 1e-6)) * alive[t, run]
                torch.testing.assert_close(rest[t, run], expected, atol=1e-5, rtol=1e-4)
    assert (deviation > 0).all()


def test_credit_of_the_top_is_the_gradient_of_the_return():
    """One update by backpropagation equals autograd on mean A log π over the steps taken, in float64."""
    learning, generator = learning_of("cartpole", Backprop(), count=2)
    played = learning.play(generator)
    x, goal, _ = learning.judged(played)
    cohort = learning.cohort
    before = [w.clone() for w in cohort.weights]
    parameters = layout(cohort.rule, cohort.step, learning.body).split(
        layout(cohort.rule, cohort.step, learning.body).joined(
            start(cohort.rule, cohort.step, 0, learning.body)
        )
    )
    cohort.advance(parameters, x, goal)
    for run in range(2):
        w = [v[run].double().requires_grad_() for v in before]
        total, steps = 0.0, 0
        for t in range(len(played.alive)):
            for e in range(4):
                if played.alive[t, run, e]:
                    seen = played.seen[t, run, e].double()
                    rates = w[1] @ torch.tanh(w[0] @ seen)
                    row, a = steps, int(played.actions[t, run, e])
                    total = total + float(goal[run, row, 2]) * torch.log_softmax(rates, 0)[a]
                    steps += 1
        gradients = torch.autograd.grad(total / steps, w)
        eta = float(torch.exp(parameters["step_rate"][0, 0, 0]))
        for old, new, g in zip(before, cohort.weights, gradients, strict=True):
            torch.testing.assert_close((new[run] - old[run]).double(), eta * g, rtol=2e-3, atol=1e-6)


def test_inner_runs_do_not_interact():
    one, generator = learning_of("cartpole", Backprop(), setting="D")
    other, again = learning_of("cartpole", Backprop(), setting="D")
    other.cohort.weights[0][1] = float("nan")
    first, second = one.play(generator), other.play(again)
    steps = min(len(first.alive), len(second.alive))
    for run in (0, 2):
        torch.testing.assert_close(first.seen[:steps, run], second.seen[:steps, run], rtol=0, atol=0)


def test_copies_share_worlds_and_random_numbers():
    learning, generator = learning_of("context_choice", Backprop(), count=4, scrambled=True, copies=2)
    played = learning.play(generator)
    torch.testing.assert_close(played.seen[:, 0::2], played.seen[:, 1::2], rtol=0, atol=0)
    assert (played.actions[:, 0::2] == played.actions[:, 1::2]).all()
    assert not torch.equal(played.seen[:, 0], played.seen[:, 2])


def test_a_scrambled_world_is_the_same_world():
    """Weights rotated with the observations and ordered with the actions make the same episodes."""
    learning, generator = learning_of("cartpole", Backprop(), count=3, scrambled=True)
    world = learning.world
    w1, w2 = (w.clone() for w in learning.cohort.weights)
    plain = World(world.physics)

    def acts(x):
        return torch.tanh(x @ w1.transpose(1, 2)) @ w2.transpose(1, 2)

    def rotated(x):
        rates = acts(torch.bmm(x, world.rotation.transpose(1, 2)))
        return rates.gather(2, world.order[:, None].expand_as(rates))

    state = generator.get_state()
    theirs = rollout(learning.environment, plain, acts, (3, 4), generator, greedy=True)
    generator.set_state(state)
    ours = rollout(learning.environment, world, rotated, (3, 4), generator, greedy=True)
    assert torch.equal(ours.lengths, theirs.lengths)
    torch.testing.assert_close(world.rotation @ world.rotation.transpose(1, 2), torch.eye(4).expand(3, 4, 4))


@pytest.mark.parametrize("outcome", ["advantage", "reward"])
def test_the_context_reads_what_it_says(outcome):
    from cortex_sim.credit import TopSignals

    learning, generator = learning_of("cartpole", Backprop(), count=2)
    played = learning.play(generator)
    x, goal, _ = learning.judged(played)
    top = learning.cohort.settle(x)
    received = TopSignals(top, goal, torch.zeros_like(top))
    context = ActionContext(outcome, 4)
    seen = context.seen(received)
    assert {k: v.shape[-1] for k, v in seen.items()} == context.signals(2)
    t, run, e = 3, 1, 2
    row = int(played.alive[:t, run].sum() + played.alive[t, run, :e].sum())
    pi = torch.softmax(top[run, row], 0)
    chosen = torch.nn.functional.one_hot(played.actions[t, run, e], 2) - pi
    torch.testing.assert_close(seen["action"][run, row], chosen)
    left = int(played.lengths[run, e]) - 1 - t
    assert float(seen["end"][run, row]) == pytest.approx(np.exp(-left / 8) if left >= 0 else 0.0, rel=1e-5)
    torch.testing.assert_close(seen["observation"][run, row], played.seen[t, run, e])
    over = int(played.alive[:, run].sum())
    assert x.shape[1] == 200 * 4 and not seen["action"][run, over:].any() and not goal[run, over:, :6].any()
    torch.testing.assert_close(x[run, over : 2 * over][:4], x[run, :4], rtol=0, atol=0)
    shuffled = ActionContext(outcome, 4, shuffled=True).seen(received)["observation"]
    assert not torch.equal(shuffled, seen["observation"])
    torch.testing.assert_close(shuffled[run].sum(0), seen["observation"][run].sum(0), atol=1e-2, rtol=1e-3)
    if outcome == "advantage":
        credit = learning.body.judged(top, goal)[1]
        torch.testing.assert_close(context.base({}, received), credit)


def moments(name="cartpole"):
    learning, generator = learning_of(name, Backprop(), count=2)
    x, goal, _ = learning.judged(learning.play(generator))
    cohort = learning.cohort
    transfers = learning.body.transfers(cohort.transfers)
    drives, rates, _ = learning.body.settle(cohort.weights, cohort.biases, x, transfers)
    error = learning.body.judged(rates[-1], goal)[1]
    return learning.body, Moment(cohort.weights, drives, rates, goal, error, 0, transfers)


def test_an_untrained_addition_of_zero_is_reinforce():
    body, moment = moments()
    rule = BackpropOfTrainedTop(dense(2, observation=4))
    named = {n: torch.tensor(p).float() for n, p in rule.draw(0).items()}
    named["top"] = torch.zeros_like(named["top"])
    for ours, theirs in zip(
        rule.credits(body, named, [], moment), Backprop().credits(body, {}, [], moment), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_layered_credit_with_mirrored_weights_is_backpropagation_of_the_same_top():
    body, moment = moments()
    rule, other = LayeredOfTrainedTop(dense(2)), BackpropOfTrainedTop(dense(2))
    named = {n: torch.tensor(p).float() for n, p in rule.draw(0).items()}
    ours = rule.credits(body, named, moment.weights[1:], moment)
    for a, b in zip(ours, other.credits(body, named, [], moment), strict=True):
        torch.testing.assert_close(a, b)


def test_no_credit_where_nothing_came_of_it():
    body, moment = moments()
    moment.goal[..., 2] = 0.0
    rule = BackpropOfTrainedTop(dense(2, observation=4))
    named = {n: torch.tensor(p).float() for n, p in rule.draw(0).items()}
    assert all(not c.any() for c in rule.credits(body, named, [], moment))


def test_read_as_a_policy():
    network = dense(3, observation=6)
    named = {n: torch.tensor(p).float() for n, p in network.draw(0).items()}
    x = torch.randn(2, 4, 6)
    found = read_as_policy(network, named, 1.0, 1.0, 3)(x)
    torch.testing.assert_close(read_as_policy(network, named, 1.0, -1.0, 3)(x), -found)
    assert found.shape == (2, 4, 3) and float(found.std(1).min()) > 0
    named["top"] = torch.zeros_like(named["top"])
    assert float(read_as_policy(network, named, 1.0, 1.0, 3)(x).abs().max()) < 1e-6


def test_a_modulated_credit_network_holds_no_policy():
    """Read as one it prefers no action, whatever its weights."""
    network = ModulatedCredit(context=ActionContext(observation=6, horizons=(0.5,)))
    rng = np.random.default_rng(0)
    named = {n: torch.tensor(rng.normal(size=p.shape)).float() for n, p in network.draw(0).items()}
    seen = torch.tensor(rng.normal(size=(2, 4, 6))).float()
    largest = float(named["gain_out"].abs().sum().exp())  # of the gain: rounding is relative to it
    assert float(read_as_policy(network, named, 1.0, 1.0, 3)(seen).abs().max()) < 1e-6 * largest


def test_modulated_credit_is_the_equation():
    """exp(Σ_j v_j tanh(w_j · x + d_j)) Σ_k m_k A_k (a − π) weight, one step at a time, in float64."""
    from cortex_sim.credit import TopSignals

    rng = np.random.default_rng(0)
    network = ModulatedCredit(hidden=5, context=ActionContext(observation=2, horizons=(0.5, 0.9)))
    named = {n: rng.normal(size=p.shape) for n, p in network.draw(0).items()}
    rates = rng.normal(size=(7, 3))
    taken, rest = np.eye(3)[rng.integers(3, size=7)], rng.normal(size=(7, 8))
    goal = np.concatenate((taken, rest), 1)  # outcome, weight, reward, end, two outcomes, observation
    found, channels = network.credits(named, TopSignals(rates, goal, 0 * rates), [])
    for t in range(7):
        pi = np.exp(rates[t]) / np.exp(rates[t]).sum()
        outcome, weight, _, end, *others = rest[t]
        x = [1 - 2 * pi[taken[t].argmax()], outcome, end, *others]
        gain = 0.0
        for j in range(5):
            drive = sum(named["gain"][j, i] * value for i, value in enumerate(x)) + named["gain_bias"][0, j]
            gain += named["gain_out"][0, j] * np.tanh(drive)
        mixed = np.dot(named["mixture"][0], [outcome, *others[:2]])
        np.testing.assert_allclose(found[t], np.exp(gain) * weight * mixed * (taken[t] - pi), atol=1e-12)
    assert channels == []


def test_before_training_modulated_credit_is_reinforce():
    body, moment = moments()
    rule = BackpropOfTrainedTop(ModulatedCredit())
    named = {n: torch.tensor(p).float() for n, p in rule.draw(0).items()}
    for ours, theirs in zip(
        rule.credits(body, named, [], moment), Backprop().credits(body, {}, [], moment), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_outcomes_at_other_horizons_are_those_of_their_discounts():
    """Each equals the outcome of a policy whose own discount it is; observations stay where they are."""
    horizons = (0.3, 0.95)
    context = ActionContext(observation=4, horizons=horizons)
    rule = LayeredOfTrainedTop(ModulatedCredit(context=context))
    body, env = body_of("cartpole"), environment("cartpole")

    def outcomes(discount, horizons=()):
        learning = Learning(body, rule, Plain(0.05), env, 2, 4, discount, 1, horizons)
        generator = torch.Generator().manual_seed(0)
        learning.begin(torch.ones(2, dtype=torch.bool), "R", False, 10, generator)
        for _ in range(2):
            goal = learning.judged(learning.play(generator))[1]
        return goal

    several = outcomes(0.9, horizons)
    torch.testing.assert_close(several[..., -4:], outcomes(0.9)[..., -4:], rtol=0, atol=0)
    for i, discount in enumerate(horizons):
        alone = outcomes(discount)[..., 2]
        assert not torch.allclose(alone, several[..., 2])
        torch.testing.assert_close(several[..., 6 + i], alone, rtol=0, atol=0)


@pytest.mark.parametrize(
    "given, said",
    [
        ({"horizons": [0.5, 1.0]}, "at least 0 and below 1. Got 1.0"),
        ({"horizons": "0.5"}, "must be a list of discounts"),
        ({"horizons": [0.5], "outcome": "reward"}, "give outcome 'advantage'"),
        ({"horizons": [0.5, 0.5]}, "differ"),
    ],
)
def test_wrong_horizons_are_refused(given, said):
    with pytest.raises(DeclarationError, match=said):
        ActionContext(**given)


def test_modulated_credit_reads_actions():
    with pytest.raises(DeclarationError, match="name: actions"):
        ModulatedCredit(context="error")


def test_policies_that_do_not_fit_are_refused():
    env = environment("acrobot")
    with pytest.raises(RunError, match="4 inputs and 3 outputs, but the environment has 6 observations"):
        policy(library.model("tdca_mlp", inputs=4, hidden=[5], classes=3), env)
    squared = library.model("tdca_mlp", inputs=6, hidden=[5], classes=3, objective="squared_error")
    with pytest.raises(RunError, match="draws actions from a softmax"):
        policy(squared, env)
