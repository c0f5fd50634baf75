"""What holds for every rule, whatever it says; a new rule is covered by registering its word.

At fixed rule state, without regulariser. Plain target propagation is exempt from (a) by name: its
targets carry the reconstruction error, tests/rules/test_target_prop.py says exactly which.
"""

import numpy as np
import pytest
import torch
from agreement import relative_error
from networks import chain
from rule_cases import (
    CARRIES_RECONSTRUCTION_ERROR,
    FINITE,
    ORDERS_UNITS,
    Case,
    changes,
    every_case,
    model_of,
    rule_of,
    spontaneous,
    stimuli,
)

import cortex_sim as cs
from cortex_sim.registry import find, names
from cortex_sim.rules.base import WORDS
from cortex_sim.rules.in_time import InTime, growth_of

# -- (a) -------------------------------------------------------------------------------------------


@every_case
def test_no_credit_no_supervised_change(case):
    model = model_of(case)
    x, _ = stimuli(model)
    with torch.no_grad():
        goal = model.settle(model.stimulus_tensor(x))[1]["IT"].flatten(1)
    ours = changes(model, x, goal)
    supervised = {p.name for p in model.net.bottom_ups if p.rule.supervised}
    reads = {p.name for p in model.net.top_downs if p.plasticity is not None} & set(ours)
    if case.name in CARRIES_RECONSTRUCTION_ERROR:
        assert max(ours[name].abs().max() for name in supervised) > 1e-3
        return
    for name in supervised | reads:
        assert ours[name].abs().max() < case.tolerance, name
    if supervised:
        for name in model.biases:
            assert ours[name].abs().max() < case.tolerance, name


def test_a_finite_normalised_step_asks_for_nothing_exactly():
    case = Case("", FINITE["gait_prop, normalised step"], chain)
    model = model_of(case)
    x, _ = stimuli(model)
    with torch.no_grad():
        goal = model.settle(model.stimulus_tensor(x))[1]["IT"]
    assert not any(u.any() for u in model.updates(x, goal).values())


# -- (b) -------------------------------------------------------------------------------------------


@every_case
def test_the_change_of_a_batch_is_the_mean_of_its_presentations(case):
    model = model_of(case)
    x, goal = stimuli(model)
    together = changes(model, x, goal)
    alone = [changes(model, x[i : i + 1], goal[i : i + 1]) for i in range(len(x))]
    assert together
    for name, change in together.items():
        mean = torch.stack([one[name] for one in alone]).mean(0)
        assert relative_error(change, mean) < case.tolerance, name


# -- (c) -------------------------------------------------------------------------------------------


def relabelled(net, seed=6):
    """For each population a permutation of its units (of its channels, where it has them)."""
    rng = np.random.default_rng(seed)
    fixed = {net.stimulated[0], net.objective_at}
    orders = {}
    for name, p in net.populations.items():
        channels = p.shape[0]
        orders[name] = np.arange(channels) if name in fixed else rng.permutation(channels)
    return orders | {name: np.arange(p.size) for name, p in net.credit_populations.items()}


def units(population, order):
    return np.arange(population.size).reshape(population.shape)[order].ravel()


def permuted(net, projection, weights, orders):
    """Weights of a projection when the units at both its ends go by new labels."""
    every = net.populations | net.credit_populations
    pre, post = every[projection.pre], every[projection.post]
    if weights.ndim == 4:
        out, into = (pre, post) if projection.is_top_down else (post, pre)
        return weights[orders[out.name]][:, orders[into.name]]
    return weights[units(post, orders[post.name])][:, units(pre, orders[pre.name])]


