"""Populations of a credit network under protocols: recorded, silenced, cut and driven, on every engine."""

import numpy as np
import pytest
from networks import conv, shown
from taught import by_name, script, taught
from timed import by_population

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic

HALF = ["TDCA V2/0", "TDCA V2/3"]

#: Settings of the phase that is recorded, by what they do.
MANIPULATIONS = {
    "nothing": {},
    "silence the channels of V1": {"silence": ["TDCA V1"]},
    "silence some channels": {"silence": HALF},
    "silence the second layer": {"silence": ["TDCA deep"]},
    "silence the base": {"silence": ["TDCA base"]},
    "silence the top": {"silence": ["TDCA IT"]},
    "cut the broadcast": {"cut": ["TDCA base->TDCA V1"]},
    "cut the trained contribution": {"cut": ["TDCA deep->TDCA V1", "TDCA context->TDCA"]},
    "scale within": {"scale": {"TDCA deep->TDCA V2": 2.5, "TDCA base->TDCA IT": 0.5}},
    "drive the channels": {"drive": {"TDCA V1": 0.3}},
    "drive every part": {
        "drive": {"TDCA context": 0.2, "TDCA base": -0.4, "TDCA deep": 0.1, "TDCA IT": 0.7},
        "silence": HALF,
        "strength": 0.25,
    },
    "drive without a nudge": {"drive": {"TDCA V1": 0.3, "TDCA base": 0.4}, "nudge": {}},
}
NO_LAYERS = {
    "silence the channels of V1": {"silence": ["TDCA V1"]},
    "silence the base": {"silence": ["TDCA base"]},
    "cut the way to V1": {"cut": ["TDCA base->TDCA V1"], "scale": {"TDCA base->TDCA IT": 0.5}},
    "drive": {"drive": {"TDCA V1": 0.3, "TDCA base": 0.4}, "silence": HALF, "strength": 0.25},
    "drive without a nudge": {"drive": {"TDCA V1": 0.3, "TDCA base": 0.4}, "nudge": {}},
}


# -- the equations, step by step ---------------------------------------------------------------------------


def rms(x):
    return np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-12)


def euler(net, x, y, dt_ms, steps, drive=None, silence=(), cut=(), scale=None, strength=1.0):
    """Rates of the credit network after each step, from its equations: dense form, context "error"."""
    p, w = net.teacher.parameters, net.initial_weights(0)
    drive, scale = drive or {}, scale or {}
    credit, below = net.credit_populations, ["V1", "V2", "IT"]
    size = {name: population.size for name, population in {**net.populations, **credit}.items()}
    a = {name: np.zeros((len(x), size[name])) for name in (*below, *credit)}
    e = {name: np.zeros((len(x), size[name])) for name in ("TDCA V1", "TDCA V2")}
    alive = {name: np.ones(size[name]) for name in credit}
    for name in silence:
        population, _, unit = name.partition("/")
        alive[population][int(unit) if unit else slice(None)] = 0.0
    weights = {
        "TDCA context->TDCA": p["context"],
        "TDCA->TDCA deep": p["hidden"],
        "TDCA base->TDCA IT": np.eye(3),
        "TDCA deep->TDCA IT": p["top"],
        "TDCA base->TDCA V1": p["broadcast_0"],
        "TDCA deep->TDCA V1": p["channels_0"],
        "TDCA base->TDCA V2": p["broadcast_1"],
        "TDCA deep->TDCA V2": p["channels_1"],
    }
    assert set(weights) == set(net.teacher.projections)
    goal, tau = np.eye(3)[y], 10.0

    def all_rates():
        r = {name: np.tanh(a[name]) if name.startswith("V") else a[name] for name in below}
        r |= {name: np.tanh(a[name]) if name in ("TDCA", "TDCA deep") else a[name] for name in credit}
        r["TDCA IT"] = alive["TDCA IT"] * r["TDCA IT"]
        for name in e:
            r[name] = a[name] * rms(r["TDCA IT"]) / rms(a[name]) + e[name]
        return r | {name: alive[name] * r[name] for name in credit if name != "TDCA IT"}

    seen = []
    for _ in range(steps):
        r = all_rates()
        softmax = np.exp(r["IT"]) / np.exp(r["IT"]).sum(1, keepdims=True)
        error = goal - softmax
        size_of_base = np.mean(r["TDCA base"] ** 2, axis=1, keepdims=True)
        size_of_base = size_of_base / np.sqrt(size_of_base + 1e-12)
        outside = {name: drive.get(name, 0.0) for name in credit}
        into = {name: np.zeros_like(a[name]) for name in a}
        into["V1"] = x @ w["retina->V1"].T
        into["V2"], into["IT"] = r["V1"] @ w["V1->V2"].T, r["V2"] @ w["V2->IT"].T
        into["TDCA context"] = into["TDCA context"] + np.concatenate([error, goal], axis=1)
        into["TDCA base"] = into["TDCA base"] + error
        for name, matrix in weights.items():
            pre, _, post = name.partition("->")
            signal = (0.0 if name in cut else scale.get(name, 1.0)) * (r[pre] @ matrix.T)
            leaving = post in ("TDCA IT", *e)
            into[post] = into[post] + (size_of_base * signal if leaving and pre == "TDCA deep" else signal)
        into["TDCA"] = into["TDCA"] + p["context_bias"]
        into["TDCA deep"] = into["TDCA deep"] + p["hidden_bias"]
        for name in credit:
            into[name] = into[name] + (0.0 if name in e else outside[name])
        for name in a:
            a[name] = a[name] + dt_ms / tau * (-a[name] + into[name])
        for name in e:
            e[name] = e[name] + dt_ms / tau * (-e[name] + outside[name])
        seen.append(
            {"rate": {n: all_rates()[n] for n in credit}, "drive": {n: a[n] + e.get(n, 0) for n in credit}}
        )
    return seen


