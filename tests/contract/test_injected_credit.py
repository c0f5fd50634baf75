"""Credit silenced and injected by a protocol: equations, engines, limits, refusals."""

import numpy as np
import pytest
from networks import chain, dense_chain, shown
from taught import taught
from timed import NEAR, by_population

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.credit import LayeredCredit, TrainedCredit
from cortex_sim.viz.timeline_rows import rows_of

CHAINS = ["feedback_alignment", "kolen_pollack", "sign_symmetric", "backprop", "gait_prop", "layered"]
LAYERED = {"log_gain": 0.5, "log_decay_up": -7.6, "log_decay_down": -7.3, "log_scale": 0.0}
RULES = [*CHAINS, "direct_feedback_alignment", "tdca", "broadcast"]
INJECTED = np.random.default_rng(4).normal(size=(3, 7))  # one per presentation, into V2


def ruled(word):
    if word == "layered":
        credit = TrainedCredit(LayeredCredit(), {name: np.array(p) for name, p in LAYERED.items()}, {})
        return chain(init=NEAR).with_rule("tdca", credit=credit)
    forms = {"tdca": "dense", "broadcast": "broadcast"}
    return taught(form=forms[word]) if word in forms else chain(init=NEAR).with_rule(word)


def script(net, x, y, ms=800.0, every_ms=None, **settings):
    settings = {"drive": {"retina": x}, "nudge": {net.objective_at: y}, **settings}
    record = cs.Record(("rate", "credit"), every_ms=every_ms)
    return cs.Protocol(cs.Phase("all", ms, **settings), batch=len(x), record=record)


def credits(session, *args, **settings):
    return by_population(session.net, session.run(script(session.net, *args, **settings)), "credit")


# -- the equations ---------------------------------------------------------------------------------------


def test_at_equilibrium_each_population_sends_on_what_it_is_left_with():
    """c = m ∘ (B u_above + nudge) + e and u = c ∘ f′, one population after the other."""
    net, silent = chain(init=NEAR).with_rule("feedback_alignment"), np.array([1, 0, 1, 1, 0, 1, 1.0])
    x, y = shown(net, 3)
    w = net.initial_weights(0)
    found = credits(
        QuasiStatic(net),
        x,
        y,
        drive_credit={"V2": INJECTED, "IT": [0.1, 0.0, -0.2]},
        silence_credit=["V2/1", "V2/4"],
    )
    a1 = x @ w["retina->V1"].T
    a2 = np.tanh(a1) @ w["V1->V2"].T
    r = np.tanh(a2) @ w["V2->IT"].T
    c3 = np.eye(3)[y] - np.exp(r) / np.exp(r).sum(1, keepdims=True) + [0.1, 0.0, -0.2]
    c2 = silent * (c3 @ w["IT->V2"].T) + INJECTED
    c1 = (c2 * (1 - np.tanh(a2) ** 2)) @ w["V2->V1"].T
    for name, expected in {"IT": c3, "V2": c2, "V1": c1}.items():
        np.testing.assert_allclose(found[name], expected, atol=1e-13)


