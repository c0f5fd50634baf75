"""What loops are known for: memory in a ring, a winner, reverberation between areas, attention as gain."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic

UNITS = 24
ANGLES = 2 * np.pi * np.arange(UNITS) / UNITS


def ring():
    """Neighbours excite, others inhibit: (−5 + 30 cos Δ) / N, at rest driven by −2."""
    net = cs.Network("ring attractor")
    net.population("cue", UNITS)
    net.population("E", UNITS, activation="logistic", bias=False)
    net.bottom_up("cue", "E", "identity")
    w = (-5 + 30 * np.cos(ANGLES[:, None] - ANGLES)) / UNITS
    net.recurrent("E", "E", cs.Dense(w))
    return net


def cue_then_delay(places, **settings):
    cued = 4 * np.exp(3 * (np.cos(ANGLES - 2 * np.pi * np.asarray(places)[:, None] / UNITS) - 1))
    rest = {"E": np.full(UNITS, -2.0)}
    return cs.Protocol(
        cs.Phase("cue", 100, drive={"cue": cued, **rest}),
        cs.Phase("delay", 1000, drive=rest, **settings),
        record=cs.Record(("rate",), populations=["E"], phase="delay"),
        batch=len(places),
    )


def bump(rates):
    """Length of the population vector relative to the sum of rates, and its place on the ring, in units."""
    z = rates @ np.exp(1j * ANGLES)
    return np.abs(z) / rates.sum(1), np.angle(z) * UNITS / (2 * np.pi) % UNITS


def test_a_ring_holds_a_bump_where_it_was_cued():
    sim, places = cs.brian2.build(ring()), [3.0, 11.5, 20.25]
    sharp, place = bump(sim.run(cue_then_delay(places)).rate.values.reshape(3, UNITS))
    assert (sharp > 0.7).all()
    np.testing.assert_allclose(place, places, atol=0.3)
    (point,) = sim.operating_points()
    assert (
        np.abs(point.eigenvalue_per_s.real) < 10
    ).all()  # along the ring nothing pulls it back: τ is 100/s


def test_without_its_loop_the_ring_forgets():
    seen = cs.brian2.build(ring()).run(cue_then_delay([11.5], cut=["E->E recurrent"])).rate.values
    assert np.ptp(seen) < 1e-6


def test_the_winner_takes_all():
    """Two units that inhibit each other through a loop: a small advantage decides, and then stays."""
    net = cs.Network("winner")
    net.population("x", 3)
    net.population("E", 3, activation="logistic", bias=False)
    net.bottom_up("x", "E", "identity")
    net.recurrent("E", "E", cs.Dense(14 * np.eye(3) - 8))
    shown = np.array([[0.5, 0.45, 0.4], [0.1, 0.0, 0.2]])
    script = cs.Protocol(
        cs.Phase("show", 800, drive={"x": shown}),
        cs.Phase("reversed", 800, drive={"x": shown[:, ::-1].copy()}),
        record=cs.Record(("rate",), populations=["E"], every_ms=800.0),
        batch=2,
    )
    rates = cs.brian2.build(net).run(script).rate.transpose("presentation", "time_bin", "neuroid").values
    assert rates.argmax(2).tolist() == [[0, 0], [2, 2]]
    assert (rates.max(2) > 0.95).all() and (np.sort(rates, 2)[..., 1] < 0.05).all()


@pytest.mark.parametrize("back", [0.0, 0.4, 0.8])
def test_activity_reverberates_between_two_areas(back):
    """A drives B and B drives A: linear units settle at x/(1 − back), and slow down by as much."""
    net = cs.Network("two areas")
    for name in ("x", "A", "B"):
        net.population(name, 2, bias=False)
    net.bottom_up("x", "A", "identity")
    net.bottom_up("A", "B", "identity")
    net.top_down("B", "A", effect="drive", connector=cs.Dense(back * np.eye(2)))
    sim = cs.brian2.build(net)
    seen = sim.run(cs.Protocol(cs.Phase("show", 1500, drive={"x": np.array([[1.0, -2.0]])})))
    np.testing.assert_allclose(seen.rate.values.ravel()[2:4], np.array([1, -2]) / (1 - back), atol=1e-6)
    (point,) = sim.operating_points()
    np.testing.assert_allclose(point.eigenvalue_per_s.real, -100 * (1 - np.sqrt(back)), atol=1e-6)


def attended(net_gain):
    net = cs.Network("attention")
    net.population("retina", 4)
    net.population("FEF", 3)  # a second source: where to attend
    net.population("V4", 3, activation="logistic")
    net.bottom_up("retina", "V4", cs.Dense(init="xavier"))
    net.top_down("FEF", "V4", effect="gain", connector=cs.Dense(net_gain * np.eye(3)))
    return net


def test_attention_multiplies_responses_and_leaves_their_tuning():
    images = np.random.default_rng(0).normal(size=(20, 4))
    net = attended(0.5)
    sim, settled = cs.brian2.build(net), QuasiStatic(net, 0)

    def rates(cue, **settings):
        shown = {"retina": images, "FEF": np.array(cue, dtype=float)}
        script = cs.Protocol(cs.Phase("show", 400, drive=shown, **settings), batch=20)
        recordings = [sim.run(script), settled.run(script)]
        found = [seen.rate.values[:, seen.population.values == "V4"].reshape(20, 3) for seen in recordings]
        np.testing.assert_allclose(*found, atol=1e-6)
        return found[0]

    ignored, one = rates([0, 0, 0]), rates([0, 2, 0])
    np.testing.assert_allclose(one, ignored * [1, 2, 1], atol=1e-6)  # 1 + 0.5 · 2
    np.testing.assert_allclose(rates([0, -9, 0]), ignored * [1, 0, 1], atol=1e-6)  # never below 0
    np.testing.assert_allclose(
        rates([0, 2, 0], scale={"FEF->V4 gain": 0.5}), ignored * [1, 1.5, 1], atol=1e-6
    )
    np.testing.assert_allclose(rates([0, 2, 0], cut=["FEF->V4 gain"]), ignored, atol=1e-6)


def test_what_gain_multiplies_learns_in_proportion():
    """u = c · max(0, 1 + g) f′(a): in time and on torch, a silenced gain learns nothing."""
    net = attended(0.5)
    net.projections["retina->V4"] = cs.Projection(
        "bottom_up", "retina", "V4", cs.Dense(), None, cs.Backprop()
    )
    net.objective("V4", "squared_error")
    shown = {"retina": np.ones((1, 4)), "FEF": np.array([0.0, 2.0, -9.0])}
    nudge = {"V4": np.array([[2.0, 2.0, 2.0]])}
    script = cs.Protocol(
        cs.Phase("settle", 400, drive=shown, nudge=nudge),
        cs.Phase("learn", 10, drive=shown, nudge=nudge, plasticity=True),
        eta_per_s=1e-3,
    )
    sim = cs.brian2.build(net)
    before = sim.weights.outward("retina->V4")
    sim.run(script)
    model = cs.torch.build(net, precision="64")
    settled = model.updates({"retina": shown["retina"], "FEF": shown["FEF"][None]}, nudge["V4"])
    change = (sim.weights.outward("retina->V4") - before) / (1e-3 * 0.01)
    np.testing.assert_allclose(change, settled["retina->V4"].numpy(), rtol=1e-3, atol=1e-7)
    assert np.abs(change[2]).max() < 1e-9 < np.abs(change[1]).max()