def test_every_step_is_that_of_the_equations():
    net = taught()
    x, y = shown(net, 3)
    sim = cs.brian2.build(net, dt_ms=2.0)
    for what, settings in MANIPULATIONS.items():
        if "nudge" in settings:
            continue
        ours = sim.run(script(net, x, y, ms=60.0, every_ms=2.0, **settings))
        theirs = euler(net, x, y, 2.0, 30, **settings)
        for variable in ("rate", "drive"):
            found = by_name(net, ours, variable)
            for name in net.credit_populations:
                expected = np.stack([one[variable][name] for one in theirs], axis=1)
                said = f"{what}: {variable} of {name}"
                np.testing.assert_allclose(found[name], expected, atol=1e-12, err_msg=said)


# -- both backends, both engines ---------------------------------------------------------------------------

FORMS = {
    "dense, error": ({}, MANIPULATIONS),
    "dense, raw": ({"context": "raw"}, MANIPULATIONS),
    "pooled": ({"pooled": True}, {"drive": MANIPULATIONS["drive every part"]}),
    "shared, error": ({"form": "shared"}, NO_LAYERS),
    "shared, raw": ({"form": "shared", "context": "raw"}, NO_LAYERS),
    "broadcast": ({"form": "broadcast"}, NO_LAYERS),
}


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=[pytest.mark.slow] * form.endswith("raw")) for form in FORMS]
)
def test_both_backends_settle_alike(form):
    declared, manipulations = FORMS[form]
    net = taught(**declared)
    x, y = shown(net, 3)
    sessions = cs.brian2.build(net, dt_ms=4.0), QuasiStatic(net)
    for what, settings in manipulations.items():
        in_time, settled = (session.run(script(net, x, y, **settings)) for session in sessions)
        for variable in ("rate", "drive", "credit"):
            ours, theirs = (by_name(net, recording, variable) for recording in (in_time, settled))
            for name, expected in theirs.items():
                off = np.abs(ours[name] - expected).max()
                assert off < 1e-6 * max(np.abs(expected).max(), 1e-6), f"{what}: {variable} of {name}"


def test_so_they_do_over_convolutions():
    net = taught(conv, form="dense", pooled=True)
    x, y = shown(net, 2)
    settings = {"drive": {"TDCA V2": np.arange(5.0)}, "silence": ["TDCA V1/2"], "cut": ["TDCA deep->TDCA V4"]}
    sessions = cs.brian2.build(net, dt_ms=4.0), QuasiStatic(net)
    in_time, settled = (session.run(script(net, x, y, **settings)) for session in sessions)
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(in_time[variable], settled[variable], atol=1e-6)


@pytest.mark.parametrize("form", ["dense, error", "dense, raw", "broadcast"])
def test_synapses_take_the_same_steps(form):
    declared, manipulations = FORMS[form]
    net = taught(**declared)
    x, y = shown(net, 1)
    engines = [cs.brian2.build(net, dt_ms=2.0, engine=engine) for engine in ("batched", "synapses")]
    for what, settings in manipulations.items():
        first, second = (sim.run(script(net, x, y, ms=40.0, every_ms=4.0, **settings)) for sim in engines)
        for variable in ("rate", "credit", "drive"):
            np.testing.assert_allclose(first[variable], second[variable], atol=1e-12, err_msg=what)
        drive = by_name(net, first, "drive")
        assert what == "nothing" or max(np.abs(a).max() for n, a in drive.items() if "TDCA" in n) > 1e-3


