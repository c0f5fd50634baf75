"""Which loops are refused, when, and why; and the eigenvalues that are reported of the others."""

import logging

import numpy as np
import pytest
from loops import F, two_areas

import cortex_sim as cs

RNG = np.random.default_rng(5)


def ring(w, activation, tau_ms=10.0, lateral=None, learning=None):
    """One population that drives itself."""
    net = cs.Network("ring")
    net.population("x", 2)
    net.population("E", len(w), activation=activation, tau_ms=tau_ms)
    net.bottom_up("x", "E")
    net.recurrent("E", "E", cs.Dense(w), plasticity=learning)
    if lateral is not None:
        net.lateral("E", weights=lateral)
    return net


def drive(net, ms, values, every_ms=None, **settings):
    record = cs.Record(("rate", "drive"), every_ms=every_ms)
    shown = np.atleast_2d(values)
    return cs.Protocol(cs.Phase("show", ms, drive={"E": shown}, **settings), record=record)


def test_linear_units_are_refused_above_an_eigenvalue_of_one():
    w = RNG.normal(size=(4, 4))
    w = w / np.linalg.eigvals(w).real.max()
    cs.brian2.build(ring(0.99 * w, "linear"), dt_ms=0.1)
    says = (
        r"projection E->E recurrent: its recurrence is unstable, activity grows at 1/s and Linear has no "
        'bound; use smaller weights, or a bounded activation such as "tanh"'
    )
    with pytest.raises(cs.BuildError, match=says):  # (1.01 - 1) / 10 ms
        cs.brian2.build(ring(1.01 * w, "linear"), dt_ms=0.1)
    for bounded in ("tanh", "logistic"):
        cs.brian2.build(ring(20 * w, bounded), dt_ms=0.1)


def test_an_integrator_is_kept():
    sim = cs.brian2.build(ring(np.eye(3), "linear"))
    seen = sim.run(drive(sim.net, 20, [1.0, 2.0, -1.0]))
    np.testing.assert_allclose(seen.rate.values[0, -3:].ravel(), [2.0, 4.0, -2.0], atol=1e-12)  # 20 ms / τ


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "softplus"])
def test_units_without_bound_are_refused_only_where_they_can_run_away(activation):
    """Winner-take-all: 1.2 I − 0.5 11ᵀ has eigenvalues above 1, but one winner alone has 0.7."""
    wins = 1.2 * np.eye(5) - 0.5
    sim = cs.brian2.build(ring(wins, activation))
    seen = sim.run(drive(sim.net, 600, [1.0, 0.9, 1.2, 0.3, 0.2]))
    assert np.isfinite(seen.rate).all() and np.abs(seen.rate).max() < 10
    with pytest.raises(cs.BuildError, match="is unstable, activity grows at"):
        cs.brian2.build(ring(1.6 * np.eye(5) - 0.5, activation))  # a winner alone has 1.1


def test_a_direction_that_grows_is_found_in_random_networks():
    """Against long runs of the equations from many states, far out."""
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        w = rng.normal(size=(6, 6)) * (0.9 if seed % 2 else 0.5)
        try:
            cs.brian2.build(ring(w, "relu"), dt_ms=0.5)
            refused = False
        except cs.BuildError:
            refused = True
        a = 1e3 * rng.normal(size=(200, 6))
        for _ in range(8000):
            a = np.clip(a + 0.05 * (F["relu"][0](a) @ w.T - a), -1e8, 1e8)
        assert refused == bool(np.abs(a).max() > 1e4), seed
        found.append(refused)
    assert 2 < sum(found) < 10


def test_a_loop_through_a_bounded_population_is_kept():
    net = two_areas(first="tanh", second="linear", lateral=False)
    w = {n: 50 * v for n, v in net.initial_weights(0).items()}
    sim = cs.brian2.build(net)
    sim.weights.overwrite("A->B", w["A->B"])
    np.testing.assert_array_equal(sim.weights.outward("A->B"), w["A->B"])
    steep = cs.Network("steep")
    for name, kind in (("x", "linear"), ("A", "tanh"), ("B", "linear")):
        steep.population(name, 3, activation=kind)
    steep.bottom_up("x", "A")
    steep.bottom_up("A", "B", cs.Dense(9 * np.eye(3)))
    steep.recurrent("B", "A", cs.Dense(9 * np.eye(3)))
    assert cs.brian2.build(steep).weights.outward("B->A recurrent").max() == 9


