"""Cutting, scaling, delaying, silencing, noise: what each does to what arrives, from which step on."""

import numpy as np
import pytest
from networks import chain
from timed import NEAR, by_population, protocol, shown

import cortex_sim as cs


def run(
    engine="batched",
    seed=0,
    every_ms=2.0,
    ms=200.0,
    word="gait_prop",
    count=1,
    y=True,
    build=None,
    **settings,
):
    net = chain(init=NEAR).with_rule(word)
    x, labels = shown(net, count)
    sim = cs.brian2.build(net, seed=seed, engine=engine, dt_ms=2.0, **(build or {}))
    script = protocol(net, x, labels if y else None, ms=ms, every_ms=every_ms, **settings)
    seen = sim.run(script)
    return {v: by_population(net, seen, v) for v in ("rate", "credit", "drive")}


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_a_cut_top_down_projection_brings_nothing_from_that_step_on(engine):
    net = chain(init=NEAR).with_rule("gait_prop")
    x, y = shown(net, 1)
    drive, nudge = {"retina": x}, {"IT": y}
    script = cs.Protocol(
        cs.Phase("whole", 400, drive=drive, nudge=nudge),
        cs.Phase("cut", 20, drive=drive, nudge=nudge, cut=["IT->V2"]),
        cs.Phase("mended", 20, drive=drive, nudge=nudge),
        record=cs.Record(("rate", "credit"), every_ms=2.0),
    )
    seen = cs.brian2.build(net, engine=engine, dt_ms=2.0).run(script)
    credit, rate = by_population(net, seen, "credit"), by_population(net, seen, "rate")
    whole, cut = credit["V2"][0, :200], credit["V2"][0, 200:210]
    assert np.abs(whole[-1]).max() > 1e-3
    assert not cut.any()
    assert (
        np.abs(credit["V1"][0, 209]).max() < np.abs(credit["V1"][0, 199]).max()
    )  # decays, for nothing arrives
    assert 0 < np.abs(credit["V2"][0, 210]).max() < np.abs(whole[-1]).max()  # starts again, from zero
    np.testing.assert_allclose(
        rate["IT"][0, 209], rate["IT"][0, 199], atol=1e-9
    )  # rates do not receive credit


def test_a_cut_bottom_up_projection_adds_no_drive():
    seen = run(ms=400.0, cut=["V1->V2"])
    assert not seen["rate"]["V2"].any()
    assert np.abs(seen["rate"]["V1"]).max() > 0.01


def test_silencing_the_error_population_leaves_the_compartment_to_decay():
    """tau_c dc/dt = -alpha c: another manipulation than a cut."""
    net = chain(init=NEAR).with_rule("gait_prop", damping=0.1)
    x, y = shown(net, 1)
    phases = [
        cs.Phase("whole", 400, drive={"retina": x}, nudge={"IT": y}),
        cs.Phase("silent", 100, drive={"retina": x}, nudge={"IT": y}, silence_error=["IT->V2"]),
    ]
    script = cs.Protocol(*phases, record=cs.Record(("rate", "credit"), every_ms=2.0))
    credit = by_population(net, cs.brian2.build(net, dt_ms=2.0).run(script), "credit")["V2"][0]
    steps = np.arange(1, 51)[:, None]
    np.testing.assert_allclose(credit[200:], credit[199] * (1 - 0.1 * 2 / 10) ** steps, rtol=1e-9)
    assert np.abs(credit[-1]).max() > 0.1 * np.abs(credit[199]).max()


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_scaling_acts_on_what_is_delivered(engine):
    plain = run(engine, ms=800.0, every_ms=None)
    scaled = run(engine, ms=800.0, every_ms=None, scale={"IT->V2": 0.5})
    np.testing.assert_allclose(scaled["credit"]["V2"], 0.5 * plain["credit"]["V2"], rtol=1e-9)
    np.testing.assert_allclose(scaled["credit"]["V1"], 0.5 * plain["credit"]["V1"], rtol=1e-6)


@pytest.mark.parametrize("engine", ["batched", "synapses"])
@pytest.mark.parametrize("name, variable, where", [("IT->V2", "credit", "V2"), ("V1->V2", "drive", "V2")])
def test_delay_shifts_what_is_delivered(engine, name, variable, where):
    plain, late = run(engine), run(engine, delay_ms={name: 30.0})
    shifted = late[variable][where][0]
    assert not shifted[:15].any()
    np.testing.assert_allclose(shifted[15:], plain[variable][where][0][:-15], atol=1e-12)


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_noise_on_a_projection_has_its_size_and_mean_zero(engine):
    noisy = run(engine, ms=4000.0, noise={"IT->V2": 0.3})["credit"]["V2"][0, 500:]
    plain = run(engine, ms=4000.0)["credit"]["V2"][0, 500:]
    off = noisy - plain
    assert off.std() == pytest.approx(0.3, rel=0.05)
    assert abs(off.mean()) < 0.02


