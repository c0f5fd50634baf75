"""Normalisers on torch: against the full Jacobian written out, against torch's own, and as slow state."""

import numpy as np
import pytest
import torch
from agreement import relative_error
from normalising import NORMALISERS, built, changed, credited, network, stimuli
from torch import nn

import cortex_sim as cs
from cortex_sim.capabilities import Arrival, rule_of
from cortex_sim.rules.base import WORDS

F = nn.functional
every_pair = pytest.mark.parametrize(
    "kind, second", [("batch", "layer"), ("group", "batch"), ("layer", "group"), ("batch", "batch")]
)
every_normaliser = pytest.mark.parametrize("kind", NORMALISERS)


def expected(model, kind, second, x, y, direct=False):
    w, b = ({n: p.detach().numpy() for n, p in of.items()} for of in (model.weights, model.biases))
    gain = {n: model.population(n).normaliser.gain.detach().numpy() for n in ("V1", "V2")}
    paths = {"V2": "IT->V2", "V1": "IT->V1" if direct else "V2->V1"}
    down = {
        n: model.feedback.matrix(p, model.weights.get(model.net.projections[p].reverse_name, torch.empty(0)))
        for n, p in paths.items()
    }
    down = {n: b.detach().numpy() for n, b in down.items()}
    return credited(kind, second, w, b, gain, down, x, y, direct)


RULES = {
    "backprop": {},
    "gait_prop": {"damping": 1e-3},
    "feedback_alignment": {},
    "sign_symmetric": {},
    "kolen_pollack": {},
    "direct_feedback_alignment": {},
}


@every_pair
@pytest.mark.parametrize("rule", RULES)
def test_credit_passes_by_the_full_jacobian(rule, kind, second):
    model = built(network(kind, rule, second=second, **RULES[rule]))
    x, y = stimuli()
    theirs = expected(model, kind, second, x, y, direct=rule == "direct_feedback_alignment")
    for name, change in changed(model, x, y).items():
        if rule == "kolen_pollack" and "->" in name:  # which holds its own decay
            continue
        np.testing.assert_allclose(change.numpy().reshape(theirs[name].shape), theirs[name], atol=1e-12)


def plain(net):
    """The same network of torch's own modules."""
    one = {
        "batch": lambda shape: (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0]),
        "group": lambda shape: nn.GroupNorm(2, shape[0]),
        "layer": lambda shape: nn.GroupNorm(1, shape[0]),
    }
    kinds = {type(normaliser): name for name, normaliser in NORMALISERS.items()}
    shapes = {name: population.shape for name, population in net.populations.items()}
    made = {n: one[kinds[type(net.populations[n].normaliser)]](shapes[n]) for n in ("V1", "V2")}
    layers = [
        nn.Linear(13, 24, bias=False),
        nn.Unflatten(1, shapes["V1"]),
        made["V1"],
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(24, 6, bias=False),
        made["V2"],
        nn.Softplus(),
        nn.Linear(6, 3),
    ]
    return nn.Sequential(*layers).double()


@every_pair
def test_training_is_plain_torch_s(kind, second):
    net = network(kind, second=second)
    model, theirs = cs.torch.build(net, precision="64"), plain(net)
    with torch.no_grad():
        for layer, name in ((0, "retina->V1"), (5, "V1->V2"), (8, "V2->IT")):
            theirs[layer].weight.copy_(model.weights[name])
        theirs[8].bias.zero_()
    x, y = stimuli(20)
    data = torch.as_tensor(x), torch.as_tensor(y)
    own = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    other = torch.optim.SGD(theirs.parameters(), lr=0.3, momentum=0.9)
    model.attach(own)
    for at in range(0, 20, 5):
        own.zero_grad(), other.zero_grad()
        model.train()(x[at : at + 5], y[at : at + 5]).backward()
        F.cross_entropy(theirs.train()(data[0][at : at + 5]), data[1][at : at + 5]).backward()
        own.step(), other.step()
    np.testing.assert_allclose(model.predict(x), theirs.eval()(data[0]).detach().numpy(), atol=1e-12)
    for name, index in (("V1", 2), ("V2", 6)):
        kept, reference = model.population(name).normaliser.kept(), dict(theirs[index].named_buffers())
        for ours, other_name in (("mean", "running_mean"), ("variance", "running_var")):
            if ours in kept:
                torch.testing.assert_close(kept[ours], reference[other_name], atol=1e-13, rtol=1e-13)


@every_normaliser
def test_gait_prop_on_orthogonal_weights_is_backpropagation(kind):
    nets = [_residual(kind, rule) for rule in ({"rule": "backprop"}, {"rule": "gait_prop", "damping": 0})]
    x, y = np.random.default_rng(0).normal(size=(6, 3, 5, 5)), np.arange(6) % 4
    ours, theirs = ({n: p.grad for n, p in _learned(net, x, y)} for net in nets)
    for name, gradient in theirs.items():
        assert relative_error(ours[name], gradient) < 1e-12, name


