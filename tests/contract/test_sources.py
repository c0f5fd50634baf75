"""Several sources: each has its own drive in a protocol, {source: array} elsewhere, on both backends."""

import os
import shutil

import numpy as np
import pytest
from several_sources import eyes, labels, stimuli
from timed import NEAR, assert_close, by_population

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.rules.base import WORDS

BY_TARGETS = {"target_prop", "difference_target_prop"}
IN_STEPS = {w for w, meant in WORDS.items() if getattr(meant.rule, "keeps_traces", False)}
IN_TIME = [w for w in sorted(WORDS) if w not in BY_TARGETS | IN_STEPS]
ALL = ("rate", "credit", "drive")


def softmax(r):
    grown = np.exp(r - r.max())
    return grown / grown.sum()


def euler(net, w, given, label, learning, eta, tau_c=10.0, dt=1.0):
    """Rates and credit of each step, and the weights after it, of the network of `eyes` under backprop.

    ``given`` maps each source to (step, unit), ``learning`` says in which steps the window is open.
    """
    w, hidden = {n: m.copy() for n, m in w.items()}, ["V1", "V2", "IT"]
    a = {n: np.zeros(net.populations[n].size) for n in hidden}
    b, c_1, c_2 = {n: np.zeros_like(a[n]) for n in hidden}, np.zeros(11), np.zeros(7)
    ups = [p.split("->") for p in w]
    rates, credits = [], []
    for step, window in enumerate(learning):
        r = {n: x[step] for n, x in given.items()} | {n: np.tanh(a[n]) for n in ("V1", "V2")}
        r["IT"] = a["IT"]
        c = {"V1": c_1, "V2": c_2, "IT": np.eye(3)[label] - softmax(r["IT"])}
        u = {"V1": c_1 / np.cosh(a["V1"]) ** 2, "V2": c_2 / np.cosh(a["V2"]) ** 2, "IT": c["IT"]}
        moved_1 = dt / tau_c * (-c_1 + w["V1->V2"].T @ u["V2"])
        moved_2 = dt / tau_c * (-c_2 + w["V2->IT"].T @ u["IT"])
        drive = {n: b[n] + sum(w[f"{pre}->{n}"] @ r[pre] for pre, post in ups if post == n) for n in hidden}
        a = {n: a[n] + dt / net.populations[n].tau_ms * (drive[n] - a[n]) for n in hidden}
        c_1, c_2 = c_1 + moved_1, c_2 + moved_2
        if window:
            w = {f"{i}->{j}": w[f"{i}->{j}"] + eta * dt / 1000 * np.outer(u[j], r[i]) for i, j in ups}
            b = {n: b[n] + eta * dt / 1000 * u[n] for n in hidden}
        rates.append({"V1": np.tanh(a["V1"]), "V2": np.tanh(a["V2"]), "IT": a["IT"]})
        credits.append({"V1": c_1, "V2": c_2})
    return rates, credits, w


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_every_step_is_the_equations(engine):
    """Two sources, then one and a movie in the other, then a window in which none of these is driven."""
    net = eyes("backprop")
    x, (label,) = stimuli(net, 1), labels(net, 1)
    movie = np.random.default_rng(3).normal(size=(5, 13))
    nudge = {"IT": np.array([label])}
    script = cs.Protocol(
        cs.Phase("both eyes", 20, drive={"left": x["left"], "right": x["right"]}, nudge=nudge),
        cs.Phase("a movie", 20, drive={"right": cs.TimeSeries(movie, 4), "context": 0.7}, nudge=nudge),
        cs.Phase(
            "learn", 30, drive={"left": x["left"], "context": x["context"]}, nudge=nudge, plasticity=True
        ),
        record=cs.Record(ALL, every_ms=1.0),
        batch=1,
        eta_per_s=3.0,
    )
    sim = cs.brian2.build(net, engine=engine)
    w = {p.name: sim.weights.outward(p.name) for p in net.bottom_ups}
    seen = sim.run(script)
    flat = {n: values.reshape(-1) for n, values in x.items()}
    rest = {n: np.zeros_like(values) for n, values in flat.items()}
    given = {
        "left": [flat["left"]] * 20 + [rest["left"]] * 20 + [flat["left"]] * 30,
        "right": [flat["right"]] * 20 + [m for m in movie for _ in range(4)] + [rest["right"]] * 30,
        "context": [rest["context"]] * 20 + [np.full(2, 0.7)] * 20 + [flat["context"]] * 30,
    }
    learning = [False] * 40 + [True] * 30
    rates, credits, after = euler(net, w, given, label, learning, eta=3.0)
    shown, received = by_population(net, seen, "rate"), by_population(net, seen, "credit")
    for step in range(70):
        for name in ("V1", "V2", "IT"):
            np.testing.assert_allclose(shown[name][0, step], rates[step][name], atol=1e-12, err_msg=name)
        for name in ("V1", "V2"):
            np.testing.assert_allclose(received[name][0, step], credits[step][name], atol=1e-12)
        for name in net.sources:
            np.testing.assert_allclose(shown[name][0, step], given[name][step], atol=1e-12, err_msg=name)
    for name, expected in after.items():
        assert (np.abs(expected - w[name]).max() > 1e-4) == (name != "right->V1"), name  # right is at rest
        np.testing.assert_allclose(sim.weights.outward(name), expected, atol=1e-12, err_msg=name)


