"""Unrolled steps: against own Euler loops, brian2 in time, plain autograd, and the recursion of credit."""

import numpy as np
import pytest
import torch
from loops import two_areas
from unrolled import KINDS, autograd, changes, courses, numbers, three_areas

import cortex_sim as cs

DT = 2.0
WORDS: dict[str, dict[str, float]] = {
    "backprop": {},
    "feedback_alignment": {"scale": 0.7},
    "sign_symmetric": {},
    "kolen_pollack": {"scale": 0.7},
    "gait_prop": {"damping": 2.0},
}


def built(net, steps, dt_ms=DT, seed=1):
    model = cs.torch.build(net, seed, precision="64", settling=cs.torch.Unrolled(steps, dt_ms))
    rng = np.random.default_rng(seed)
    model.set_biases({n: 0.3 * rng.normal(size=v.shape) for n, v in model.biases.items()})
    return model


@pytest.mark.parametrize("seed", range(3))
def test_equals_an_own_euler_loop_at_every_step(seed):
    rng = np.random.default_rng(seed)
    sizes = tuple(rng.permutation([11, 7, 5, 3]))
    bins, each, count = *rng.integers(2, 5, size=2), 6
    model = built(three_areas(sizes), bins * each, seed=seed)
    x = rng.normal(size=(count, bins, sizes[0]))
    w, b, _ = numbers(model)
    seen = courses(model.net, w, b, np.repeat(x, each, axis=1).swapaxes(0, 1), DT)
    found = model.respond(x)
    assert dict(found.sizes) == {"presentation": count, "neuroid": sum(sizes), "time_bin": bins * each}
    np.testing.assert_allclose(found.time_bin_end, DT * np.arange(1, bins * each + 1))
    for k, (before, a, r) in enumerate(seen):
        here = found.isel(time_bin=k)
        for name in KINDS:
            of = here.population.values == name
            np.testing.assert_allclose(here.rate.values[:, of], r[name], atol=1e-12)
            np.testing.assert_allclose(here.drive.values[:, of], a[name], atol=1e-12)
        np.testing.assert_array_equal(
            here.rate.values[:, here.population.values == "retina"], before["retina"]
        )
    top = np.stack([r["IT"] for _, _, r in seen], axis=1)
    np.testing.assert_allclose(model.predict(x), top, atol=1e-12)
    np.testing.assert_allclose(model(x).detach(), top, atol=1e-12)


@pytest.mark.parametrize("gain", [False, True])
def test_equals_brian2_in_time_at_every_step(gain):
    net = two_areas(first="logistic", gain=gain, lateral=False)
    drawn = 0.3 * np.random.default_rng(3).normal(size=(5, 5))
    net.lateral("A", weights=drawn - np.diag(np.diag(drawn)))
    x = np.random.default_rng(4).normal(size=(3, 12, 7))
    shown = cs.Phase("show", 24, drive={"retina": cs.TimeSeries(x, bin_ms=2)})
    script = cs.Protocol(shown, batch=3, record=cs.Record(("rate", "drive"), every_ms=1))
    in_time = cs.brian2.build(net, dt_ms=1.0).run(script)
    unrolled = cs.torch.build(net, precision="64", settling=cs.torch.Unrolled(24)).respond(x)
    for variable in ("rate", "drive"):
        np.testing.assert_allclose(unrolled[variable], in_time[variable], atol=1e-12)
    np.testing.assert_array_equal(unrolled.time_bin_end, in_time.time_bin_end)


def test_long_unrolling_ends_at_the_equilibrium():
    net = three_areas()
    x = np.random.default_rng(2).normal(size=(4, 7))
    found = built(net, 400).predict(x)[:, -1]
    settled = cs.torch.build(net, 1, precision="64")
    settled.set_biases(built(net, 1).state().biases)
    np.testing.assert_allclose(found, settled.predict(x), atol=1e-9)