def _residual(kind, rule):
    """Two normalised convolutions beside a skip, then a dense top."""
    net = cs.Network("residual")
    net.population("retina", shape=(3, 5, 5))
    for name in ("V1", "V2", "V4"):
        net.population(name, shape=(4, 5, 5), activation="relu", normaliser=NORMALISERS[kind])
    net.population("IT", 4)
    start = cs.Orthogonal()
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "V4")):
        net.bottom_up(pre, post, cs.Conv2d(3, padding=1, init=start), plasticity="backprop")
    net.bottom_up("V1", "V4", "identity")
    net.bottom_up("V4", "IT", cs.Dense(init=start), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(**rule)


def _learned(net, x, y):
    model = cs.torch.build(net, precision="64").train()
    model(x, y).backward()
    return [(n, p) for n, p in model.named_parameters() if p.grad is not None]


def test_statistics_taken_as_constants_would_be_another_gradient():
    """What the tests above would miss if both sides took them so."""
    model = built(network("batch"))
    x, y = stimuli()
    whole = changed(model, x, y)["retina->V1"]
    with torch.no_grad():
        for name in ("V1", "V2"):
            one = model.population(name).normaliser
            moments = one.declared.moments(model.settle(x)[0][name])
            one.mean.copy_(moments[0].reshape(-1))
            one.variance.copy_(moments[1].reshape(-1))
    constant = model.updates(x, y)["retina->V1"]
    assert relative_error(constant, whole) > 0.1


@every_normaliser
@pytest.mark.parametrize("precision, error", [("32", 1e-5), ("bf16", 0.1)])
def test_lower_precisions_follow_float64(kind, precision, error):
    x, y = stimuli()
    found = {}
    for one in ("64", precision):
        model = cs.torch.build(network(kind, "gait_prop"), precision=one).train()
        model(x, y).backward()
        found[one] = {n: p.grad for n, p in model.named_parameters()}
        kept = model.population("V1").normaliser.kept().values()
        assert {x.dtype for x in kept} == {torch.float64 if one == "64" else torch.float32}
    for name, gradient in found["64"].items():
        assert relative_error(found[precision][name], gradient) < error, name


# -- the mode with fixed statistics ------------------------------------------------------------------


BY_TARGETS = [w for w, word in WORDS.items() if rule_of(word.rule).arrival is Arrival.TARGETS]


@pytest.mark.parametrize("rule", sorted(set(WORDS) - set(BY_TARGETS)))
def test_with_fixed_statistics_a_batch_s_change_is_the_mean_of_its_presentations(rule):
    model = built(network("batch", rule, second="layer")).eval()
    x, y = stimuli()
    together = model.updates(x, y, biases=True)
    each = model.updates(x, y, biases=True, per_presentation=True)
    alone = [model.updates(x[i : i + 1], y[i : i + 1], biases=True) for i in range(len(x))]
    for name, change in together.items():
        assert relative_error(each[name].mean(0), change) < 1e-12, name
        if not getattr(model.net.projections.get(name), "is_top_down", False):
            assert relative_error(torch.stack([u[name] for u in alone]).mean(0), change) < 1e-12, name


@pytest.mark.parametrize("rule", RULES)
def test_without_credit_nothing_changes(rule):
    model = built(network("batch", rule, second="group", top="squared_error"))
    x, _ = stimuli()
    goal = model.predict(x)
    for name, change in model.updates(x, goal, biases=True).items():
        assert change.abs().max() < 1e-12, name


@pytest.mark.parametrize("rule", ["backprop", "gait_prop", "feedback_alignment"])
def test_relabelled_units_change_alike(rule):
    model, other = (built(network("batch", rule)) for _ in range(2))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        for name, axis in (("V1->V2", 0), ("V2->IT", 1)):
            other.weights[name].copy_(model.weights[name].index_select(axis, order))
        for name, axis in (("V2->V1", 1), ("IT->V2", 0)):
            if name in other.feedback.free:
                other.feedback.free[name].copy_(model.feedback.free[name].index_select(axis, order))
        for value in (other.biases["V2"], *other.population("V2").normaliser.kept().values()):
            value.copy_(value[order].clone())
    other.renew_feedback()
    x, y = stimuli()
    ours, theirs = (one.updates(x, y, biases=True) for one in (model, other))
    for name, axis in (("V1->V2", 0), ("V2->IT", 1), ("V2", 0), ("V2:gain", 0)):
        torch.testing.assert_close(theirs[name], ours[name].index_select(axis, order))
    torch.testing.assert_close(theirs["retina->V1"], ours["retina->V1"])


def test_only_batches_that_are_learned_from_move_statistics():
    model = built(network("batch"))
    x, y = stimuli()
    before = model.state().normalisers
    model.updates(x, y), model.backprop_updates(x, y), model.credits(x, y), model.loss(x, y)
    model.predict(x), model.respond(x, y), model.eval()(x), model(x, y)
    same = model.state().normalisers
    assert all(np.array_equal(same[n][v], values) for n, kept in before.items() for v, values in kept.items())
    for shown in ((x, y), (x,)):  # in a user's own loop too
        model.train()(*shown)
        moved = model.state().normalisers
        assert not np.isclose(moved["V1"]["mean"], same["V1"]["mean"]).any()
        same = moved


def test_running_statistics_are_those_of_the_equation():
    model = built(network("batch"))
    x, _ = stimuli()
    first = model.state().normalisers["V1"]
    a = model.settle(x)[0]["V1"].detach().numpy()
    model.train()(x)
    moved = model.state().normalisers["V1"]
    np.testing.assert_allclose(moved["mean"], 0.9 * first["mean"] + 0.1 * a.mean((0, 2, 3)))
    np.testing.assert_allclose(moved["variance"], 0.9 * first["variance"] + 0.1 * a.var((0, 2, 3), ddof=1))


# -- elsewhere ---------------------------------------------------------------------------------------


def recurrent(normaliser):
    net = cs.Network("loop")
    net.population("retina", 7)
    net.population("V1", 6, activation="tanh", normaliser=normaliser, dropout=0.5, tau_ms=5)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.recurrent("V1", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("backprop")


def test_unrolled_steps_are_normalised_each_and_drop_alike():
    model = cs.torch.build(recurrent(cs.LayerNorm()), precision="64", settling=cs.torch.Unrolled(4, dt_ms=5))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 7)), rng.integers(3, size=5)
    model.train()(x, y).backward()
    model.clock.draws -= 1
    mask = model.kept("V1", torch.zeros(5, 6, dtype=torch.float64))
    w = {n: p.detach().clone().requires_grad_() for n, p in model.weights.items()}
    r, top, shown = torch.zeros(5, 6, dtype=torch.float64), 0.0, torch.as_tensor(x)
    for _ in range(4):
        a = shown @ w["retina->V1"].T + r @ w["V1->V1 recurrent"].T
        top = top + 0.5 * (r @ w["V1->IT"].T - top)
        r = torch.tanh(F.layer_norm(a, (6,))) * mask
    F.cross_entropy(top, torch.as_tensor(y)).backward()
    for name, p in model.weights.items():
        np.testing.assert_allclose(p.grad, w[name].grad, atol=1e-13, err_msg=name)


