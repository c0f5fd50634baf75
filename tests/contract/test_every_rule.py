"""What holds for every rule, whatever it says; a new rule is covered by registering its word.

At fixed rule state, without regulariser. Plain target propagation is exempt from (a) by name: its
targets carry the reconstruction error, tests/rules/test_target_prop.py says exactly which.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from agreement import relative_error
from networks import built, chain, conv, shown

import cortex_sim as cs
from cortex_sim.credit import DenseCredit, SharedCredit, TrainedCredit
from cortex_sim.registry import find, names
from cortex_sim.rules.base import WORDS
from cortex_sim.rules.in_time import InTime, growth_of

FINITE = {
    "gait_prop, fixed step": cs.GaitProp(form="finite"),
    "gait_prop, normalised step": cs.GaitProp(form="finite", normalised=True),
}
CARRIES_RECONSTRUCTION_ERROR = {"target_prop"}
ORDERS_UNITS = {"sanger"}  # whose components come in the order of the units
TEACHER_RULES = {
    "tdca, dense": lambda outputs: _all_alike(DenseCredit(outputs, 4, 5, levels=2, signs=True)),
    "tdca, pooled and ungated": lambda outputs: _all_alike(
        DenseCredit(outputs, 4, 5, pooled=True, gated=False)
    ),
    "tdca, shared": lambda outputs: _all_alike(SharedCredit(4, 5, kernel="dense")),
}
ROUNDING = dict.fromkeys(FINITE, 1e-5)  # of credit divided by a small step


@dataclass(frozen=True)
class Case:
    name: str
    rule: Any
    network: Any
    credit: Any = None  # from the number of outputs, the credit network of "tdca"

    @property
    def net(self):
        start = cs.Orthogonal(gain=1.2)
        net = self.network("tanh", start, objective="squared_error")
        if self.credit is None:
            return net.with_rule(self.rule)
        return net.with_rule(self.rule, credit=self.credit(net.populations["IT"].size))

    @property
    def tolerance(self):
        return ROUNDING.get(self.name, 1e-10)


def cases():
    rules = {word: word for word in sorted(WORDS)} | FINITE
    for name, rule in rules.items():
        for network in (chain, conv):
            if network is conv and getattr(_rule(rule), "chain_only", False):
                continue
            yield pytest.param(Case(name, rule, network), id=f"{name}-{network.__name__}")
    for name, credit in TEACHER_RULES.items():
        for network in (chain, conv):
            yield pytest.param(Case(name, "tdca", network, credit), id=f"{name}-{network.__name__}")


def _all_alike(network):
    """A credit network none of whose parameters is too small to show."""
    rng = np.random.default_rng(8)
    return TrainedCredit(network, {n: rng.normal(size=s) for n, s in network.shapes().items()}, {})


def _rule(rule):
    return WORDS[rule].rule if isinstance(rule, str) else rule


every_case = pytest.mark.parametrize("case", list(cases()))


def model_of(case, precision="64"):
    """Model whose rule state is not at its start: a state that is never read would not show."""
    model = built(case.net, seed=2, precision=precision)
    rng = np.random.default_rng(9)
    with torch.no_grad():
        for buffer in model.local.buffers():
            buffer.add_(buffer.new_tensor(0.3 + rng.random(size=buffer.shape)))
    return model.eval()


def stimuli(model, count=5):
    x, _ = shown(model.net, count)
    goal = np.random.default_rng(4).normal(size=(count, model.net.populations["IT"].size))
    return x, 0.3 * goal


def spontaneous(model, name):
    return getattr(model.net.projection(name).plasticity, "spontaneous", False)


def changes(model, x, goal):
    """All changes but those that the stimulus has no part in."""
    found = model.updates(x, goal, biases=True)
    return {n: u for n, u in found.items() if n in model.biases or not spontaneous(model, n)}


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
    if getattr(_rule(case.rule), "needs_float64", False):
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


# -- every registered rule class, at its equation --------------------------------------------------


def own_change():
    """Rules that say their change as an array equation, made with defaults (or beside "A->B")."""
    for name in names("rule"):
        cls = find("rule", name)
        if hasattr(cls, "change"):
            needs_partner = "of" in getattr(cls, "__dataclass_fields__", {})
            yield pytest.param(cls("A->B") if needs_partner else cls(), id=name)


every_change = pytest.mark.parametrize("rule", list(own_change()))


def _lateral(rule):
    return getattr(rule, "lateral", False)


def synapses(rule, count=5, post=3, pre=2, seed=0):
    """w, r_pre (or u_pre), r_post and a state of the declared shapes."""
    rng = np.random.default_rng(seed)
    pre = post if _lateral(rule) else pre
    given = [rng.normal(size=s) for s in ((post, pre), (count, pre), (count, post))]
    if not getattr(rule, "state", {}):
        return given
    shapes = {cs.PerPost: (post,), cs.PerPre: (pre,), cs.PerSynapse: (post, pre), cs.Global: ()}
    return [*given, {n: rng.random(size=shapes[type(k)]) for n, k in rule.state.items()}]


def only_change(rule, given):
    return rule.change(*given)[0] if getattr(rule, "state", {}) else rule.change(*given)


@every_change
def test_change_means_over_presentations(rule):
    w, pre, post, *state = synapses(rule)
    together = only_change(rule, [w, pre, post, *state])
    alone = [only_change(rule, [w, pre[i : i + 1], post[i : i + 1], *state]) for i in range(len(pre))]
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-12)


@every_change
def test_change_is_the_same_on_torch(rule):
    given = synapses(rule)
    as_tensors = [
        {n: torch.as_tensor(v) for n, v in part.items()} if isinstance(part, dict) else torch.as_tensor(part)
        for part in given
    ]
    np.testing.assert_allclose(only_change(rule, as_tensors), only_change(rule, given), atol=1e-12)


@every_change
def test_change_is_pure(rule):
    given, again = synapses(rule), synapses(rule)
    rule.change(*given)
    for part, same in zip(given, again, strict=True):
        np.testing.assert_equal(part, same)


@every_change
def test_change_relabels(rule):
    if isinstance(rule, cs.Sanger):
        pytest.skip("its units have an order: tests/rules/test_sanger.py")
    w, pre, post, *state = synapses(rule)
    rows = [2, 0, 1]
    columns = rows if _lateral(rule) else [1, 0]
    moved = [
        {n: _relabelled_state(rule.state[n], v, rows, columns) for n, v in part.items()} for part in state
    ]
    after = only_change(rule, [w[rows][:, columns], pre[:, columns], post[:, rows], *moved])
    before = only_change(rule, [w, pre, post, *state])
    np.testing.assert_allclose(after, before[rows][:, columns], atol=1e-12)


def _relabelled_state(kind, values, rows, columns):
    match kind:
        case cs.PerPost():
            return values[rows]
        case cs.PerPre():
            return values[columns]
        case cs.PerSynapse():
            return values[rows][:, columns]
        case _:
            return values


@every_change
def test_growth_and_change_agree(rule):
    """``growth`` is one synapse at one moment; its mean over presentations is ``change``."""
    if callable(rule.growth):
        pytest.skip("its growth is an array equation")
    w, pre, post, *state = synapses(rule)
    kinds, text = getattr(rule, "state", {}), rule.growth
    expected = np.zeros_like(w)
    for presentation, i, j in np.ndindex(len(pre), *w.shape):
        reads = {
            "w": w[i, j],
            "r_post": post[presentation, i],
            "r_pre": pre[presentation, j],
            "u_pre": pre[presentation, j],
            "reconstruction_post": w[i] @ pre[presentation],
            **{field.name: getattr(rule, field.name) for field in fields(rule)},
            **{n: values[_synapse(kinds[n], i, j)] for part in state for n, values in part.items()},
        }
        if getattr(rule, "reads_credit", False):
            del reads["r_pre"]
        if not (_lateral(rule) and i == j):
            one = text if isinstance(text, str) else text["w"]
            expected[i, j] += eval(one, {"__builtins__": {}}, reads) / len(pre)
    np.testing.assert_allclose(only_change(rule, [w, pre, post, *state]), expected, atol=1e-12)


def _synapse(kind, i, j):
    return {cs.PerPost: (i,), cs.PerPre: (j,), cs.PerSynapse: (i, j), cs.Global: ()}[type(kind)]


with_time = pytest.mark.parametrize("rule", [p for p in own_change() if getattr(p.values[0], "state", {})])


@with_time
def test_state_moves_alike_in_presentations_and_in_time(rule):
    """One presentation of ``window`` is one ``tau_ms`` / ``window`` of time, to first order."""
    many = 1e6
    slow = replace(rule, window=many, tau_ms=1000.0)
    w, pre, post, state = synapses(slow)
    after = slow.change(w, pre[:1], post[:1], state)[1]
    in_time = InTime(slow)
    moved = in_time(w, state, r_pre=pre[:1], r_post=post[:1])[1]
    for name, values in state.items():
        expected = moved.get(name, np.zeros_like(values)) * (1.0 / many)  # tau is one second
        np.testing.assert_allclose(after[name] - values, expected, rtol=1e-5, atol=1e-15)


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
