"""Loops at equilibrium: against the same network in time, unrolled steps, and an own implicit solve."""

import numpy as np
import pytest
import torch
from loops import F, two_areas
from networks import Spread

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic

WEAK = cs.Dense(init=Spread(0.2, 0.5))
WORDS = {
    "backprop": {},
    "feedback_alignment": {"scale": 0.3},
    "sign_symmetric": {},
    "kolen_pollack": {"scale": 0.3},
    "gait_prop": {"damping": 2.0},
    "direct_feedback_alignment": {},
}


def supervised(word="backprop", **feedback):
    net = cs.Network("supervised")
    net.population("retina", 7)
    net.population("A", 5, activation="tanh", tau_ms=7.0)
    net.population("B", 4, activation="softplus", tau_ms=11.0)
    net.population("IT", 3)
    for below, above in (("retina", "A"), ("A", "B"), ("B", "IT")):
        net.bottom_up(below, above, plasticity="backprop")
    net.recurrent("B", "A", WEAK, plasticity="backprop")
    net.recurrent("B", "B", WEAK, plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(word, **feedback)


@pytest.fixture
def shown():
    return np.random.default_rng(1).normal(size=(4, 7)), [0, 2, 1, 1]


def phase(x, y=None, ms=1500, **settings):
    nudge = {} if y is None else {"IT": y}
    record = cs.Record(("rate", "drive", "credit"), phase="settle")
    return cs.Protocol(
        cs.Phase("settle", ms, drive={"retina": x}, nudge=nudge, **settings), batch=len(x), record=record
    )


def assert_backends_agree(net, script, tolerance=1e-6):
    in_time, settled = cs.brian2.build(net).run(script), QuasiStatic(net, 0).run(script)
    for variable in ("rate", "drive", "credit"):
        scale = max(1.0, float(abs(settled[variable]).max()))
        assert float(abs(in_time[variable] - settled[variable]).max()) < tolerance * scale, variable
    return in_time


@pytest.mark.parametrize("gain", [False, True])
def test_settles_as_in_time(gain, shown):
    net = two_areas("oja", gain=gain)
    seen = assert_backends_agree(net, phase(shown[0], ms=2500))
    model = cs.torch.build(net, precision="64").respond(shown[0])
    np.testing.assert_allclose(model.rate.values, seen.rate.values, atol=1e-6)


@pytest.mark.parametrize("word", WORDS)
def test_credit_goes_around_the_loop_as_in_time(word, shown):
    net = supervised(word, **WORDS[word])
    seen = assert_backends_agree(net, phase(*shown))
    credits = cs.torch.build(net, precision="64").credits(*shown)
    for name in ("A", "B", "IT"):
        expected = seen.credit.values[:, seen.population.values == name].reshape(4, -1)
        np.testing.assert_allclose(credits[name].numpy(), expected, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        {"cut": ["B->A recurrent"]},
        {"scale": {"B->B recurrent": 0.5, "A->B credit": 2.0}},
        {"silence": ["A/1", "B"]},
        {"drive_also": {"B": [0.3, -0.2, 0.5, 0.1]}},
        {"drive_credit": {"B": [0.3, -0.2, 0.5, 0.1]}, "silence_credit": ["A/1", "B/0"]},
    ],
)
def test_what_a_phase_does_reaches_loops(settings, shown):
    x, y = shown
    settings = dict(settings)
    drive = {"retina": x} | settings.pop("drive_also", {})
    script = cs.Protocol(
        cs.Phase("settle", 1500, drive=drive, nudge={"IT": y}, **settings),
        batch=4,
        record=cs.Record(("rate", "drive", "credit")),
    )
    assert_backends_agree(supervised(), script)


def parameters(model):
    return {n: w.detach().clone().requires_grad_() for n, w in model.weights.items()}


def test_backprop_equals_autograd_through_many_steps(shown):
    x, y = shown
    model = cs.torch.build(supervised(), precision="64")
    w, inputs, labels = parameters(model), torch.tensor(x), torch.tensor(y)
    a = {"A": torch.zeros(4, 5, dtype=torch.float64), "B": torch.zeros(4, 4, dtype=torch.float64)}
    for _ in range(300):
        r_a, r_b = torch.tanh(a["A"]), torch.nn.functional.softplus(a["B"])
        a = {
            "A": a["A"] + 0.5 * (inputs @ w["retina->A"].T + r_b @ w["B->A recurrent"].T - a["A"]),
            "B": a["B"] + 0.5 * (r_a @ w["A->B"].T + r_b @ w["B->B recurrent"].T - a["B"]),
        }
    top = torch.nn.functional.softplus(a["B"]) @ w["B->IT"].T
    torch.nn.functional.cross_entropy(top, labels).backward()
    found, plain = model.updates(x, y), model.backprop_updates(x, y)
    for name, values in w.items():
        torch.testing.assert_close(found[name], -values.grad, atol=1e-10, rtol=1e-8)
        torch.testing.assert_close(plain[name], -values.grad, atol=1e-10, rtol=1e-8)


