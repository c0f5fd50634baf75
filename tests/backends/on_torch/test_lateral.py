"""Lateral projections on torch against numpy: a = (I + L)⁻¹(W r + b), ΔL/η = ⟨r rᵀ⟩ off the diagonal."""

import numpy as np
import pytest
import torch

import cortex_sim as cs


def net(activation="linear", rule="oja", shape=(7,)):
    made = cs.Network("lateral")
    made.population("retina", 11)
    made.population("V1", shape=shape, activation=activation)
    made.population("V2", 5, activation="tanh")
    made.bottom_up("retina", "V1", plasticity=rule)
    made.lateral("V1", plasticity=cs.Decorrelation())
    made.bottom_up("V1", "V2")
    return made


def inhibited(made, seed=1, precision="64"):
    model = cs.torch.build(made, seed=0, precision=precision)
    units = made.populations["V1"].size
    weights = 0.3 * np.random.default_rng(seed).normal(size=(units, units))
    np.fill_diagonal(weights, 0)
    model.set_weights({"V1->V1": weights})
    with torch.no_grad():
        model.biases["V1"].copy_(torch.arange(len(model.biases["V1"])) * 0.1)
    return model.eval()


def stimuli(count=6):
    return np.random.default_rng(3).normal(size=(count, 11))


