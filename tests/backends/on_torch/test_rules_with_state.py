from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from agreement import relative_error
from networks import Spread, built

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.training import Trainer

SPREAD = Spread()


def pair(rule="bcm", init=SPREAD, activation="softplus"):
    net = cs.Network("pair")
    net.population("retina", 5)
    net.population("V1", 3, activation=activation)
    net.bottom_up("retina", "V1", cs.Dense(init=init), plasticity=rule)
    return net


def by_synapse(w, b, theta, x):
    """BCM's change and the threshold after it, in plain loops (softplus)."""
    y = np.log1p(np.exp(x @ w.T + b))
    dw, moved = np.zeros_like(w), theta.copy()
    for i, j in np.ndindex(w.shape):
        for x_b, y_b in zip(x, y, strict=True):
            dw[i, j] += y_b[i] * (y_b[i] - theta[i]) * x_b[j] / len(x)
    for i in range(len(theta)):
        for _ in x:
            moved[i] += (np.mean(y[:, i] ** 2) - moved[i]) / 10
    return dw, moved


def test_bcm_over_several_updates():
    model = built(pair(cs.Bcm(window=10)))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    w = model.weights["retina->V1"].detach().numpy().copy()
    b, theta = model.biases["V1"].detach().numpy(), np.zeros(3)
    for seed in range(6):
        x, _ = shown_to(model, seed)
        optimiser.zero_grad()
        model(x).backward()
        optimiser.step()
        change, theta = by_synapse(w, b, theta, x)
        w = w + 0.1 * change
        assert relative_error(model.weights["retina->V1"].detach(), w) < 1e-12
        assert relative_error(model.local.of("retina->V1")["theta"], theta) < 1e-12
    assert (theta > 0.1).all()


def shown_to(model, seed=0, count=4):
    return np.random.default_rng(seed).normal(size=(count, 5)), np.zeros(count, int)


def test_state_moves_in_training_only():
    model = built(pair())
    x, _ = shown_to(model)

    def theta():
        return model.local.of("retina->V1")["theta"].clone()

    start = theta()
    model.updates(x)
    model.respond(x)
    model.eval()(x)
    assert torch.equal(theta(), start)
    model.train()(x).backward()
    assert not torch.equal(theta(), start)


def test_the_bias_of_an_unsupervised_population_stays():
    model = built(pair())
    x, _ = shown_to(model)
    model(x).backward()
    assert not model.biases["V1"].requires_grad and model.biases["V1"].grad is None


def test_state_is_part_of_what_is_saved(tmp_path):
    net = pair(init="he")
    x, y = (torch.as_tensor(part) for part in shown_to(None, count=20))

    def run(epochs):
        model = cs.torch.build(net, precision="64")
        return Trainer(model, x, y, epochs, 4, {"name": "SGD", "lr": 0.01, "momentum": 0.9})

    through, stopped, resumed = run(4), run(4), run(4)
    for _ in range(4):
        through.train_epoch()
    for _ in range(2):
        stopped.train_epoch()
    path = tmp_path / "half.safetensors"
    checkpoint.save(path, stopped, {})
    assert "local.state.retina->V1.theta" in stopped.model.state_dict()
    checkpoint.restore(resumed, path)
    for _ in range(2):
        resumed.train_epoch()
    for name, tensor in through.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert not torch.equal(through.model.weights["retina->V1"], stopped.model.weights["retina->V1"])
    loaded = cs.torch.load(path)
    assert torch.equal(loaded.local.of("retina->V1")["theta"], stopped.model.local.of("retina->V1")["theta"])


@dataclass(frozen=True)
class Traces:
    """Every kind of state: a running mean of each side, of their product, and a third factor."""

    state: ClassVar = {
        "post": cs.PerPost(1.0),
        "pre": cs.PerPre(2.0),
        "synapse": cs.PerSynapse(3.0),
        "modulator": cs.Global(4.0),
    }

    def change(self, w, r_pre, r_post, state):
        hebbian = r_post.T @ r_pre / len(r_pre)
        moved = {
            "post": 0.9 * state["post"] + 0.1 * r_post.mean(0),
            "pre": 0.9 * state["pre"] + 0.1 * r_pre.mean(0),
            "synapse": 0.9 * state["synapse"] + 0.1 * hebbian,
            "modulator": 0.5 * state["modulator"],
        }
        against = state["post"][:, None] * state["pre"][None, :]
        return state["modulator"] * (hebbian - against) + state["synapse"], moved


@pytest.mark.parametrize(
    "connector, pre, post, fan_in",
    [(cs.Dense(), (5,), (3,), 5), (cs.Conv2d(2, stride=2), (2, 4, 4), (3, 2, 2), 8)],
)
def test_every_kind_of_state_has_its_shape_and_start(connector, pre, post, fan_in):
    net = cs.Network("traces")
    net.population("retina", shape=pre)
    net.population("V1", shape=post)
    net.bottom_up("retina", "V1", connector, plasticity=Traces())
    model = built(net)
    state = model.local.of("retina->V1")
    shapes = {name: tuple(values.shape) for name, values in state.items()}
    assert shapes == {"post": (3,), "pre": (fan_in,), "synapse": (3, fan_in), "modulator": ()}
    assert {name: float(v.mean()) for name, v in state.items()} == {
        "post": 1.0,
        "pre": 2.0,
        "synapse": 3.0,
        "modulator": 4.0,
    }
    x = np.ones((4, *pre))
    change = model.updates(x)["retina->V1"]
    model(x).backward()
    assert relative_error(model.weights["retina->V1"].grad, -change) < 1e-12
    assert float(state["modulator"]) == 2.0 and float(state["pre"][0]) == pytest.approx(1.9)


@dataclass(frozen=True)
class Replayed:
    """The change is the state itself: what is learned now is what was seen last time."""

    state: ClassVar = {"trace": cs.PerSynapse(0.5)}

    def change(self, w, r_pre, r_post, state):
        return state["trace"], {"trace": r_post.T @ r_pre / len(r_pre)}


def test_a_change_may_be_the_state_itself():
    model = built(pair(Replayed()))
    x, _ = shown_to(model)
    model(x).backward()
    assert (model.weights["retina->V1"].grad == -0.5).all()
    assert not (model.local.of("retina->V1")["trace"] == 0.5).any()


def test_a_kind_of_state_that_does_not_exist():
    @dataclass(frozen=True)
    class Odd:
        state: ClassVar = {"trace": 0.5}

        def change(self, w, r_pre, r_post, state):
            return w, state

    with pytest.raises(cs.CortexSimError, match="PerPost, PerPre, PerSynapse or Global"):
        cs.torch.build(pair(Odd()))
