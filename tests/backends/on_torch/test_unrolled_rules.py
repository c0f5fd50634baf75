"""Unsupervised rules under unrolled steps, each step a presentation: against own float64 loops and brian2."""

import numpy as np
import pytest
from loops import F

import cortex_sim as cs

DT, STEPS, BINS, COUNT = 2.0, 12, 4, 5
AREAS = {"A": ("tanh", 7.0), "B": ("softplus", 11.0)}
RULES = {
    "hebbian": cs.Hebbian(),
    "oja": cs.Oja(norm=2.0),
    "bcm": cs.Bcm(window=40),
    "covariance": cs.Covariance(window=30),
    "three_factor": cs.ThreeFactor(window=20),
}


def declared(rule):
    """Two areas that both learn; B drives A back, so that rates have a course."""
    net = cs.Network("two areas")
    net.population("retina", 7)
    for (name, (activation, tau)), size in zip(AREAS.items(), (5, 3), strict=True):
        net.population(name, size, activation=activation, tau_ms=tau)
    net.bottom_up("retina", "A", plasticity=rule)
    net.bottom_up("A", "B", plasticity=rule)
    net.recurrent("B", "A", plasticity=rule)
    return net


def read_at(net, w, x):
    """Rates that each step reads, (step, presentation, unit) by population; x (step, presentation, unit)."""
    a = {n: np.zeros((x.shape[1], net.populations[n].size)) for n in AREAS}
    seen = []
    for shown in x:
        r = {"retina": shown} | {n: F[of][0](a[n]) for n, (of, _) in AREAS.items()}
        drive = {n: sum(r[p.pre] @ w[p.name].T for p in net.driving if p.post == n) for n in AREAS}
        a = {n: a[n] + DT / tau * (drive[n] - a[n]) for n, (_, tau) in AREAS.items()}
        seen.append(r)
    return {name: np.stack([r[name] for r in seen]) for name in seen[0]}


def expected(rule, w, x, y, state):
    """Change and new state from pairs of rates, one synapse and one pair at a time."""
    pairs = len(x)
    kept = (1 - 1 / rule.window) ** pairs if hasattr(rule, "window") else 1.0
    change = np.zeros_like(w)
    for i, j in np.ndindex(w.shape):
        for x_k, y_k in zip(x[:, j], y[:, i], strict=True):
            match rule:
                case cs.Hebbian():
                    grown = y_k * x_k
                case cs.Oja():
                    grown = y_k * x_k - y_k**2 * w[i, j] / rule.norm**2
                case cs.Bcm():
                    grown = y_k * (y_k - state["theta"][i]) * x_k
                case cs.Covariance():
                    grown = (y_k - state["mean_post"][i]) * (x_k - state["mean_pre"][j])
                case cs.ThreeFactor():
                    grown = state["modulator"] * state["e"][i, j]
            change[i, j] += grown / pairs
    mean = {
        "theta": (y**2).mean(0),
        "mean_post": y.mean(0),
        "mean_pre": x.mean(0),
        "e": np.einsum("ki,kj->ij", y, x) / pairs,
    }
    return change, {v: kept * s + (1 - kept) * mean[v] if v in mean else s for v, s in state.items()}


def arrays(tensors):
    return {name: v.detach().numpy().astype(float) for name, v in tensors.items()}


@pytest.mark.parametrize("word", RULES)
def test_changes_and_state_are_those_of_an_own_loop(word):
    rule = RULES[word]
    net = declared(rule)
    model = cs.torch.build(net, 3, precision="64", settling=cs.torch.Unrolled(STEPS, DT))
    rng = np.random.default_rng(2)
    state = {
        p.name: {v: s.numpy().astype(float) for v, s in model.local.of(p.name).items()} for p in net.driving
    }
    model.train()
    for _ in range(2):  # the second time from a state that has moved
        x = rng.normal(size=(COUNT, BINS, 7))
        w = arrays(model.weights)
        read = read_at(net, w, np.repeat(x, STEPS // BINS, axis=1).swapaxes(0, 1))
        found = model.updates(x)
        each = model.updates(x, per_presentation=True)
        model.zero_grad()
        model(x).backward()
        for p in net.driving:
            pre, post = (read[n].reshape(STEPS * COUNT, -1) for n in (p.pre, p.post))
            change, state[p.name] = expected(rule, w[p.name], pre, post, state[p.name])
            np.testing.assert_allclose(found[p.name], change, atol=1e-12)
            np.testing.assert_allclose(-model.weights[p.name].grad, change, atol=1e-12)
            np.testing.assert_allclose(each[p.name].mean(0), change, atol=1e-12)
            for variable, values in model.local.of(p.name).items():
                np.testing.assert_allclose(values, state[p.name][variable], atol=1e-12)


@pytest.mark.parametrize("rule", [cs.Hebbian(), cs.Oja(), cs.Covariance(tau_ms=1e9)])
def test_equals_brian2_in_time_where_weights_hardly_move(rule):
    net = declared(rule)
    x = np.random.default_rng(1).normal(size=(1, BINS, 7))
    model = cs.torch.build(net, 3, precision="64", settling=cs.torch.Unrolled(STEPS, DT))
    eta = 1e-6
    shown = cs.Phase(
        "show", STEPS * DT, drive={"retina": cs.TimeSeries(x, bin_ms=STEPS * DT / BINS)}, plasticity=True
    )
    sim = cs.brian2.build(net, 3, dt_ms=DT, state=model.state())
    before = arrays(model.weights)
    sim.run(cs.Protocol(shown, eta_per_s=eta), progress=False)
    for name, change in model.updates(x).items():
        moved = (sim.weights.matrix[name] - before[name]) / (eta * STEPS * DT / 1000)
        np.testing.assert_allclose(change, moved, rtol=1e-5, atol=1e-6)


def test_a_long_unrolling_changes_as_the_equilibrium_does():
    net = declared(cs.Oja(norm=2.0))
    x = np.random.default_rng(4).normal(size=(COUNT, 7))
    settled = cs.torch.build(net, 3, precision="64").updates(x)
    steps = cs.torch.Unrolled(1500, DT)
    unrolled = cs.torch.build(net, 3, precision="64", settling=steps).updates(x)
    for name, change in settled.items():  # the transient's share falls with the number of steps
        np.testing.assert_allclose(unrolled[name], change, atol=0.02 * float(change.abs().max()))


def test_a_hebbian_layer_below_a_supervised_one():
    net = cs.Network("mixed")
    net.population("x", 4)
    net.population("h", 6, activation="tanh")
    net.population("y", 3)
    net.bottom_up("x", "h", plasticity=cs.Oja())
    net.bottom_up("h", "y", plasticity="backprop")
    net.objective("y", "cross_entropy")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3, 4)), rng.integers(0, 3, 8)
    model = cs.torch.build(net, settling=cs.torch.Unrolled(6, 10))
    curve = model.fit((x, y), 3, batch_size=4, optimiser={"name": "SGD", "lr": 0.05}, progress=False)
    assert curve[-1]["train_loss"] < curve[0]["train_loss"]