@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
def test_a_step_too_long_is_refused_with_one_that_works(method):
    import re

    w = -6.0 * np.eye(3)
    with pytest.raises(cs.BuildError, match="its recurrence is unstable at dt_ms=8; use dt_ms below") as says:
        cs.brian2.build(ring(w, "linear"), dt_ms=8.0, method=method)
    longest = float(re.search(r"below ([\d.]+)", str(says.value))[1])
    expected = 20 / 7 if method == "euler" else -10 * np.log(1 - 2 / 7)
    assert longest == pytest.approx(expected, rel=1e-3)
    for factor, settles in ((0.98, True), (1.02, False)):
        step = longest * factor
        h = step / 10 if method == "euler" else 1 - np.exp(-step / 10)
        assert (abs(1 - 7 * h) < 1) == settles
    cs.brian2.build(ring(w, "linear"), dt_ms=0.98 * longest, method=method)
    with pytest.raises(cs.BuildError, match="unstable"):
        cs.brian2.build(ring(w, "linear"), dt_ms=1.02 * longest, method=method)


def test_weights_that_learn_to_run_away_are_named_with_advice_that_fits():
    sim = cs.brian2.build(ring(0.9 * np.eye(3), "linear", learning="hebbian"))
    script = drive(sim.net, 60, [1.0, 1.0, 1.0], plasticity={"E->E recurrent": 0.5})
    with pytest.raises(
        cs.RunError, match=r"phase show of trial 0: .* use a smaller eta_per_s, regulariser=Decay"
    ):
        sim.run(script)


def test_the_eigenvalue_at_the_operating_point(caplog):
    w = 2.0 * np.eye(3) - 0.3
    sim = cs.brian2.build(ring(w, "tanh", tau_ms=8.0))
    with pytest.raises(cs.RunError, match="nothing has been run, so there is no operating point"):
        sim.operating_points()
    sim.run(cs.Protocol(cs.Phase("rest", 1)))
    (resting,) = sim.operating_points()
    assert resting.populations == ("E",) and not resting.settles
    np.testing.assert_allclose(resting.eigenvalue_per_s, 125 * (2.0 - 1))
    with caplog.at_level(logging.INFO):
        seen = sim.run(drive(sim.net, 400, [1.0, 0.8, -0.5]))
    (point,) = sim.operating_points()
    a = seen.drive.values[0, -3:].ravel()
    expected = np.linalg.eigvals((w * F["tanh"][1](a) - np.eye(3)) / 8e-3)
    np.testing.assert_allclose(point.eigenvalue_per_s, expected[expected.real.argmax()])
    assert point.settles and point.step_follows
    assert "loop of E: leading eigenvalue" in caplog.text and "too long" not in caplog.text


def test_the_eigenvalue_with_gain_is_that_of_small_changes():
    """Against differences of the equations written out."""
    net = two_areas(gain=True)
    sim = cs.brian2.build(net, dt_ms=0.5)
    x = np.random.default_rng(1).normal(size=(1, 7))
    sim.run(cs.Protocol(cs.Phase("show", 300, drive={"retina": x}, scale={"B->A recurrent": 0.5})))
    w = {name: sim.weights.outward(name) for name in sim.weights.matrix}
    views = {name: sim.built.units[name].view for name in "AB"}
    state = np.concatenate([views["A"]["a"][0], views["B"]["a"][0], views["A"]["g"][0]])

    def speed(s):
        a, b, g = s[:5], s[5:8], s[8:]
        r_a, r_b = np.maximum(0, 1 + g) * np.tanh(a), F["softplus"][0](b)
        up = w["retina->A"] @ x[0] + 0.5 * w["B->A recurrent"] @ r_b + (w["A->A recurrent"] - w["A->A"]) @ r_a
        return np.concatenate([(up - a) / 7, (w["A->B"] @ r_a - b) / 13, (w["B->A gain"] @ r_b - g) / 7])

    columns = [(speed(state + 1e-6 * e) - speed(state - 1e-6 * e)) / 2e-6 for e in np.eye(13)]
    values = 1e3 * np.linalg.eigvals(np.array(columns).T)
    (point,) = sim.operating_points()
    # two eigenvalues may be conjugates: the real part is what both have
    np.testing.assert_allclose(point.eigenvalue_per_s.real, values.real.max(), rtol=1e-6)


def test_a_step_that_makes_bounded_activity_alternate_is_said(caplog):
    sim = cs.brian2.build(ring(-30 * np.eye(3), "tanh"), dt_ms=2.0)
    with caplog.at_level(logging.WARNING):
        seen = sim.run(drive(sim.net, 200, [0.1, 0.2, 0.3], every_ms=2.0))
    late = seen.drive.values[0, -3:, -6:]
    assert (np.sign(np.diff(late)) == -np.sign(np.roll(np.diff(late), 1, axis=1)))[:, 1:].all()
    assert "loop of E: dt_ms=2 is too long at the operating point" in caplog.text