def test_in_time_every_step_is_that_of_the_equations():
    """Silenced from 20 to 40 ms, with a film of injected credit: compartments go on all the while."""
    net, dt, tau = chain(init=NEAR).with_rule("feedback_alignment"), 2.0, 10.0
    x, y = shown(net, 2)
    w, film = net.initial_weights(0), np.random.default_rng(1).normal(size=(2, 7))
    shared = {"drive": {"retina": x}, "nudge": {"IT": y}}
    phases = [
        cs.Phase("before", 20, **shared),
        cs.Phase("silent", 20, silence_credit=["V2"], drive_credit={"V2": cs.TimeSeries(film, 10)}, **shared),
        cs.Phase("after", 20, **shared),
    ]
    record = cs.Record(("credit",), every_ms=dt)
    recording = cs.brian2.build(net, dt_ms=dt).run(cs.Protocol(*phases, batch=2, record=record))
    found = by_population(net, recording, "credit")
    a1, a2, a3, p2, p1 = (np.zeros((2, n)) for n in (11, 7, 3, 7, 11))

    def credit(step):
        c3 = np.eye(3)[y] - np.exp(a3) / np.exp(a3).sum(1, keepdims=True)
        silent = 10 <= step < 20
        c2 = film[(step - 10) // 5] + np.zeros_like(p2) if silent else p2
        return c3, c2, p1

    for step in range(30):
        c3, c2, _ = credit(step)
        down = c3 @ w["IT->V2"].T, (c2 * (1 - np.tanh(a2) ** 2)) @ w["V2->V1"].T
        drives = x @ w["retina->V1"].T, np.tanh(a1) @ w["V1->V2"].T, np.tanh(a2) @ w["V2->IT"].T
        a1, a2, a3 = (a + dt / tau * (d - a) for a, d in zip((a1, a2, a3), drives, strict=True))
        p2, p1 = p2 + dt / tau * (down[0] - p2), p1 + dt / tau * (down[1] - p1)
        for name, expected in zip(("IT", "V2", "V1"), credit(step), strict=True):
            np.testing.assert_allclose(found[name][:, step], expected, atol=1e-12, err_msg=f"{name} {step}")


@pytest.mark.parametrize("word", RULES)
def test_both_backends_and_both_engines_take_it_alike(word):
    net = ruled(word)
    x, y = shown(net, 1)
    settings = {
        "drive_credit": {"V2": INJECTED[:1], "V1": 0.1},
        "silence_credit": ["V2/1", "V2/4", "V1/0"],
        "scale": {p.name: 0.5 for p in net.top_downs},
    }
    engines = [cs.brian2.build(net, dt_ms=2.0, engine=engine) for engine in ("batched", "synapses")]
    short = [sim.run(script(net, x, y, ms=40.0, every_ms=4.0, **settings)) for sim in engines]
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(short[0][variable], short[1][variable], atol=1e-12)
    in_time, settled = (credits(s, x, y, ms=1500.0, **settings) for s in (engines[0], QuasiStatic(net)))
    for name, expected in settled.items():
        np.testing.assert_allclose(in_time[name], expected, atol=1e-6 * np.abs(expected).max())
    assert np.abs(settled["V2"]).max() > 0.5


# -- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", RULES)
def test_silenced_credit_is_a_cut_of_all_that_brings_it(word):
    net = ruled(word)
    x, y = shown(net, 3)
    onto = [p.name for p in net.top_downs if p.post == "V2"]
    silent, cut = (credits(QuasiStatic(net), x, y, **s) for s in ({"silence_credit": ["V2"]}, {"cut": onto}))
    assert not silent["V2"].any()
    for name, expected in cut.items():
        np.testing.assert_array_equal(silent[name], expected)
    assert silent["V1"].any() == (word not in CHAINS)  # a chain passes nothing on


@pytest.mark.parametrize("word", CHAINS)
def test_injected_in_place_of_its_own_credit_nothing_changes(word):
    """What V2 would receive, given back to it: everything below it is as ever."""
    net = ruled(word)
    x, y = shown(net, 3)
    intact = credits(QuasiStatic(net), x, y)
    replaced = credits(QuasiStatic(net), x, y, silence_credit=["V2"], drive_credit={"V2": intact["V2"]})
    for name, expected in intact.items():
        np.testing.assert_array_equal(replaced[name], expected)


def test_a_reward_injected_without_a_label_teaches():
    net = ruled("feedback_alignment")
    x, _ = shown(net, 3)
    session = QuasiStatic(net)
    w = session.weights_of("V1->V2")
    phase = cs.Phase("learn", 100, drive={"retina": x}, drive_credit={"V2": INJECTED}, plasticity=["V1->V2"])
    session.run(cs.Protocol(phase, batch=3, eta_per_s=0.1))
    r = np.tanh(x @ net.initial_weights(0)["retina->V1"].T)
    u = INJECTED * (1 - np.tanh(r @ w.T) ** 2)
    np.testing.assert_allclose(session.weights_of("V1->V2") - w, 0.01 * u.T @ r / 3, atol=1e-14)


def test_credit_comes_back_at_once_where_its_compartments_were_left_alone():
    net = ruled("feedback_alignment")
    x, y = shown(net, 2)
    shared = {"drive": {"retina": x}, "nudge": {"IT": y}}
    found = []
    for settings in ({"silence_credit": ["V2"]}, {"cut": ["IT->V2"]}):
        phases = cs.Phase("off", 300, **settings, **shared), cs.Phase("on", 2, **shared)
        protocol = cs.Protocol(*phases, batch=2, record=cs.Record(("credit",)))
        found.append(by_population(net, cs.brian2.build(net, dt_ms=2.0).run(protocol), "credit")["V2"])
    settled = credits(QuasiStatic(net), x, y)["V2"]
    np.testing.assert_allclose(found[0], settled, rtol=1e-9)
    np.testing.assert_allclose(found[1], 0.2 * settled, rtol=1e-9)


def test_noise_of_credit_and_of_a_drive_are_independent():
    net = ruled("feedback_alignment")
    x, _ = shown(net, 1)
    white = cs.Noise(0.5)
    settings = {"drive": {"retina": x, "V2": white}, "drive_credit": {"V2": white, "V1": white}, "nudge": {}}
    protocol = script(net, x, None, ms=400.0, every_ms=2.0, **settings)
    protocol = protocol.replace(record=cs.Record(("credit", "drive"), every_ms=2.0))
    recording = cs.brian2.build(net, dt_ms=2.0).run(protocol)
    c = by_population(net, recording, "credit")["V2"][0]
    a = by_population(net, recording, "drive")["V2"][0]
    assert (
        abs(c.std() - 0.5) < 0.03 and abs(np.corrcoef(c[1:].ravel(), np.diff(a, axis=0).ravel())[0, 1]) < 0.1
    )


def test_apical_coupling_lets_injected_credit_drive_rates():
    net = cs.Network("coupled")
    net.population("retina", 5)
    net.population("V1", 3, activation="tanh", apical_coupling=0.7)
    net.bottom_up("retina", "V1", cs.Dense(init=NEAR), plasticity="backprop")
    net.objective("V1", "squared_error")
    x = np.random.default_rng(2).normal(size=(2, 5))
    e = np.array([0.5, -0.2, 0.1])
    protocol = cs.Protocol(cs.Phase("all", 300, drive={"retina": x}, drive_credit={"V1": e}), batch=2)
    rate = by_population(net, cs.brian2.build(net, dt_ms=2.0).run(protocol), "rate")["V1"]
    np.testing.assert_allclose(rate, np.tanh(x @ net.initial_weights(0)["retina->V1"].T + 0.7 * e), atol=1e-9)


# -- protocols -----------------------------------------------------------------------------------------------


def test_trials_follow_the_injected_presentations_and_settings():
    net = ruled("feedback_alignment")
    phase = cs.Phase(
        "all",
        10,
        drive={"retina": 0.1},
        drive_credit={"V2": INJECTED},
        silence_credit=cs.PerTrial([[], ["V1"], ["V1/2"]]),
    )
    found = by_population(
        net, QuasiStatic(net).run(cs.Protocol(phase, record=cs.Record(("credit",)))), "credit"
    )
    np.testing.assert_array_equal(found["V2"], INJECTED)
    assert found["V1"][0].all() and not found["V1"][1].any() and not found["V1"][2][2]


def raised(seen, state, rng):
    return {"level": state["level"] + 0.5, "off": int(seen.trial == 0)}


@pytest.mark.parametrize("build", [lambda net: cs.brian2.build(net, dt_ms=2.0), QuasiStatic])
def test_closed_loops_set_it(build):
    net = ruled("feedback_alignment")
    x, _ = shown(net, 1)
    loop = cs.ClosedLoop(raised, ["V1"], "all", state={"level": 0.5, "off": 0})
    settings = {"drive_credit": {"V2": loop["level"]}, "silence_credit": {"V1/3": loop["off"]}, "nudge": {}}
    protocol = script(net, x, None, ms=300.0, **settings).replace(trials=3, batch=None)
    found = by_population(net, build(net).run(protocol), "credit")
    np.testing.assert_allclose(found["V2"], np.repeat([[0.5], [1.0], [1.5]], 7, axis=1), atol=1e-12)
    assert [bool(found["V1"][trial, 3]) for trial in range(3)] == [True, False, True]


def test_it_survives_yaml_and_stands_in_the_time_line():
    net = ruled("feedback_alignment")
    x, y = shown(net, 3)
    given = INJECTED + cs.Noise(0.1) + cs.TimeSeries([0.0, 1.0], 2)
    settings = {"drive_credit": {"V2": given, "IT": 0.5}, "silence_credit": ["V1/3"]}
    experiment = cs.Experiment(net, {"all": script(net, x, y, ms=4.0, **settings)})
    assert cs.Experiment.from_yaml(experiment.to_yaml()) == experiment
    rows = {row.label: row for row in rows_of(experiment.arms["all"].protocol)}
    assert {"drive credit of V2", "drive credit of IT", "silence credit of V1/3"} <= set(rows)
    assert rows["drive credit of IT"].said == {0: "0.5"}
    experiment.arms["all"].protocol.draw()


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_a_session_continues_after_it(engine):
    net = ruled("gait_prop")
    x, y = shown(net, 1)
    one, other = (cs.brian2.build(net, dt_ms=2.0, engine=engine) for _ in range(2))
    first = script(net, x, y, ms=30.0, drive_credit={"V2": 0.5}, silence_credit=["V1"]).replace(reset=False)
    plain = script(net, x, y, ms=30.0).replace(reset=False)
    one.run(first)
    other.restore(one.checkpoint())
    np.testing.assert_array_equal(one.run(plain)["credit"], other.run(plain)["credit"])


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"drive_credit": {"retina": 1.0}}, "drive_credit of phase all: retina has no bottom-up input"),
        ({"silence_credit": ["retina"]}, "silence_credit of phase all: retina has no bottom-up input"),
        ({"silence_credit": ["TDCA V1"]}, r"TDCA V1 is a population of the credit .*silence=\['TDCA V1'\]"),
        ({"drive_credit": {"TDCA V1": 1.0}}, r"TDCA V1 is a population of the credit .*drive={'TDCA V1': "),
        ({"silence_credit": ["TDCA V1->V1"]}, r"is a projection, .*cut=\['TDCA V1->V1'\], or name V1"),
        ({"silence_credit": ["V1/11"]}, "no unit V1/11; V1 has units V1/0 to V1/10"),
        ({"silence_credit": ["V7"]}, "unknown population in silence_credit of phase all 'V7'"),
        ({"drive_credit": {"V1": np.ones(7)}}, r"drive_credit of V1 has shape \(7,\); give \(11,\) for all"),
    ],
)
def test_what_has_no_credit_is_refused_when_the_experiment_is_made(settings, said):
    net = taught()
    x, y = shown(net, 2)
    with pytest.raises(cs.DeclarationError, match=said):
        cs.Experiment(net, {"all": script(net, x, y, **settings)})


def test_a_network_without_credit_is_refused():
    net = dense_chain((5, 3), objective="squared_error").with_rule("hebbian")
    net.objective_at = net.objective_function = None
    with pytest.raises(
        cs.DeclarationError, match=r"network chain has neither.*no credit; use net.with_rule\(\.\.\.\)"
    ):
        cs.Experiment(net, {"all": cs.Protocol(cs.Phase("all", 10, drive_credit={"IT": 1.0}))})


def test_what_has_no_equilibrium_is_refused_on_torch():
    net = ruled("feedback_alignment")
    x, y = shown(net, 1)
    with pytest.raises(cs.RunError, match="the drive_credit of V2 is noise, which has no equilibrium"):
        QuasiStatic(net).run(script(net, x, y, drive_credit={"V2": cs.Noise(0.1)}))


def test_times_must_be_whole_steps():
    net = ruled("feedback_alignment")
    x, y = shown(net, 1)
    film = {"V2": cs.TimeSeries([0.0, 1.0], 3)}
    with pytest.raises(cs.RunError, match="phase all: drive_credit of V2: bin_ms"):
        cs.brian2.build(net, dt_ms=2.0).run(script(net, x, y, drive_credit=film))
