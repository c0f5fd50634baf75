import numpy as np
from agreement import cosine, relative_error
from networks import built, chain, shown

import cortex_sim as cs


def test_the_difference_takes_the_reconstruction_error_out():
    """t_{l-1} = r_{l-1} + g(t_l) − g(r_l), g(t) = B(f⁻¹(t) − b) (Lee et al. 2015, eq. 15)."""
    net = chain(objective="squared_error").with_rule("difference_target_prop")
    model = built(net)
    x, _ = shown(net)
    drives, rates = (
        {n: t.detach().numpy() for n, t in part.items()} for part in model.settle(model.stimulus_tensor(x))
    )
    goal = rates["IT"] + 0.3 * np.random.default_rng(1).normal(size=rates["IT"].shape)
    b = {n: t.detach().numpy() for n, t in model.feedback.learned.items()}
    bias = model.biases["V2"].detach().numpy()
    t_top = rates["IT"] + 0.1 * (goal - rates["IT"])
    t_v2 = rates["V2"] + (t_top - rates["IT"]) @ b["IT->V2"].T
    g = [(np.arctanh(t) - bias) @ b["V2->V1"].T for t in (t_v2, rates["V2"])]
    t_v1 = rates["V1"] + g[0] - g[1]
    credits = {n: c.detach() for n, c in model.credits(x, goal).items()}
    assert relative_error(credits["V2"], (t_v2 - rates["V2"]) / 0.1) < 1e-12
    assert relative_error(credits["V1"], (t_v1 - rates["V1"]) / 0.1) < 1e-9
    assert relative_error(drives["V2"], np.arctanh(rates["V2"])) < 1e-9


def test_small_steps_through_an_exact_inverse_are_gauss_newton():
    """γ → 0: c_pre = W⁺(c/f′), credit divided by the gain where GAIT-prop multiplies by it."""
    net = chain(objective="squared_error")
    rule = cs.DifferenceTargetProp(gamma=1e-6)
    net = net.with_rule(cs.Word(rule, paired=lambda up: cs.TopDown(cs.Inverse(of=up, damping=0))))
    model = built(net)
    x, _ = shown(net)
    goal = np.random.default_rng(1).normal(size=(len(x), 3))
    drives = model.settle(model.stimulus_tensor(x))[0]
    c = {n: t.detach().numpy() for n, t in model.credits(x, goal).items()}
    gain = np.cosh(drives["V2"].detach().numpy()) ** -2
    expected = (c["V2"] / gain) @ np.linalg.pinv(model.weights["V1->V2"].detach().numpy()).T
    assert relative_error(c["V1"], expected) < 1e-4
    through_gain = (c["V2"] * gain) @ np.linalg.pinv(model.weights["V1->V2"].detach().numpy()).T
    assert cosine(c["V1"], through_gain) < 0.999


def test_a_target_out_of_range_means_the_same_in_float32():
    net = chain(objective="squared_error").with_rule("difference_target_prop")
    changes = []
    for precision in ("32", "64"):
        model = built(net, precision=precision)
        x, y = shown(net)
        changes.append(model.updates(x, np.full((len(y), 3), 100.0))["retina->V1"])
    assert relative_error(*changes) < 1e-2
