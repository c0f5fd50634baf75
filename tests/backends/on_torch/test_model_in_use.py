"""What torch's users expect of a module: modes, hooks, copies, autocast, outputs, and noise of its own."""

import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from networks import chain, conv, shown

import cortex_sim as cs
from cortex_sim.backends.torch.diagnostics import diagnose


def new_model(network=chain, word="gait_prop", **settings):
    return cs.torch.build(network().with_rule(word), seed=1, **settings)


def as_tensors(recording):
    return {name: torch.as_tensor(values.to_numpy()) for name, values in recording.data_vars.items()}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("word", ["gait_prop", "weight_mirror", "direct_feedback_alignment"])
def test_credit_is_the_same_in_every_gradient_mode(mode, word):
    model = new_model(word=word)
    x, y = shown(model.net)
    ways = [
        lambda m: m.updates(x, y),
        lambda m: m.backprop_updates(x, y),
        lambda m: m.credits(x, y),
        lambda m: dict(m.fit((x, y), 1, batch_size=5, progress=False) and m.named_parameters()),
        lambda m: as_tensors(m.respond(x, y)),
        lambda m: {"predicted": torch.as_tensor(m.predict(x)), "loss": m.loss(x, y)},
        lambda m: {
            f"{what} {name}": torch.as_tensor(float("nan") if value is None else value)
            for what, readings in diagnose(m, x, y).items()
            for name, value in readings.items()
        },
    ]
    for way in ways:
        expected = way(new_model(word=word))
        with mode():
            found = way(new_model(word=word))
        assert expected
        for name, values in expected.items():
            assert torch.equal(values.nan_to_num(-1), found[name].nan_to_num(-1)), name


@pytest.mark.parametrize("network", [chain, conv])
def test_a_pickled_model_is_the_same_model(network):
    model = new_model(network)
    x, y = shown(model.net)
    model.fit((x, y), 2, batch_size=5, progress=False)
    other = pickle.loads(pickle.dumps(model))
    assert other.net == model.net and (other.seed, other.steps_done) == (1, 2)
    for name, change in model.updates(x, y, biases=True).items():
        assert torch.equal(change, other.updates(x, y, biases=True)[name])


def test_a_network_extended_after_build_leaves_the_model_alone():
    net = chain().with_rule("gait_prop")
    model = cs.torch.build(net)
    net.population("later", 3)
    assert "later" not in model.net.populations
    model.updates(*shown(model.net))


@pytest.mark.parametrize("network", [chain, conv])
def test_a_hook_on_a_population_sees_its_rates(network):
    model = new_model(network)
    x, _ = shown(model.net)
    seen = {}
    for name in model.net.populations:
        module = model.get_submodule(f"populations.{name}")
        module.register_forward_hook(lambda _, __, rates, name=name: seen.update({name: rates}))
    model(x)
    recorded = model.respond(x).rate
    for name, rates in seen.items():
        np.testing.assert_array_equal(
            rates.detach().flatten(1), recorded.sel(neuroid=recorded.population == name).values.reshape(5, -1)
        )
    assert seen.keys() == model.net.populations.keys()


def test_outputs_are_the_top_rates():
    model = new_model()
    x, y = shown(model.net)
    top = model(x)
    assert top.requires_grad and not model.predict(torch.as_tensor(x)).requires_grad
    np.testing.assert_allclose(model.predict(x, batch=2), model.predict(x), atol=1e-6)
    np.testing.assert_allclose(top.detach().numpy(), model.predict(x), atol=1e-6)
    expected = torch.nn.functional.cross_entropy(top, torch.as_tensor(y))
    torch.testing.assert_close(model.loss(x, y), expected.detach())


def test_only_training_batches_set_the_error():
    model = new_model(word="direct_feedback_alignment")
    x, y = shown(model.net)
    assert torch.equal(model.surrogate(x, y), model(x, y))
    kept = model.last_objective.clone()
    torch.testing.assert_close(kept, model.loss(x, y))
    model.updates(2 * x, y)
    model.credits(2 * x, y)
    model.respond(2 * x, y)
    assert torch.equal(model.last_objective, kept)


@pytest.mark.parametrize("network", [chain, conv])
@pytest.mark.parametrize("word", ["backprop", "gait_prop", "feedback_alignment", "direct_feedback_alignment"])
def test_credit_within_autocast_is_close(network, word):
    plain, cast = new_model(network, word), new_model(network, word)
    x, y = shown(plain.net)
    plain(x, y).backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast(x, y).backward()
    for name, w in plain.weights.items():
        g = cast.weights[name].grad
        assert g.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(w.grad.flatten(), g.flatten(), 0) > 0.99


@pytest.mark.parametrize(
    "word", ["backprop", "gait_prop", "weight_mirror", "kolen_pollack", "direct_feedback_alignment", "bcm"]
)
def test_updates_per_presentation_have_the_batchs_as_their_mean(word):
    model = new_model(word=word, precision="64")
    x, y = shown(model.net)
    each = model.updates(x, y, biases=True, per_presentation=True)
    for name, change in model.updates(x, y, biases=True).items():
        assert each[name].shape == (5, *change.shape)
        torch.testing.assert_close(each[name].mean(0), change)


def test_credit_to_stimuli_is_given_or_refused():
    model = new_model()
    x, y = shown(model.net)
    with pytest.raises(cs.DataError, match="population retina: require a gradient, but no"):
        model(torch.as_tensor(x).requires_grad_(), y)