def learning(net, x, y, batch, ms=500.0, **whole):
    """The eyes alone, then the context too, then a window."""
    eyes_alone = {name: x[name] for name in ("left", "right")}
    nudge = {"IT": y}
    return cs.Protocol(
        cs.Phase("eyes", ms / 5, drive=eyes_alone, nudge=nudge),
        cs.Phase("all", ms, drive=x, nudge=nudge),
        cs.Phase("learn", 20, drive=x, nudge=nudge, plasticity=True),
        batch=batch,
        **{"record": cs.Record(ALL, phase="all", weights=True), "eta_per_s": 1e-3, **whole},
    )


SOME = ["backprop", "gait_prop", "bcm", "tdca"]


@pytest.mark.parametrize(
    "word", [w if w in SOME else pytest.param(w, marks=pytest.mark.slow) for w in IN_TIME]
)
def test_time_settles_where_torch_computes(word):
    net = eyes(word, init=NEAR)
    x, y = stimuli(net, 3), labels(net, 3)
    seen = [session.run(learning(net, x, y, 3)) for session in (cs.brian2.build(net), QuasiStatic(net))]
    recorded = [{v: by_population(net, one, v) for v in ALL} for one in seen]
    trained = cs.torch.build(net, precision="64").respond(x, y)
    for variable in ALL:
        ours, theirs = (one[variable] for one in recorded)
        skip = net.sources if variable == "credit" else ()
        assert_close(ours, theirs, 1e-6, skip=skip)
        if variable != "credit" or net.top_downs:  # without a supervised rule nothing but a nudge has credit
            assert_close(theirs, by_population(net, trained, variable), 1e-6, skip=skip)
    for p in net.bottom_ups:
        start = net.initial_weights(0)[p.name].reshape(-1)
        first, second = (cs.recording.weights_of(one, p.name)[1][-1].reshape(-1) - start for one in seen)
        assert np.abs(second).max() > 0
        np.testing.assert_allclose(first, second, atol=1e-3 * np.abs(second).max())