def test_backprop_equals_an_implicit_solve(shown):
    """(I − J)ᵀλ = g by numpy's own solver, presentation by presentation."""
    x, y = shown
    model = cs.torch.build(supervised(), precision="64")
    w = {n: v.detach().numpy() for n, v in model.weights.items()}
    found = {n: v.numpy() for n, v in model.updates(x, y).items()}
    expected = {n: np.zeros_like(v) for n, v in w.items()}
    for presentation, label in zip(x, y, strict=True):
        a, b = np.zeros(5), np.zeros(4)
        for _ in range(3000):
            r_a, r_b = np.tanh(a), F["softplus"][0](b)
            a = a + 0.3 * (w["retina->A"] @ presentation + w["B->A recurrent"] @ r_b - a)
            b = b + 0.3 * (w["A->B"] @ r_a + w["B->B recurrent"] @ r_b - b)
        r_a, r_b = np.tanh(a), F["softplus"][0](b)
        top = w["B->IT"] @ r_b
        c_top = np.eye(3)[label] - np.exp(top) / np.exp(top).sum()
        slope = np.concatenate([F["tanh"][1](a), F["softplus"][1](b)])
        around = np.block([[np.zeros((5, 5)), w["B->A recurrent"]], [w["A->B"], w["B->B recurrent"]]]) * slope
        sent = np.concatenate([np.zeros(5), w["B->IT"].T @ c_top]) * slope
        u = np.linalg.solve(np.eye(9) - around.T, sent)
        for name, post, pre in (
            ("retina->A", u[:5], presentation),
            ("A->B", u[5:], r_a),
            ("B->A recurrent", u[:5], r_b),
            ("B->B recurrent", u[5:], r_b),
            ("B->IT", c_top, r_b),
        ):
            expected[name] += np.outer(post, pre) / 4
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("word", WORDS)
def test_updates_are_means_over_presentations_and_float32_follows(word, shown):
    net = supervised(word, **WORDS[word])
    exact, single = cs.torch.build(net, precision="64"), cs.torch.build(net)
    whole, each = exact.updates(*shown), exact.updates(*shown, per_presentation=True)
    rough = single.updates(*shown)
    for name, change in whole.items():
        torch.testing.assert_close(each[name].mean(0), change, atol=1e-9, rtol=1e-7)
        torch.testing.assert_close(rough[name].double(), change, atol=1e-4, rtol=1e-3)


def test_windows_of_a_protocol_change_weights_as_in_time(shown):
    x, y = shown
    net = supervised()
    script = cs.Protocol(
        cs.Phase("settle", 900, drive={"retina": x}, nudge={"IT": y}),
        cs.Phase("learn", 20, drive={"retina": x}, nudge={"IT": y}, plasticity=True),
        batch=4,
        eta_per_s=0.005,
    )
    in_time, settled = cs.brian2.build(net), QuasiStatic(net, 0)
    in_time.run(script)
    settled.run(script)
    for p in net.driving:
        before = cs.brian2.build(net).weights.outward(p.name)
        first = in_time.weights.outward(p.name) - before
        second = settled.windows.own(p.name).detach().numpy() - before
        assert np.abs(first).max() > 0 and np.abs(first - second).max() < 1e-3 * np.abs(first).max()


def test_trains_and_keeps_what_it_learned(shown, tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 7))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    model = cs.torch.build(supervised())
    before = model.loss(x, y)
    start = model.state().weights["B->A recurrent"].copy()
    model.fit((x, y), epochs=30, batch_size=20)
    assert model.loss(x, y) < 0.85 * before
    assert np.abs(model.state().weights["B->A recurrent"] - start).max() > 1e-3
    cs.save(model, tmp_path / "looped.safetensors")
    again = cs.torch.load(tmp_path / "looped.safetensors")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    sim = cs.brian2.build(model.net, state=model)
    seen = sim.run(phase(x[:3], ms=1500)).rate
    np.testing.assert_allclose(seen.values, model.respond(x[:3]).rate.values, atol=1e-4)


def test_linear_units_with_lateral_projections_pass_credit_on(shown):
    net = cs.Network("lateral")
    for name, size in (("retina", 7), ("V1", 5), ("IT", 3)):
        net.population(name, size)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    drawn = 0.2 * np.random.default_rng(2).normal(size=(5, 5))
    net.lateral("V1", weights=drawn - np.diag(np.diag(drawn)), plasticity="decorrelation")
    net.objective("IT", "cross_entropy")
    assert_backends_agree(net.with_rule("backprop"), phase(*shown))


def wins(a=1.6, b=1.0, activation="logistic", size=5):
    net = cs.Network("winner")
    net.population("x", size)
    net.population("E", size, activation=activation, bias=False)
    net.bottom_up("x", "E", "identity")
    net.recurrent("E", "E", cs.Dense(a * np.eye(size) - b))
    return net