@every_case
def test_relabelling_units_relabels_the_change(case):
    if case.name in ORDERS_UNITS:
        pytest.skip("its units have an order: tests/rules/test_sanger.py")
    model, other = model_of(case), model_of(case)
    net, orders = model.net, relabelled(model.net)
    own = {n: w.detach() for n, w in model.weights.items()}
    for p in net.top_downs:
        if p.feedback is not None and not p.feedback.tied:
            own[p.name] = model.feedback.plastic_or_free(p.name).detach()
    other.set_weights({n: permuted(net, net.projection(n), w, orders) for n, w in own.items()})
    for name, bias in model.biases.items():
        other.biases[name].data.copy_(bias.detach()[orders[name]])
    for p in net.bottom_ups:
        for variable, values in model.local.of(p.name).items():
            w = own[p.name]
            spread = _spread(
                p.plasticity.state[variable], values, w
            )  # as synapses, so that it moves as they do
            moved_state = permuted(net, p, spread, orders).flatten(1)
            other.local.of(p.name)[variable].copy_(
                _gathered(p.plasticity.state[variable], moved_state, values)
            )
    x, goal = stimuli(model)
    before, after = changes(model, x, goal), changes(other, x, goal)
    moved = 0.0
    for name, change in before.items():
        if name in model.biases:
            expected = change[orders[name]]
        else:
            expected = permuted(net, net.projection(name), change, orders)
        assert relative_error(after[name], expected) < case.tolerance, name
        moved += float((expected - change).abs().max())
    assert moved > 1e-6


def _spread(kind, values, w):
    match kind:
        case cs.PerPost():
            return values[:, None].expand_as(w.flatten(1)).reshape(w.shape)
        case cs.PerPre():
            return values[None, :].expand_as(w.flatten(1)).reshape(w.shape)
        case cs.PerSynapse():
            return values.reshape(w.shape)
        case _:
            return values.expand_as(w)


def _gathered(kind, matrix, values):
    match kind:
        case cs.PerPost():
            return matrix[:, 0]
        case cs.PerPre():
            return matrix[0]
        case cs.PerSynapse():
            return matrix
        case _:
            return values


# -- (d) -------------------------------------------------------------------------------------------


@every_case
def test_float32_follows_float64(case):
    if getattr(rule_of(case.rule), "needs_float64", False):
        with pytest.raises(cs.BuildError, match='build with precision="64"'):
            cs.torch.build(case.net, precision="32")
        return
    fine, coarse = model_of(case), model_of(case, "32")
    x, goal = stimuli(fine)
    ours = changes(coarse, x, goal)
    for name, change in changes(fine, x, goal).items():
        assert ours[name].dtype == torch.float32
        assert relative_error(ours[name], change) < 2e-3, name


# -- (e) -------------------------------------------------------------------------------------------


@every_case
def test_asking_for_updates_changes_nothing(case):
    model = model_of(case).train()
    x, goal = stimuli(model)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    model.updates(x, goal, biases=True)
    model.backprop_updates(x, goal)
    model.credits(x, goal)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in model.parameters())


# -- (f) -------------------------------------------------------------------------------------------


@every_case
def test_backward_leaves_minus_the_updates(case):
    model = model_of(case)
    x, goal = stimuli(model)
    ours = model.updates(x, goal, biases=True)
    model(x, goal).backward()
    tensors = {**model.weights, **model.feedback.plastic, **model.biases}
    assert ours
    for name, change in ours.items():
        assert torch.equal(tensors[name].grad, -change), name
    for name, tensor in tensors.items():
        assert name in ours or tensor.grad is None, name


@every_case
def test_the_regulariser_is_all_that_training_adds(case):
    model = model_of(case)
    x, goal = stimuli(model)
    ours = model.updates(x, goal)
    model.train()(x, goal).backward()
    tensors = {**model.weights, **model.feedback.plastic}
    for name, change in ours.items():
        decays = [r.rate for r in model.net.projection(name).regularisers if hasattr(r, "rate")]
        expected = sum(decays) * tensors[name].detach() - change
        torch.testing.assert_close(tensors[name].grad, expected, rtol=1e-12, atol=1e-14)


# -- (g) -------------------------------------------------------------------------------------------