@pytest.mark.parametrize(
    "word",
    [
        "gait_prop",
        "bcm",
        *(pytest.param(w, marks=pytest.mark.slow) for w in ("three_factor", "kolen_pollack")),
    ],
)
def test_engines_agree_step_by_step(word):
    net = eyes(word)
    x, y = stimuli(net, 2), labels(net, 2)
    script = learning(net, x, y, 1, ms=60.0, record=cs.Record(ALL, every_ms=4.0), eta_per_s=0.5)
    found = []
    for engine in ("batched", "synapses"):
        sim = cs.brian2.build(net, engine=engine, dt_ms=2.0)
        found.append((sim.run(script), {n: sim.weights.outward(n) for n in sim.weights.matrix}))
    for variable in ALL:
        np.testing.assert_allclose(found[0][0][variable], found[1][0][variable], atol=1e-12)
    for name, w in found[0][1].items():
        np.testing.assert_allclose(w, found[1][1][name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("word", sorted(set(WORDS) - {"target_prop"}))  # which takes chains alone
def test_no_rule_sends_credit_to_a_source(word):
    net = eyes(word)
    assert net.sources == ["left", "context", "right"]
    assert not [p.name for p in net.top_downs if p.post in net.sources]


def test_yaml_and_copies_keep_every_source(tmp_path):
    net = eyes("gait_prop")
    assert cs.Network.from_yaml(net.to_yaml()) == net and net.copy().sources == net.sources
    script = learning(net, stimuli(net, 3), labels(net, 3), 3)
    experiment = cs.Experiment(net, {"one": script})
    assert cs.Experiment.from_yaml(experiment.to_yaml()) == experiment
    assert all(f"\n{name} " in str(net) for name in net.sources)


def test_preprocessing_is_that_of_each_source(tmp_path):
    net = cs.Network("digits and context")
    net.population("context", 1)
    net.population("retina", 64)
    net.population("IT", 10)
    net.bottom_up("retina", "IT", plasticity="backprop")
    net.bottom_up("context", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    raw = cs.data.digits()
    model = cs.torch.build(net)
    model.preprocessing = {"retina": raw.preprocessing()}
    cs.save(model, tmp_path / "trained.safetensors")
    shown = cs.Stimuli("digits", split="test", count=4)
    script = cs.Protocol(cs.Phase("show", 20, drive={"retina": shown, "context": 2.0}))
    wanted = raw.preprocessing().apply(shown.images_through(cs.preprocessing.Preprocessing((64,))))
    for session in (
        cs.brian2.build(net, state=tmp_path / "trained.safetensors"),
        QuasiStatic(net, state=cs.load(tmp_path / "trained.safetensors")),
    ):
        seen = by_population(net, session.run(script), "rate")
        np.testing.assert_allclose(seen["retina"].reshape(4, 64), wanted, atol=1e-6)
        assert (seen["context"] == 2).all()


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which(os.environ.get("CXX", "g++")) and shutil.which("make")), reason="needs g++ and make"
)
def test_a_compiled_program_takes_the_same_steps():
    net = eyes("gait_prop", init=NEAR)
    x, y = stimuli(net, 2), labels(net, 2)
    movie = cs.TimeSeries(np.random.default_rng(3).normal(size=(5, 13)), 4)
    nudge = {"IT": y}
    script = cs.Protocol(
        cs.Phase("movie", 20, drive={"left": x["left"], "right": movie}, nudge=nudge),
        cs.Phase("learn", 20, drive={"right": x["right"], "context": 0.5}, nudge=nudge, plasticity=True),
        record=cs.Record(ALL, every_ms=4.0),
        batch=1,
        eta_per_s=1.0,
    )
    sims = [cs.brian2.build(net, engine="synapses", target=t) for t in ("numpy", "cpp_standalone")]
    first, second = (sim.run(script) for sim in sims)
    for variable in ALL:
        np.testing.assert_allclose(first[variable], second[variable], atol=1e-12)
    for p in net.bottom_ups:
        np.testing.assert_allclose(*(sim.weights.outward(p.name) for sim in sims), atol=1e-12)


# -- what is refused -----------------------------------------------------------------------------------


def test_a_preprocessing_that_names_no_source():
    net = eyes("backprop")
    model = cs.torch.build(net)
    model.preprocessing = cs.data.digits().preprocessing()
    with pytest.raises(cs.DataError, match="does not say which of its sources, context, left, right"):
        QuasiStatic(net, state=model.state()).run(learning(net, stimuli(net, 3), labels(net, 3), 3))
    model.preprocessing = {"V1": cs.data.digits().preprocessing()}
    with pytest.raises(cs.DataError, match="unknown source of eyes in its preprocessing 'V1'"):
        cs.save(model, "never.safetensors")


def test_drives_that_do_not_fit_name_their_source():
    net, x = eyes("backprop"), stimuli(eyes(), 4)
    for drive, message in [
        ({"left": x["right"]}, "phase show: drive of left has shape .4, 13."),
        (
            {"left": x["left"], "right": x["right"][:3]},
            "the same number of presentations. Got .*left.* 4, .*right.* 3",
        ),
        ({"lefft": x["left"]}, "did you mean 'left'"),
    ]:
        with pytest.raises(cs.DeclarationError, match=message):
            cs.brian2.build(net).run(cs.Protocol(cs.Phase("show", 10, drive=drive)))
    with pytest.raises(cs.DeclarationError, match="nudge of context: it has no bottom-up input"):
        cs.brian2.build(net).run(cs.Protocol(cs.Phase("show", 10, drive=x, nudge={"context": [0.0, 1.0]})))