def test_what_has_no_meaning_is_refused_by_name():
    with pytest.raises(cs.BuildError, match="population V1: LayerNorm in the loop of V1"):
        cs.torch.build(recurrent(cs.LayerNorm()))
    with pytest.raises(
        cs.BuildError, match="population V1: BatchNorm takes its statistics over presentations"
    ):
        cs.torch.build(recurrent(cs.BatchNorm()), settling=cs.torch.Unrolled(4))
    model = built(network("batch")).train()
    x, y = stimuli()
    with pytest.raises(cs.DataError, match="population V2: BatchNorm .* only one presentation"):
        model(x[:1], y[:1])
    with pytest.raises(cs.RunError, match="population V2: BatchNorm .* choose a batch size"):
        cs.torch.build(network("batch")).fit(stimuli(11), epochs=1, batch_size=5)


def test_a_batch_of_single_values_of_maps_is_normalised_over_places():
    model = built(network("batch", second="layer")).train()
    x, y = stimuli()
    assert torch.isfinite(model(x[:1], y[:1]))


@pytest.mark.parametrize("reads", [False, True])
def test_it_trains_with_decorrelated_reads_and_hard_orthogonality(reads):
    net = network("batch", "gait_prop")
    net = net.with_reads(cs.Decorrelated(local=False)) if reads else net
    x, y = stimuli(60)
    model = cs.torch.build(net, precision="64")
    curve = model.fit(
        (x, y), epochs=15, batch_size=20, optimiser={"name": "Adam", "lr": 0.02}, progress=False
    )
    assert curve[-1]["train_loss"] < 0.6 * curve[0]["train_loss"]


def test_protocols_use_the_running_statistics():
    net = network("batch", "gait_prop", second="layer", top="squared_error")
    model = built(net)
    x, _ = stimuli()
    goal = np.random.default_rng(1).normal(size=(5, 3))
    start = model.state()
    phases = [
        cs.Phase("show", 100, drive={"retina": x}, nudge={"IT": goal}),
        cs.Phase("learn", 100, drive={"retina": x}, nudge={"IT": goal}, plasticity=True),
    ]
    wanted = cs.Record(["rate", "credit"], phase="show")
    script = cs.Protocol(*phases, batch=5, eta_per_s=0.1, record=wanted)
    session = cs.torch.build(net, precision="64", state=start)
    theirs = session.respond(x, goal)
    from cortex_sim.backends.torch.quasi_static import QuasiStatic

    ours = QuasiStatic(net, 0, start)
    found = ours.run(script, progress=False)
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(found[variable].values.squeeze(), theirs[variable].values, atol=1e-12)
    change = model.updates(x, goal, biases=True)
    for name, w in (*ours.model.weights.items(), *ours.model.biases.items()):
        before = start.weights.get(name, start.biases.get(name))
        np.testing.assert_allclose(w.detach().numpy() - before, 0.01 * change[name].numpy(), atol=1e-12)
