"""Plain target propagation, and exactly what its credit is when nothing is wrong."""

import numpy as np
import pytest
from agreement import relative_error
from networks import built, chain, conv, residual, shown

import cortex_sim as cs


def numbers(model, x):
    w = {n: t.detach().numpy() for n, t in model.weights.items()}
    b = {n: t.detach().numpy() for n, t in model.biases.items()}
    r = {"retina": x}
    r["V1"] = np.tanh(r["retina"] @ w["retina->V1"].T + b["V1"])
    r["V2"] = np.tanh(r["V1"] @ w["V1->V2"].T + b["V2"])
    r["IT"] = r["V2"] @ w["V2->IT"].T + b["IT"]
    return w, b, r


def damped(w, alpha):
    return w.T @ np.linalg.inv(w @ w.T + alpha * np.eye(len(w)))


@pytest.mark.parametrize("nudge", [0.0, 0.4])
def test_targets_come_down_through_the_inverse_of_the_whole_drive(nudge):
    """t_{l-1} = B_l(f⁻¹(t_l) − b_l), credit (t − r)/γ (Lee et al. 2015, eq. 8)."""
    net = chain(objective="squared_error").with_rule("target_prop", damping=0.05)
    model = built(net)
    x, _ = shown(net)
    w, b, r = numbers(model, x)
    goal = r["IT"] + nudge * np.random.default_rng(2).normal(size=r["IT"].shape)
    targets = {"IT": r["IT"] + 0.1 * (goal - r["IT"])}
    targets["V2"] = (targets["IT"] - b["IT"]) @ damped(w["V2->IT"], 0.05).T
    targets["V1"] = (np.arctanh(targets["V2"]) - b["V2"]) @ damped(w["V1->V2"], 0.05).T
    slope = {"V1": 1 - r["V1"] ** 2, "V2": 1 - r["V2"] ** 2, "IT": np.ones_like(r["IT"])}
    ours = model.updates(x, goal)
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "IT")):
        u = (targets[post] - r[post]) / 0.1 * slope[post]
        expected = u.T @ r[pre] / len(x)
        np.testing.assert_allclose(ours[f"{pre}->{post}"], expected, atol=1e-9)


def test_without_credit_it_carries_the_reconstruction_error():
    """c = (g(f(a)) − r)/γ = (BW − I) r/γ below the top, exactly, and 0 at the top."""
    net = chain(objective="squared_error").with_rule("target_prop", damping=0)
    model = built(net)
    x, _ = shown(net)
    w, _, r = numbers(model, x)
    credits = model.credits(x, r["IT"])
    lost = np.linalg.pinv(w["V2->IT"]) @ w["V2->IT"] - np.eye(7)
    assert relative_error(credits["V2"].detach(), r["V2"] @ lost.T / 0.1) < 1e-9
    assert credits["IT"].abs().max() < 1e-12


@pytest.mark.parametrize("network", [conv, residual])
def test_takes_chains_of_dense_projections_only(network):
    with pytest.raises(cs.DeclarationError, match="works only in chains of Dense projections"):
        network().with_rule("target_prop")