def test_a_step_of_tau_is_a_discrete_recurrent_network():
    net = cs.Network("discrete")
    net.population("x", 3)
    net.population("h", 5, activation="tanh")
    net.bottom_up("x", "h")
    net.recurrent("h", "h")
    model = cs.torch.build(net, precision="64", settling=cs.torch.Unrolled(6, dt_ms=10))
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    u, v = (model.weights[n].detach().numpy() for n in ("x->h", "h->h recurrent"))
    h = np.zeros((2, 5))
    for k in range(6):
        h = np.tanh(x[:, k] @ u.T + h @ v.T)
        np.testing.assert_allclose(model.predict(x)[:, k], h, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bins", [1, 3])
def test_changes_are_plain_autograds(seed, bins):
    rng = np.random.default_rng(seed)
    sizes, each, count = tuple(rng.permutation([11, 7, 5, 3])), int(rng.integers(3, 6)), 4
    model = built(three_areas(sizes), bins * each, seed=seed)
    x = rng.normal(size=(count, bins * each, sizes[0]))
    y = rng.integers(0, sizes[-1], size=(count, bins))
    w, b, _ = numbers(model)
    expected, loss = autograd(model.net, w, b, x.swapaxes(0, 1), y, DT, each)
    if bins == 3 and sizes[-1] == 3:  # whole numbers for three units or three bins
        with pytest.raises(cs.DataError, match="or labels in 3 time bins; give y.astype"):
            model.loss(x, y)
    given = y[:, 0] if bins == 1 else np.eye(sizes[-1])[y]
    for found in (model.updates(x, given, biases=True), model.backprop_updates(x, given, biases=True)):
        assert found.keys() == expected.keys()
        for name, change in found.items():
            np.testing.assert_allclose(change, expected[name], atol=1e-10, err_msg=name)
    assert float(model.loss(x, given)) == pytest.approx(loss, abs=1e-12)
    each_one = model.updates(x, given, per_presentation=True)
    for name, change in each_one.items():
        np.testing.assert_allclose(change.mean(0), expected[name], atol=1e-10)


@pytest.mark.parametrize("truncate", [1, 3, 5, 12, 40])
def test_truncated_credit_is_that_of_detached_segments(truncate):
    rng = np.random.default_rng(truncate)
    net = three_areas()
    steps = cs.torch.Unrolled(12, DT, truncate=truncate)
    model = cs.torch.build(net, 1, precision="64", settling=steps)
    x, y = rng.normal(size=(5, 12, 7)), rng.integers(0, 3, size=(5, 2))
    w, b, _ = numbers(model)
    expected, loss = autograd(model.net, w, b, x.swapaxes(0, 1), y, DT, 6, truncate)
    whole = cs.torch.build(net, 1, precision="64", settling=cs.torch.Unrolled(12, DT))
    np.testing.assert_array_equal(model.predict(x), whole.predict(x))
    for found in (model.updates(x, y, biases=True), model.backprop_updates(x, y, biases=True)):
        for name, change in found.items():
            np.testing.assert_allclose(change, expected[name], atol=1e-12, err_msg=name)
    reaches = bool(model.credits(x, y).get("A", torch.zeros(5, 1, 5))[:, 0].any())
    assert reaches == (truncate > 5)  # the first error comes after the sixth step
    assert float(model.loss(x, y)) == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize(("word", "skip"), [(word, False) for word in WORDS] + [("feedback_alignment", True)])
def test_credit_runs_back_through_the_steps_by_each_feedback(word, skip):
    net = three_areas(word=word, skip=skip, **WORDS[word])
    model = built(net, 8)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(5, 4, 7)), rng.integers(0, 3, size=(5, 2))
    goals = np.eye(3)[y]

    def c_top(k, r):
        if (k + 1) % 4:
            return None
        p = np.exp(r - r.max(1, keepdims=True))
        return (goals[:, k // 4] - p / p.sum(1, keepdims=True)) / 2  # the mean of two bins

    w, b, down = numbers(model)
    dw, db, c = changes(model.net, w, b, down, np.repeat(x, 2, axis=1).swapaxes(0, 1), DT, c_top)
    found, credits = model.updates(x, y, biases=True), model.credits(x, y)
    for name, expected in {**dw, **db}.items():
        np.testing.assert_allclose(found[name], expected, atol=1e-12, err_msg=name)
    for name, expected in c.items():
        np.testing.assert_allclose(credits[name], expected, atol=1e-12, err_msg=name)
    recorded = model.respond(x, y)
    at = recorded.credit.values[:, recorded.population.values == "A"]
    np.testing.assert_allclose(at, c["A"].swapaxes(1, 2), atol=1e-12)
    if word == "kolen_pollack":  # B learns what W learns
        for p in model.net.top_downs:
            np.testing.assert_allclose(found[p.name].T, dw[p.reverse_name], atol=1e-12)


def test_lateral_inhibition_and_gain_are_differentiated_by_autograd_alone():
    """As at equilibrium, they carry no credit; backpropagation's own update goes through them."""
    net = three_areas()
    net.lateral("IT", weights=0.2 * (np.ones((3, 3)) - np.eye(3)))
    model = built(net, 6)
    x, y = np.random.default_rng(0).normal(size=(4, 7)), np.array([0, 2, 1, 1])
    w = model.weights["A->B"]
    exact = model.backprop_updates(x, y)["A->B"]
    before = w.detach().clone()
    step = 1e-6
    losses = []
    for sign in (1, -1):
        with torch.no_grad():
            w.copy_(before)
            w[1, 2] += sign * step
        losses.append(float(model.loss(x, y)))
    assert float(exact[1, 2]) == pytest.approx(-(losses[0] - losses[1]) / (2 * step), abs=1e-8)


def test_convolutions_and_held_images():
    net = cs.Network("images")
    net.population("retina", shape=(1, 6, 6))
    net.population("V1", shape=(2, 4, 4), activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(3), plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    x = np.random.default_rng(0).normal(size=(5, 1, 6, 6))
    model = cs.torch.build(net.with_rule("backprop"), precision="64", settling=cs.torch.Unrolled(4))
    movie = np.repeat(x[:, None], 2, axis=1)
    assert movie.shape == (5, 2, 1, 6, 6)
    np.testing.assert_allclose(model.predict(movie), model.predict(x), atol=1e-14)
    np.testing.assert_allclose(model.predict(movie.reshape(5, 2, 36)), model.predict(x), atol=1e-14)
    held, shown = (model.updates(z, [0, 1, 2, 0, 1]) for z in (x, movie))
    np.testing.assert_allclose(held["retina->V1"], shown["retina->V1"], atol=1e-14)