def mirror_gradients(model, x, y):
    model.zero_grad()
    model(x, y).backward()
    return model.feedback.learned["V2->V1"].grad.clone()


def test_no_noise_comes_twice():
    model = new_model(word="weight_mirror")
    x, y = shown(model.net)
    first, second = mirror_gradients(model, x, y), mirror_gradients(model, x, y)
    assert not torch.equal(first, second)
    state = {name: values.clone() for name, values in model.state_dict().items()}
    third = mirror_gradients(model, x, y)
    model.load_state_dict(state)
    model.updates(x, y)
    assert torch.equal(mirror_gradients(model, x, y), third)


def test_an_attached_step_takes_one_draw_and_each_micro_batch_its_own():
    model = new_model(word="weight_mirror")
    x, y = shown(model.net)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    model.attach(optimiser)
    for step in range(1, 4):
        model(x, y).backward()
        optimiser.step()
        assert model.clock.draws == model.steps_done == step
    model(x, y).backward()
    model(x, y).backward()
    optimiser.step()
    assert (model.clock.draws, model.steps_done) == (5, 4)


@pytest.mark.parametrize(
    "given, message",
    [
        ("nonsense", "give a mapping from projection to array"),
        ({"V1->V9": np.zeros(3)}, "unknown projection with weights 'V1->V9'"),
        ({"V1->V2": np.zeros(3)}, "weights must have shape"),
        ({"V1->V2": np.full((7, 11), np.nan)}, "NaN or infinite"),
        ({"V1->V2": [["a"]]}, "must be an array of numbers"),
    ],
)
def test_wrong_weights_are_refused_and_none_taken(given, message):
    model = new_model()
    kept = model.weights["retina->V1"].detach().clone()
    with pytest.raises(cs.BuildError, match=message):
        model.set_weights({"retina->V1": np.zeros((11, 13)), **given} if isinstance(given, dict) else given)
    assert torch.equal(model.weights["retina->V1"], kept)


def test_biases_are_set_by_population():
    model = new_model()
    model.set_biases({"V1": np.arange(11.0)[::-1]})
    np.testing.assert_array_equal(model.biases["V1"].detach(), np.arange(11.0)[::-1])
    with pytest.raises(cs.BuildError, match="biases must have shape"):
        model.set_biases({"V1": np.zeros(3)})


def test_a_network_without_weights_answers():
    net = cs.Network("none")
    net.population("retina", 4)
    net.population("V1", 4, activation="relu")
    net.bottom_up("retina", "V1", cs.Identity())
    model = cs.torch.build(net)
    x = np.array([[1.0, -1.0, 2.0, 0.5]])
    np.testing.assert_array_equal(model.predict(x), np.maximum(x, 0))


@pytest.mark.parametrize("word", ["gait_prop", "kolen_pollack", "direct_feedback_alignment"])
def test_state_travels_between_models(word):
    model = new_model(conv if word == "gait_prop" else chain, word)
    x, y = shown(model.net)
    model.fit((x, y), 2, batch_size=5, progress=False)
    other = cs.torch.build(model.net, seed=9, state=model.state())
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    for name, change in model.updates(x, y, biases=True).items():
        assert torch.equal(change, other.updates(x, y, biases=True)[name])


@dataclass(frozen=True)
class Halved(cs.Identity):
    """A user-defined connector without plasticity, which is no identity."""


@dataclass(frozen=True)
class Elsewhere:
    """As `Halved`, of no class that torch knows."""

    plastic: ClassVar[bool] = False

    def weight_shape(self, pre, post):
        return (post[0], pre[0])

    def check(self, name, pre, post):
        pass

    def draw(self, rng, pre, post):
        return np.eye(post[0], pre[0])


@pytest.mark.parametrize("connector", [Elsewhere(), Halved()], ids=["unknown", "derived"])
def test_no_connector_of_ones_own_passes_for_an_identity(connector):
    net = cs.Network("own")
    net.population("retina", 4)
    net.population("V1", 4)
    with pytest.raises(cs.CortexSimError, match="retina->V1.*give the class a method"):
        net.bottom_up("retina", "V1", connector)
        cs.torch.build(net)


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("updates", "unknown setting of model.updates 'batches'"),
        ("respond", "unknown setting of model.respond 'batches'.*did you mean 'batch'"),
        ("predict", "unknown setting of model.predict 'batches'.*did you mean 'batch'"),
        ("credits", "unknown setting of model.credits 'batches'.*known: x, y"),
        ("fit", "fit: unknown setting 'batches'; did you mean 'batch_size'"),
    ],
)
def test_a_misspelt_setting_is_named_with_what_was_meant(way, says):
    model = new_model()
    x, y = shown(model.net)
    given = {"predict": (x,), "fit": ((x, y),)}.get(way, (x, y))
    with pytest.raises(cs.CortexSimError, match=says):
        getattr(model, way)(*given, batches=2)


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("fit", r"model\.fit: train is missing; give model\.fit\(train=\.\.\.\)"),
        ("respond", r"model\.respond: x is missing"),
        ("credits", r"model\.credits: x is missing; give model\.credits\(x=\.\.\., y=\.\.\.\)"),
        ("set_weights", r"model\.set_weights: given is missing"),
    ],
)
def test_a_missing_argument_is_named(way, says):
    with pytest.raises(cs.DeclarationError, match=says):
        getattr(new_model(), way)()
