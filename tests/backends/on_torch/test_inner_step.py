"""Training takes the step of inner runs: n updates of one are n steps of the other."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.inner_step import InnerStep
from cortex_sim.backends.torch.training import Trainer, batches, make_optimiser
from cortex_sim.credit import BroadcastCredit, DenseCredit, LayeredCredit, TrainedCredit
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.broadcast import Broadcast
from cortex_sim.tdca.inner.cohort import Cohort
from cortex_sim.tdca.inner.layered import Layered
from cortex_sim.tdca.inner.rules import TopDownCredit
from cortex_sim.tdca.inner.step import Adam, Mixed

BATCH, COUNT = 7, 42
RATES = {
    "mixed": {
        "step_rate": [[[-1.2, -0.1], [-5.1, -0.3]], [[-0.9, 0.1], [-4.6, -0.2]]],
        "step_fall": [[0.3, -0.5], [-1.0, 0.4]],
    },
    "adam": {"step_rate": [[[-5.1, -0.3]], [[-4.6, -0.2]]], "step_fall": [[0.3], [-1.0]]},
}
STEPS = {"mixed": Mixed(), "adam": Adam()}
# By precision: dtype, tolerance, epochs. Adam's step has the size of its rate however small a change is, and
# so has the rounding of its sign: float32 is compared for fewer updates.
PRECISION = {"32": (torch.float32, 1e-5, 1), "64": (torch.float64, 1e-9, 2)}


def mlp(reads=None):
    net = cs.model("tdca_mlp", inputs=11, hidden=[8, 5], classes=3)
    return net.with_reads(reads)


def cnn(reads=None):
    return cs.model("tdca_cnn", side=8, maps=[3, 4], classes=3).with_reads(reads)


def first_form(step):
    network = DenseCredit(outputs=3, channels=4)
    parameters = network.draw(0)
    return TrainedCredit(network, parameters, about(step)), TopDownCredit(network)


def layered(step, decorrelated=False, mirror=0):
    network = LayeredCredit(mirror, decorrelated)
    return TrainedCredit(network, scalars(decorrelated), about(step)), Layered(LayeredCredit(mirror))


def broadcast(step, decorrelated=False, energy="rates"):
    network = BroadcastCredit(3, 4, "dense", decorrelated, energy)
    parameters = network.draw(1) | scalars(decorrelated)
    return TrainedCredit(network, parameters, about(step)), Broadcast(network)


def scalars(decorrelated):
    start = {"log_gain": 0.4, "log_decay_up": -4.0, "log_decay_down": -3.5, "log_scale": -0.2}
    shares = {"mixing": 0.9, "centring": 1.3} if decorrelated else {}
    return {name: np.array(value) for name, value in (start | shares).items()}


def about(step):
    return {"step": RATES[step], "settings": {"step": {"name": step}}}


def presentations(body, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(COUNT, body.inputs)), rng.integers(0, body.outputs, size=COUNT)


def by_inner_run(net, trained, rule, step, dtype, epochs):
    """Weights, top-down weights and biases after one inner run on the batches that training shows."""
    body = architecture(net)
    cohort = Cohort(body, rule, STEPS[step], 1, dtype=dtype)
    cohort.begin(torch.tensor([True]), torch.tensor([0]), torch.tensor([float(COUNT // BATCH * epochs)]))
    named = {**trained.parameters, **{n: np.array(x) for n, x in RATES[step].items()}}
    parameters = {n: torch.as_tensor(p).to(dtype) for n, p in named.items()}
    x, y = presentations(body)
    goal = np.eye(body.outputs)[y]
    kernels = [k[0].numpy().astype(float).copy() for k in cohort.fixed]
    with torch.no_grad():
        for epoch in range(epochs):
            for index in batches(0, epoch, COUNT, BATCH):
                shown = (torch.as_tensor(v[index]).to(dtype)[None] for v in (x, goal))
                cohort.advance(parameters, *shown)
    return cohort, kernels


def by_training(net, trained, kernels, precision, epochs):
    """The same by `fit`."""
    declared = net.with_rule("tdca", credit=trained)
    model = cs.torch.build(declared, 0, precision=precision)
    if declared.teacher is not None and not declared.top_downs[0].plasticity:
        model.set_weights(
            {f"TDCA {n}->{n}": k for n, k in zip(declared.teacher.hidden, kernels, strict=True)}
        )
    x, y = presentations(architecture(net))
    model.fit((x.reshape(COUNT, *net.populations["retina"].shape), y), epochs, batch_size=BATCH)
    return model


CASES = {
    "first form": (mlp, first_form, {}),
    "layered": (mlp, layered, {}),
    "layered, mirror": (mlp, layered, {"mirror": 20}),
    "layered, decorrelated": (mlp, layered, {"decorrelated": True}),
    "layered, convolutions": (cnn, layered, {"decorrelated": True, "mirror": 20}),
    "broadcast": (mlp, broadcast, {}),
    "broadcast, decorrelated": (mlp, broadcast, {"decorrelated": True}),
    "broadcast, convolutions": (cnn, broadcast, {"decorrelated": True}),
    "broadcast, energy of credit": (mlp, broadcast, {"decorrelated": True, "energy": "credit"}),
    "broadcast, energy of credit, convolutions": (cnn, broadcast, {"energy": "credit"}),
}


@pytest.mark.parametrize("precision", PRECISION)
@pytest.mark.parametrize(
    "case, step",
    [(case, "mixed") for case in CASES] + [(c, "adam") for c in ("first form", "layered", "broadcast")],
)
def test_training_takes_the_steps_of_an_inner_run(case, step, precision):
    network, form, settings = CASES[case]
    trained, rule = form(step, **settings)
    dtype, tolerance, epochs = PRECISION[precision]
    reads = cs.Decorrelated(mixing=0.5, centring=0.5) if settings.get("decorrelated") else None
    cohort, kernels = by_inner_run(network(reads), trained, rule, step, dtype, epochs)
    model = by_training(network(), trained, kernels, precision, epochs)
    layers = cohort.body.layers
    for i, layer in enumerate(layers):
        ours = model.matrix(layer.link.name).detach().numpy()
        np.testing.assert_allclose(ours, cohort.weights[i][0].numpy(), rtol=0, atol=tolerance)
        bias = model.biases[layer.step.name].detach().numpy()
        np.testing.assert_allclose(bias, cohort.biases[i][0, 0].numpy(), rtol=0, atol=tolerance)
    for layer, b in zip(layers[1:], cohort.fixed if form is layered else (), strict=False):
        name = layer.projection.reverse_name
        ours = layer.operator.feedback_matrix(model.feedback.learned[name].detach()).T
        np.testing.assert_allclose(ours.numpy(), b[0].numpy(), rtol=0, atol=tolerance)
        before = model.net.initial_weights(0)[name]
        assert np.abs(before - model.feedback.learned[name].detach().numpy()).max() > 0.01
    for name, d in zip(model.net.teacher.hidden if form is broadcast else (), cohort.fixed, strict=False):
        ours = model.feedback.learned[f"TDCA {name}->{name}"].detach().numpy()
        np.testing.assert_allclose(ours, d[0].numpy(), rtol=0, atol=tolerance)
        assert np.abs(model.net.initial_weights(0)[f"TDCA {name}->{name}"] - ours).max() > 0.01


# -- the optimiser by itself ------------------------------------------------------------------------


def ready(net=None, precision="64", form=layered, **settings):
    """A model under a credit network, a trainer over it, and what it is shown."""
    net = (mlp() if net is None else net).with_rule("tdca", credit=form("mixed", decorrelated=True)[0])
    x, y = presentations(architecture(mlp()))
    model = cs.torch.build(net, 0, precision=precision)
    return Trainer(model, torch.as_tensor(x), torch.as_tensor(y), 2, BATCH, **settings)


def weights(trainer):
    return {n: t.clone() for n, t in trainer.model.state_dict().items()}


@pytest.mark.parametrize("form", [layered, broadcast])
def test_a_restored_training_ends_bit_for_bit_where_an_uninterrupted_one_ends(tmp_path, form):
    whole = ready(form=form, optimiser_setting=None)
    for _ in range(2):
        whole.train_epoch()
    first = ready(form=form, optimiser_setting="inner_step")
    order = list(batches(0, 0, COUNT, BATCH))
    for index in order[:4]:
        first.update(torch.from_numpy(index))
    checkpoint.save(tmp_path / "at 4", first, {})
    second = ready(form=form, optimiser_setting="inner_step")
    checkpoint.restore(second, tmp_path / "at 4")
    for _ in range(2):
        second.train_epoch()
    assert all(torch.equal(t, weights(second)[n]) for n, t in weights(whole).items())


def test_decay_is_taken_from_the_gradient_by_others_and_by_this_step_alone():
    net = mlp().with_rule("tdca", credit=layered("mixed")[0])
    x, y = presentations(architecture(mlp()))
    model = cs.torch.build(net, 0, precision="64")
    for name, w in {**dict(model.weights), **model.feedback.plastic}.items():
        change, (decay,) = model.updates(x, y)[name], net.projection(name).regularisers
        assert decay.rate > 0
        model.detach()
        assert relative(gradient(model, x, y, w), decay.rate * w - change) < 1e-12
        sgd = make_optimiser(model, "SGD")
        assert relative(gradient(model, x, y, w), decay.rate * w - change) < 1e-12
        mixed = make_optimiser(model, "inner_step", 10)
        assert relative(gradient(model, x, y, w), -change) < 1e-12
        del sgd, mixed  # a model follows an optimiser for as long as it exists


def gradient(model, x, y, w):
    return torch.autograd.grad(model(x, y), w)[0]


def relative(one, other):
    return float(((one - other).abs().max() / other.abs().max()).detach())


def test_a_loop_of_ones_own_goes_the_same_way():
    by_fit = ready(optimiser_setting=None)
    by_fit.train_epoch()
    model = ready(optimiser_setting="SGD").model
    optimiser = cs.torch.InnerStep(model, model.net.step, horizon=by_fit.total_steps)
    model.attach(optimiser)
    x, y = presentations(architecture(mlp()))
    for index in batches(0, 0, COUNT, BATCH):
        optimiser.zero_grad()
        model(x[index], y[index]).backward()
        optimiser.step()
    for name, w in model.weights.items():
        assert torch.equal(w, by_fit.model.weights[name])


def test_the_rates_are_multiplied_by_lr_and_follow_the_horizon():
    settings = {"name": "inner_step", "horizon": 100, "lr": 0.5}
    trainer = ready(optimiser_setting=settings)
    group = trainer.optimiser.param_groups[0]
    assert group["lr"] == trainer.rate == 0.5 and group["horizon"] == 100


def test_a_schedule_that_ends_within_the_run_is_refused_before_it(tmp_path):
    with pytest.raises(cs.RunError, match="schedule are 3, but 12 are to come; leave horizon out"):
        ready(optimiser_setting={"name": "inner_step", "horizon": 3})
    first = ready(optimiser_setting={"name": "inner_step", "horizon": 14})
    for index in batches(0, 0, COUNT, BATCH):
        first.update(torch.from_numpy(index))
    with pytest.raises(cs.RunError, match="updates left in its schedule are 8, but 12 are to come"):
        first.model.fit((first.source.x, first.source.y), 2, batch_size=BATCH, optimiser=first.optimiser)
    model, x, y = first.model, first.source.x[:BATCH], first.source.y[:BATCH]
    model.train()
    with pytest.raises(cs.RunError, match=r"is not attached to its model.* call model.attach\(optimiser\)"):
        first.optimiser.step()
    model.attach(first.optimiser)
    with pytest.raises(cs.RunError, match="schedule ended after update 14"):
        for _ in range(9):
            first.optimiser.zero_grad()
            model(x, y).backward()
            first.optimiser.step()
    whole = ready(optimiser_setting="inner_step")
    whole.update(torch.arange(BATCH))
    checkpoint.save(tmp_path / "at 1", whole, {})
    longer = ready(optimiser_setting="inner_step")
    longer.epochs = 3
    with pytest.raises(cs.RunError, match="updates left in its schedule are 11, but 17 are to come"):
        checkpoint.restore(longer, tmp_path / "at 1")


def test_frozen_weights_and_biases_stay_as_they_are():
    trainer = ready(optimiser_setting="inner_step")
    frozen = [trainer.model.weights["V1->V2"], trainer.model.feedback.learned["V2->V1"]]
    frozen += [trainer.model.biases["V1"]]
    before = [p.detach().clone() for p in frozen]
    moving = trainer.model.weights["V2->IT"].detach().clone()
    for p in frozen:
        p.requires_grad_(False)
    trainer.update(torch.arange(BATCH))
    assert all(torch.equal(p, b) for p, b in zip(frozen, before, strict=True))
    assert not torch.equal(trainer.model.weights["V2->IT"], moving)


def test_more_than_the_whole_weight_is_not_forgotten():
    net = mlp().with_rule("backprop")
    name = net.bottom_ups[0].name
    net.projections[name] = replace(net.projections[name], regularisers=(cs.Decay(1.5),))
    with pytest.raises(cs.RunError, match=f"Decay of {name} is the share .* at most 1. Got 1.5"):
        make_optimiser(cs.torch.build(net, 0), {"name": "inner_step", "credit": layered("mixed")[0]}, 10)


def test_credit_gives_the_step_of_another_network_and_is_the_default_under_a_trained_one():
    trained = layered("adam")[0]
    net = mlp()
    model = cs.torch.build(net.with_rule("backprop"), 0, precision="64")
    made = make_optimiser(model, {"name": "inner_step", "credit": trained}, 10)
    assert made.param_groups[0]["name"] == "adam"
    assert isinstance(make_optimiser(model, None, 10), torch.optim.Adam)
    under = cs.torch.build(net.with_rule("tdca", credit=trained), 0)
    assert isinstance(make_optimiser(under, None, 10), InnerStep)


def two_onto_one():
    net = cs.Network("two onto one")
    net.population("retina", 4)
    for name in ("V1", "V2"):
        net.population(name, 3)
        net.bottom_up("retina", name, plasticity="backprop")
    net.population("IT", 2)
    for name in ("V1", "V2"):
        net.bottom_up(name, "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("backprop")


def lateral():
    net = mlp().copy()
    net.lateral("V1", plasticity=cs.Decorrelation())
    return net


@pytest.mark.parametrize(
    "net, said",
    [
        (two_onto_one, "IT is driven by V1->IT, V2->IT, which all learn"),
        (lateral, "projection V1->V1 learns by Decorrelation, but only supervised"),
        (lambda: mlp().with_rule("oja"), "retina->V1 learns by Oja, but only supervised"),
        (lambda: mlp().with_rule("weight_mirror"), "V2->V1 learns by WeightMirror"),
    ],
)
def test_what_inner_runs_do_not_know_is_refused_by_name(net, said):
    settings = {"name": "inner_step", "credit": layered("mixed")[0]}
    with pytest.raises(cs.RunError, match=said):
        make_optimiser(cs.torch.build(net(), 0), settings, 10)


def test_other_refusals():
    trainer = ready(optimiser_setting="inner_step")
    with pytest.raises(cs.RunError, match="no batch was presented since the last update"):
        trainer.optimiser.step()
    with pytest.raises(cs.RunError, match="brings its own schedule"):
        ready(optimiser_setting="inner_step", schedule_setting="OneCycleLR")
    with pytest.raises(cs.RunError, match="network tdca_mlp has no trained step"):
        cs.torch.build(mlp()).fit((np.zeros((4, 11)), np.zeros(4, int)), 1, optimiser="inner_step")
    with pytest.raises(cs.RunError, match="unknown setting 'momentum'; known: credit, horizon, lr"):
        cs.torch.build(mlp()).fit(
            (np.zeros((4, 11)), np.zeros(4, int)), 1, optimiser={"name": "inner_step", "momentum": 1}
        )