def settled(model, x, steps=4000):
    """The dynamics τ da/dt = -a + W r + b - L r of V1, run until they rest."""
    own = {n: w.detach().numpy() for n, w in model.weights.items()}
    b = model.biases["V1"].detach().numpy()
    b = np.repeat(b, len(own["V1->V1"]) // len(b))
    a = np.zeros((len(x), len(b)))
    for _ in range(steps):
        a += 0.05 * (-a + x @ own["retina->V1"].T + b - a @ own["V1->V1"].T)
    return a


@pytest.mark.parametrize("shape", [(7,), (3, 2, 1)], ids=["units", "channels"])
def test_settles_where_the_dynamics_rest(shape):
    model, x = inhibited(net(shape=shape)), stimuli()
    drives, rates = model.settle(torch.as_tensor(x))
    a = settled(model, x)
    np.testing.assert_allclose(drives["V1"].detach().flatten(1), a, atol=1e-10)
    np.testing.assert_allclose(rates["V1"].detach().flatten(1), a, atol=1e-10)
    above = np.tanh(a @ model.weights["V1->V2"].detach().numpy().T)
    np.testing.assert_allclose(rates["V2"].detach(), above, atol=1e-10)
    recorded = model.respond(x).rate
    np.testing.assert_allclose(recorded[:, recorded.population == "V1"], a, atol=1e-10)


def test_changes_follow_the_settled_rates():
    model, x = inhibited(net()), stimuli()
    r = settled(model, x)
    ours = model.updates(x)
    expected = np.zeros((7, 7))
    for i, j in np.ndindex(7, 7):
        expected[i, j] = 0 if i == j else np.mean(r[:, i] * r[:, j])
    np.testing.assert_allclose(ours["V1->V1"], expected, atol=1e-9)
    w = model.weights["retina->V1"].detach().numpy()
    np.testing.assert_allclose(ours["retina->V1"], r.T @ x / len(x) - (r**2).mean(0)[:, None] * w, atol=1e-9)


@pytest.mark.parametrize("optimiser", [pytest.param("SGD", marks=pytest.mark.slow), "Adam"])
def test_learning_decorrelates_and_leaves_no_unit_its_own_synapse(optimiser):
    made = net(rule=None)
    x = stimuli(400) @ np.diag(np.linspace(0.2, 1.2, 11)) @ np.linalg.qr(stimuli(11))[0]
    model = cs.torch.build(made, seed=0, precision="64")

    def correlations():
        with torch.no_grad():
            r = model.settle(model.stimulus_tensor(x))[1]["V1"].numpy()
        moment = r.T @ r / len(r)
        return abs(moment - np.diag(np.diag(moment))).max()

    before = correlations()
    stepper = getattr(torch.optim, optimiser)(model.parameters(), lr={"SGD": 0.3, "Adam": 0.01}[optimiser])
    model.attach(stepper)
    for _ in range(1500):
        stepper.zero_grad()
        model(x).backward()
        stepper.step()
    assert correlations() < 1e-2 * before
    weights = model.weights["V1->V1"].detach()
    assert weights.abs().max() > 0.01 and not weights.diagonal().any()


def test_on_white_input_the_rows_become_orthogonal():
    """Decorrelated activity is orthogonal weights where the input is white."""
    made = net(rule=None)
    rng = np.random.default_rng(5)
    x = np.sqrt(2000) * np.linalg.qr(rng.normal(size=(2000, 11)))[0]  # exactly white
    model = cs.torch.build(made, seed=0, precision="64")
    start = np.linalg.qr(rng.normal(size=(11, 7)))[0].T + 0.15 * rng.normal(size=(7, 11))
    model.set_weights({"retina->V1": start})
    stepper = torch.optim.SGD(model.parameters(), lr=0.2)
    model.attach(stepper)
    for _ in range(500):
        stepper.zero_grad()
        model(x).backward()
        stepper.step()
    circuit = np.eye(7) + model.weights["V1->V1"].detach().numpy()
    effective = np.linalg.solve(circuit, start)
    gram = effective @ effective.T
    assert abs(gram - np.diag(np.diag(gram))).max() < 1e-3


def test_decay_keeps_lateral_weights_small():
    made = net(rule=None)
    made.projections.pop("V1->V1")
    given = 0.3 * np.eye(7)[::-1] * (1 - np.eye(7))
    made.lateral("V1", plasticity=cs.Decorrelation(), regulariser=cs.Decay(0.5), weights=given)
    model = cs.torch.build(made, precision="64")
    model(np.zeros((2, 11))).backward()  # nothing to decorrelate
    np.testing.assert_allclose(model.weights["V1->V1"].grad, 0.5 * model.weights["V1->V1"].detach())


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_lower_precision_follows(precision):
    x = stimuli()
    fine, coarse = inhibited(net()), inhibited(net(), precision=precision)
    expected = fine.settle(fine.stimulus_tensor(x))[1]["V1"].detach()
    found = coarse.settle(coarse.stimulus_tensor(x))[1]["V1"].detach()
    assert found.dtype == coarse.compute
    torch.testing.assert_close(
        found.double(), expected, atol={"32": 1e-5, "bf16": 0.05}[precision], rtol=0.05
    )


def test_activity_that_would_run_away_is_an_error():
    model = inhibited(net())
    runaway = torch.zeros(7, 7, dtype=torch.float64)
    runaway[0, 1] = runaway[1, 0] = 1.5
    model.set_weights({"V1->V1": runaway})
    with pytest.raises(cs.RunError, match="V1->V1: its weights make activity diverge"):
        model.settle(torch.as_tensor(stimuli()))


def test_strong_one_way_inhibition_settles():
    """Its symmetric part is indefinite, its eigenvalues are all 1."""
    model = inhibited(net())
    chain = torch.zeros(7, 7, dtype=torch.float64)
    chain[1, 0] = 5.0
    model.set_weights({"V1->V1": chain})
    x = stimuli()
    np.testing.assert_allclose(
        model.settle(torch.as_tensor(x))[0]["V1"].detach(), settled(model, x), atol=1e-9
    )


def test_a_diagonal_is_refused():
    with pytest.raises(cs.BuildError, match="V1->V1: lateral weights must be zero on the diagonal"):
        inhibited(net()).set_weights({"V1->V1": np.eye(7)})


@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic"])
def test_other_populations_settle_too(activation):
    """Where r = f(W r_pre + b − L r): a fixed point of the equation itself."""
    model, x = inhibited(net(activation=activation)), stimuli()
    drives, rates = model.settle(torch.as_tensor(x), credit=False)
    a, r = (found["V1"].detach().numpy() for found in (drives, rates))
    w, lateral = (model.weights[name].detach().numpy() for name in ("retina->V1", "V1->V1"))
    bias = model.biases["V1"].detach().numpy()
    np.testing.assert_allclose(a, x.reshape(len(x), -1) @ w.T + bias - r @ lateral.T, atol=1e-9)


def test_diagnostics_speak_of_bottom_up_projections_only():
    from cortex_sim.backends.torch.diagnostics import angles_to_backprop, orthogonality_deviations

    made = net(rule="hebbian")
    made.projections["V1->V2"] = cs.Projection("bottom_up", "V1", "V2", cs.Dense(), None, cs.Backprop())
    made.objective("V2", "squared_error")
    model = inhibited(made)
    assert set(orthogonality_deviations(model)) == {"retina->V1", "V1->V2"}
    angles = angles_to_backprop(model, stimuli(), np.zeros((6, 5)))
    assert set(angles) == {"retina->V1", "V1->V2"} and angles["V1->V2"] < 1e-6


def test_state_dict_holds_lateral_weights():
    model, other = inhibited(net()), cs.torch.build(net(), precision="64")
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.weights["V1->V1"], model.weights["V1->V1"])