def patches(recorded, connector):
    """(presentation and position, input) of a recorded population, one position at a time."""
    k, stride, pad = connector.kernel, connector.stride, connector.padding
    padded = np.pad(recorded, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    rows, columns = connector.post_side(recorded.shape[2]), connector.post_side(recorded.shape[3])
    return np.stack(
        [
            padded[n, :, i * stride : i * stride + k, j * stride : j * stride + k].ravel()
            for n in range(len(recorded))
            for i in range(rows)
            for j in range(columns)
        ]
    )


def sides(net, p, pre, post):
    """What reaches each side of a bottom-up projection, and how many places share its weights."""
    if not isinstance(p.connector, cs.Conv2d):
        return pre.reshape(len(pre), -1), post.reshape(len(post), -1), 1
    spread = post.reshape(len(post), post.shape[1], -1)
    by_place = spread.transpose(0, 2, 1).reshape(-1, post.shape[1])
    return patches(pre, p.connector), by_place, spread.shape[2]


@every_case
def test_an_unsupervised_rule_is_its_change_of_the_recorded_rates(case):
    model = model_of(case)
    x, goal = stimuli(model)
    ours = model.updates(x, goal)
    rates = recorded(model, x)
    for p in model.net.bottom_ups:
        if p.plasticity is None or p.rule.supervised:
            continue
        pre, post, places = sides(model.net, p, rates[p.pre], rates[p.post])
        w = model.weights[p.name].detach().numpy()
        state = {n: t.numpy() for n, t in model.local.of(p.name).items()}
        given = (w.reshape(len(w), -1), pre, post)
        change = p.plasticity.change(*given, state)[0] if state else p.plasticity.change(*given)
        assert relative_error(ours[p.name], places * change.reshape(w.shape)) < 1e-12


@every_case
def test_a_top_down_rule_is_its_change_of_what_it_reads(case):
    """u of the population that sends and the rate where it arrives; or the echo and the noise."""
    model = model_of(case)
    x, goal = stimuli(model)
    ours = model.updates(x, goal)
    rates = recorded(model, x)
    drives = {n: a.detach().numpy() for n, a in model.settle(model.stimulus_tensor(x))[0].items()}
    credits = {n: c.detach().numpy() for n, c in model.credits(x, goal).items()}
    for p in model.net.top_downs:
        if p.plasticity is None:
            continue
        up = model.net.projection(p.reverse_name)
        b = model.feedback.learned[p.name].detach().numpy()
        matrix = b.reshape(len(b), -1).T if b.ndim == 4 else b
        if spontaneous(model, p.name):
            w = model.weights[p.reverse_name].detach().numpy()
            w = w.reshape(len(w), -1)
            noise = torch.randn(
                len(x), w.shape[1], generator=model.noise(p.name), dtype=torch.float64
            ).numpy()
            change, places = p.plasticity.change(matrix, noise @ w.T, noise), 1
        else:
            u = credits[p.pre] * model.net.populations[p.pre].activation.gain(drives[p.pre])
            below, u_there, places = sides(model.net, up, rates[p.post], u)
            change = p.plasticity.change(matrix, u_there, below)
        expected = change.T.reshape(b.shape) if b.ndim == 4 else change
        assert relative_error(ours[p.name], places * expected) < 1e-12


def recorded(model, x):
    with torch.no_grad():
        rates = model.settle(model.stimulus_tensor(x), credit=False)[1]
    return {name: r.numpy() for name, r in rates.items()}


@pytest.mark.parametrize("name", names("rule"))
def test_every_rule_can_run_in_time(name):
    cls = find("rule", name)
    needs_partner = "of" in getattr(cls, "__dataclass_fields__", {})
    rule = cls("A->B") if needs_partner else cls()
    in_time = InTime(rule)
    assert in_time.reads & {"r_pre", "u_pre"} and in_time.reads & {"r_post", "u_post"}
    if callable(getattr(rule, "growth", None)):
        return
    assert set(growth_of(rule)) - {"w"} == set(getattr(rule, "state", {})) - {"modulator"}


def test_every_registered_rule_is_under_contract():
    """By a word, or by its own equation."""
    by_word = {type(word.rule) for word in WORDS.values()}
    for name in names("rule"):
        cls = find("rule", name)
        assert cls in by_word or hasattr(cls, "change"), f"{name}: register a word for it"