def test_of_several_equilibria_the_one_that_activity_leads_to():
    """Winner-take-all from rest: both backends crown the same unit, presentation by presentation."""
    x = np.random.default_rng(4).uniform(0, 1, size=(12, 5))
    net = wins(12.0, 7.0)
    script = cs.Protocol(cs.Phase("settle", 2500, drive={"x": x}), batch=12)
    in_time, settled = cs.brian2.build(net).run(script), QuasiStatic(net, 0).run(script)
    np.testing.assert_allclose(in_time.rate.values, settled.rate.values, atol=1e-6)
    first = in_time.rate.values[:, in_time.population.values == "E"].reshape(12, 5)
    assert ((first > 0.9).sum(1) == 1).all() and len(set(first.argmax(1))) > 2


def test_what_does_not_settle_is_named():
    oscillates = cs.Network("oscillates")
    oscillates.population("x", 2)
    oscillates.population("E", 2, activation="tanh")
    oscillates.bottom_up("x", "E", "identity")
    turning = np.array([[2.0, -3.0], [3.0, 2.0]])
    oscillates.recurrent("E", "E", cs.Dense(turning))
    with pytest.raises(cs.RunError, match="population E: activity does not settle in the loop of E, it s"):
        cs.torch.build(oscillates).respond(np.ones((1, 2)))
    grows = cs.Network("grows")
    grows.population("x", 3)
    grows.population("E", 3)
    grows.population("I", 3)
    grows.bottom_up("x", "E", "identity")
    grows.bottom_up("E", "I", cs.Dense(2 * np.eye(3)))
    grows.recurrent("I", "E", cs.Dense(np.eye(3)))
    with pytest.raises(cs.RunError, match="does not settle in the loop of E, I, it grows without end"):
        cs.torch.build(grows).respond(np.ones((1, 3)))


def test_credit_that_does_not_settle_is_named(shown):
    net = supervised("feedback_alignment", scale=20.0)
    model = cs.torch.build(net, precision="64")
    with pytest.raises(cs.RunError, match="credit does not settle in the loop of A, B, it grows"):
        model.updates(*shown)
    with pytest.raises(cs.RunError, match=r"population \w: credit does not settle in the loop of B, A|A, B"):
        QuasiStatic(net, 0).run(phase(*shown))


def test_tolerance_and_limit(shown):
    net = supervised()
    with pytest.raises(cs.RunError, match=r"^populations .*with settling=cs.torch.Settling\(limit=6\)"):
        cs.torch.build(net, settling=cs.torch.Settling(limit=3)).respond(shown[0])
    exact = cs.torch.build(net, precision="64").respond(shown[0]).rate.values
    rough = cs.torch.build(net, precision="64", settling=cs.torch.Settling(tolerance=1e-3)).respond(shown[0])
    assert 1e-8 < np.abs(rough.rate.values - exact).max() < 1e-1
    with pytest.raises(cs.DeclarationError, match="settling: tolerance must be a positive"):
        cs.torch.Settling(tolerance=0)


def test_second_derivatives_are_refused(shown):
    model = cs.torch.build(supervised(), precision="64")
    with pytest.raises(cs.RunError, match="second derivatives through a loop are not available"):
        torch.autograd.grad(model(*shown), list(model.weights.values()), create_graph=True)


def test_apical_coupling_is_refused():
    net = cs.Network("coupled")
    net.population("retina", 3)
    net.population("V1", 2, apical_coupling=0.1)
    net.bottom_up("retina", "V1")
    net.objective("V1", "squared_error")
    with pytest.raises(cs.BuildError, match="population V1: torch settles rates before credit"):
        cs.torch.build(net)


def test_kernels_around_a_loop(shown):
    net = cs.Network("kernels")
    for name, channels in (("retina", 1), ("A", 2), ("B", 3)):
        net.population(name, shape=(channels, 4, 4), activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "A", cs.Conv2d(3, padding=1), plasticity="backprop")
    net.bottom_up("A", "B", cs.Conv2d(3, padding=1), plasticity="backprop")
    net.bottom_up("B", "IT", plasticity="backprop")
    drawn = 0.15 * np.random.default_rng(0).normal(size=(2, 3, 3, 3))
    net.recurrent("B", "A", cs.Conv2d(3, padding=1, init=drawn), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    net, x = net.with_rule("backprop"), np.random.default_rng(1).normal(size=(2, 16))
    assert_backends_agree(net, phase(x, [0, 2], ms=900))
    model = cs.torch.build(net, precision="64")
    found, plain = model.updates(x, [0, 2]), model.backprop_updates(x, [0, 2])
    for name, change in found.items():
        torch.testing.assert_close(change, plain[name], atol=1e-12, rtol=1e-10)


def test_a_credit_network_teaches_a_network_with_a_loop(shown):
    net = cs.Network("taught")
    for name, size in (("retina", 7), ("A", 5), ("IT", 10)):
        net.population(name, size, activation="tanh" if name == "A" else "linear")
    net.bottom_up("retina", "A", plasticity="backprop")
    net.bottom_up("A", "IT", plasticity="backprop")
    net.recurrent("A", "A", WEAK, plasticity="backprop")
    net.objective("IT", "cross_entropy")
    assert_backends_agree(net.with_rule("tdca"), phase(*shown, ms=900))