def test_silenced_units_neither_fire_nor_send_credit():
    seen = run(ms=800.0, every_ms=None, silence=["V2/3", "V2/5"])
    plain = run(ms=800.0, every_ms=None)
    rates = seen["rate"]["V2"][0]
    assert not rates[[3, 5]].any() and np.abs(np.delete(rates, [3, 5])).min() > 0
    net = chain(init=NEAR).with_rule("gait_prop")
    w = cs.brian2.build(net).weights.outward("V1->V2")
    gain = 1 - np.tanh(seen["drive"]["V2"][0]) ** 2
    u = seen["credit"]["V2"][0] * gain
    u[[3, 5]] = 0
    by_hand = np.linalg.solve(w.T @ w + 1e-3 * np.eye(11), w.T @ u)
    np.testing.assert_allclose(seen["credit"]["V1"][0], by_hand, atol=1e-9)
    assert np.abs(seen["credit"]["V1"] - plain["credit"]["V1"]).max() > 1e-3


def test_a_silenced_population_is_silent():
    assert not run(silence=["V1"])["rate"]["V1"].any()


def test_drive_onto_a_hidden_population_adds_to_its_input():
    net = chain(init=NEAR).with_rule("gait_prop")
    x, _ = shown(net, 1)
    current = np.linspace(-1, 1, 7)
    script = cs.Protocol(cs.Phase("both", 800, drive={"retina": x, "V2": current}))
    seen = by_population(net, cs.brian2.build(net, dt_ms=2.0).run(script), "rate")
    w = {p.name: cs.brian2.build(net).weights.outward(p.name) for p in net.bottom_ups}
    v1 = np.tanh(w["retina->V1"] @ x[0])
    np.testing.assert_allclose(seen["V2"][0], np.tanh(w["V1->V2"] @ v1 + current), atol=1e-9)


def test_a_time_series_is_followed_bin_by_bin():
    net = chain(init=NEAR).with_rule("gait_prop")
    values = np.random.default_rng(0).normal(size=(3, 13))
    script = cs.Protocol(
        cs.Phase("film", 40, drive={"retina": cs.TimeSeries(values, 10.0)}),
        record=cs.Record(("rate",), every_ms=2.0),
    )
    seen = by_population(net, cs.brian2.build(net, dt_ms=2.0).run(script), "rate")["retina"][0]
    np.testing.assert_array_equal(seen, values[np.minimum(np.arange(20) // 5, 2)])


def test_spontaneous_rates_are_white_whatever_drives_them():
    net = chain(init=NEAR).with_rule("gait_prop_learned")
    x, _ = shown(net, 1)
    script = cs.Protocol(
        cs.Phase("sleep", 4000, drive={"retina": x}, spontaneous={"V1": 0.5}),
        record=cs.Record(("rate",), every_ms=2.0),
    )
    rates = by_population(net, cs.brian2.build(net, dt_ms=2.0).run(script), "rate")["V1"][0]
    assert rates.std() == pytest.approx(0.5, rel=0.02)
    assert abs(np.corrcoef(rates[1:].ravel(), rates[:-1].ravel())[0, 1]) < 0.03


@pytest.mark.slow
def test_membrane_noise_gives_the_drive_its_spread():
    net = chain("linear", init=NEAR).with_rule("gait_prop")
    script = cs.Protocol(cs.Phase("rest", 10000), record=cs.Record(("drive",), every_ms=20.0))
    sim = cs.brian2.build(net, dt_ms=0.5, noise={"V1": 0.4})
    drives = by_population(net, sim.run(script), "drive")
    assert drives["V1"][0, 5:].std() == pytest.approx(0.4, rel=0.05)
    assert not drives["retina"].any() and drives["V2"].std() > 0


def test_a_nudge_where_there_is_no_objective_pulls_towards_the_goal():
    net = chain(init=NEAR).with_rule("gait_prop")
    x, _ = shown(net, 1)
    goal = np.full(7, 0.3)
    script = cs.Protocol(
        cs.Phase("taught", 800, drive={"retina": x}, nudge={"V2": cs.Nudge(goal, 2.0)}),
        record=cs.Record(("rate", "credit")),
    )
    seen = cs.brian2.build(net, dt_ms=2.0).run(script)
    rate, credit = by_population(net, seen, "rate"), by_population(net, seen, "credit")
    np.testing.assert_allclose(credit["V2"][0], 2.0 * (0.3 - rate["V2"][0]), atol=1e-9)
    assert np.abs(credit["V1"]).max() > 1e-3 and not credit["IT"].any()