# -- what each does ------------------------------------------------------------------------------------------


def credits(net, x, y, **settings):
    recording = QuasiStatic(net).run(script(net, x, y, **settings))
    return by_population(net, recording, "credit")


def test_silent_channels_bring_one_population_no_credit():
    net = taught()
    x, y = shown(net, 3)
    intact, silent = credits(net, x, y), credits(net, x, y, silence=["TDCA V1"])
    assert not silent["V1"].any()
    for name in ("V2", "IT"):
        np.testing.assert_array_equal(silent[name], intact[name])


def test_the_top_alone_is_cut_not_silenced():
    """Channels are as large as the rates of TDCA IT: silent, it silences them."""
    net = taught()
    x, y = shown(net, 3)
    intact = credits(net, x, y)
    silent, cut = credits(net, x, y, silence=["TDCA IT"]), credits(net, x, y, cut=["TDCA IT->IT"])
    assert max(np.abs(c).max() for c in silent.values()) < 1e-5
    assert not cut["IT"].any()
    np.testing.assert_array_equal(cut["V1"], intact["V1"])


def test_without_a_base_there_is_no_credit():
    net = taught()
    x, y = shown(net, 3)
    assert max(np.abs(c).max() for c in credits(net, x, y, silence=["TDCA base"]).values()) < 1e-5


def test_without_the_trained_contribution_credit_is_the_broadcast():
    net = taught()
    x, y = shown(net, 3)
    found = credits(net, x, y, silence=["TDCA deep"])
    r = by_population(net, QuasiStatic(net).run(script(net, x, y)), "rate")["IT"]
    error = np.eye(3)[y] - np.exp(r) / np.exp(r).sum(1, keepdims=True)
    np.testing.assert_allclose(found["IT"], error, atol=1e-12)
    g = error @ net.teacher.parameters["broadcast_0"].T
    d = net.initial_weights(0)["TDCA V1->V1"]
    np.testing.assert_allclose(found["V1"], (g * rms(error) / rms(g)) @ d.T, atol=1e-12)


def test_a_drive_without_a_nudge_is_credit_of_its_own_size():
    net = taught()
    x, y = shown(net, 3)
    g = np.random.default_rng(5).normal(size=(3, 5))  # one per presentation
    found = credits(net, x, y, drive={"TDCA V1": g}, nudge={})
    np.testing.assert_allclose(found["V1"], g @ net.initial_weights(0)["TDCA V1->V1"].T, atol=1e-12)
    assert not found["V2"].any() and not found["IT"].any()


def test_a_film_and_noise_drive_channels_in_time():
    net = taught()
    x, _ = shown(net, 2)
    film = cs.TimeSeries(np.arange(30.0).reshape(2, 3, 5), 20)  # a film a presentation
    drive = {"retina": x, "TDCA V1": film + cs.Noise(0.2), "TDCA V2": 0.0}
    protocol = cs.Protocol(
        cs.Phase("all", 60, drive=drive), batch=2, record=cs.Record(populations=["TDCA V1"], every_ms=2)
    )
    rate = (
        cs.brian2.build(net, dt_ms=2.0).run(protocol).rate.transpose("presentation", "time_bin", ...).values
    )
    e, without = np.zeros((2, 5)), []
    for step in range(30):
        e = e + 0.2 * (np.arange(30.0).reshape(2, 3, 5)[:, step // 10] - e)
        without.append(e)
    off = rate - np.stack(without, axis=1)
    assert 0.02 < off.std() < 0.2 and abs(off.mean()) < 0.05


def test_a_protocol_teaches_as_its_injected_credit_says():
    """An open window with driven channels changes weights by that credit, without any label."""
    net = taught()
    x, _ = shown(net, 3)
    g = np.random.default_rng(6).normal(size=(3, 5))
    session = QuasiStatic(net)
    before = session.weights_of("retina->V1")
    phase = cs.Phase("learn", 100, drive={"retina": x, "TDCA V1": g}, plasticity=["retina->V1"])
    session.run(cs.Protocol(phase, batch=3, eta_per_s=0.1))
    a = x @ before.T
    u = (g @ net.initial_weights(0)["TDCA V1->V1"].T) * (1 - np.tanh(a) ** 2)
    np.testing.assert_allclose(session.weights_of("retina->V1") - before, 0.01 * u.T @ x / 3, atol=1e-14)
