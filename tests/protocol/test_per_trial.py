"""Settings that differ between trials, in time against an own Euler loop, and at equilibrium."""

import numpy as np
import pytest
from own_euler import Chain, same_network
from stopped_runs import assert_resumed_is_the_same

import cortex_sim as cs
from cortex_sim.protocol.planning import plan

RNG = np.random.default_rng(3)
X, GOALS = RNG.normal(size=(4, 7)), RNG.normal(size=(4, 3))
SETTLE, LEARN, PAUSE = [10.0, 30.0, 20.0, 40.0], [20.0, 10.0, 40.0, 30.0], [0.0, 20.0, 10.0, 30.0]
STRENGTH, SCALE = [0.5, 1.0, 2.0, 0.0], [1.0, 0.5, 1.0, -1.0]
SILENT = [[], ["V1/3"], ["V1"], ["V1/0", "V1/1"]]


def script(**settings):
    return cs.Protocol(
        cs.Phase("settle", SETTLE, drive={"retina": X}),
        cs.Phase(
            "learn",
            cs.PerTrial(LEARN),
            drive={"retina": X},
            nudge={"IT": GOALS},
            strength=np.array(STRENGTH),
            scale={"V1->IT": SCALE},
            cut=cs.FromTrial(3, ["IT->V1"]),
            silence=cs.PerTrial(SILENT),
            plasticity=True,
        ),
        interval_ms=PAUSE,
        record=cs.Record(("rate", "credit"), phase="learn", weights=True),
        eta_per_s=cs.FromTrial({0: 4.0, 2: 2.0}),
        **settings,
    )


def by_hand(w, v, dt):
    one, ends, weights = Chain(w, v, dt), [], []
    for k in range(4):
        one.rest()
        for _ in range(round(SETTLE[k] / dt)):
            one.step(X[k])
        alive = np.array([0.0 if f"V1/{i}" in SILENT[k] or "V1" in SILENT[k] else 1.0 for i in range(5)])
        intact, eta = float(k < 3), 4.0 if k < 2 else 2.0
        for _ in range(round(LEARN[k] / dt)):
            one.c *= intact
            nudge = {"goal": GOALS[k], "strength": STRENGTH[k]}
            one.step(X[k], **nudge, scale=SCALE[k], alive=alive, credit=intact, eta=eta)
        ends.append(np.concatenate([alive * np.tanh(one.a), one.b]))
        weights.append((one.w.copy(), one.v.copy()))
    return np.array(ends), weights


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_each_trial_takes_its_own_steps(engine):
    net, w, v = same_network(cs)
    seen = cs.brian2.run(cs.Experiment(net, {"a": script()}, dt_ms=2.0, engine=engine))
    ends, weights = by_hand(w, v, 2.0)
    np.testing.assert_allclose(seen["rate"].values[:, 7:], ends, atol=1e-12)
    for k, (ours, top) in enumerate(weights):
        np.testing.assert_allclose(seen["weight:retina->V1"].values[k + 1], ours, atol=1e-12)
        np.testing.assert_allclose(seen["weight:V1->IT"].values[k + 1], top, atol=1e-12)
    assert seen["snapshot_ms"].values.tolist() == [0, *np.cumsum(np.sum([SETTLE, LEARN, PAUSE], axis=0))]


def test_both_backends_agree_where_there_is_an_equilibrium():
    net, _, _ = same_network(cs)
    long = cs.Phase(
        "p",
        600,
        drive={"retina": X, "V1": cs.PerTrial([0.0, 1.0, np.arange(5.0), -1.0])},
        nudge={"IT": GOALS},
        strength=STRENGTH,
        scale={"V1->IT": SCALE},
        silence=cs.PerTrial(SILENT),
    )
    experiment = cs.Experiment(net, {"a": cs.Protocol(long, record=cs.Record(("rate", "credit")))})
    in_time, settled = cs.brian2.run(experiment), cs.torch.run(experiment)
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(in_time[variable], settled[variable], atol=1e-6)
    assert float(abs(settled.credit[2]).max()) > 0.1  # not vacuous


def test_at_equilibrium_a_window_lasts_as_long_as_its_trial():
    net, _, _ = same_network(cs)
    learn = cs.Phase("p", [100.0, 300.0], drive={"retina": X[:1]}, nudge={"IT": GOALS[:1]}, plasticity=True)
    one = cs.Protocol(learn, trials=2, eta_per_s=1e-6, record=cs.Record(weights=True))
    seen = cs.torch.run(cs.Experiment(net, {"a": one}))
    first, second = np.diff(seen["weight:V1->IT"].values, axis=0)
    np.testing.assert_allclose(second, 3 * first, rtol=1e-5)


@pytest.mark.parametrize("what", ["delay_ms", "noise"])
def test_what_has_no_effect_at_equilibrium_is_refused_there(what):
    net, _, _ = same_network(cs)
    shown = cs.Phase("p", 10, drive={"retina": X}, **{what: {"V1->IT": [0, 5, 0, 5]}})
    experiment = cs.Experiment(net, {"a": cs.Protocol(shown)})
    with pytest.raises(cs.RunError, match=f'{what} of V1->IT differs between trials.*use backend "brian2"'):
        cs.torch.run(experiment)
    assert cs.brian2.run(experiment).sizes["presentation"] == 4


def test_delays_that_differ():
    net, w, v = same_network(cs)
    delays = [0, 4, 10, 2]
    shown = cs.Phase("p", 30, drive={"retina": X}, delay_ms={"V1->IT": delays})
    script = cs.Protocol(shown, record=cs.Record(every_ms=2))
    seen = cs.brian2.run(cs.Experiment(net, {"a": script}, dt_ms=2.0))["rate"].values
    for k, delay in enumerate(delays):
        one, sent = Chain(w, v, 2.0), []
        for step in range(15):
            sent.append(v @ one.rates()[0])
            late = step - delay // 2
            one.b = one.b + 0.2 * (-one.b + (sent[late] if late >= 0 else 0))
            one.a = one.a + 0.2 * (-one.a + w @ X[k])
            np.testing.assert_allclose(seen[k, 12:, step], one.b, atol=1e-12)


# -- how values meet trials -----------------------------------------------------------------------


def planned(*phases, **settings):
    return plan(cs.Protocol(*phases, **settings), same_network(cs)[0], 0)


def of(made, stage="trial"):
    """The phases of each trial of one stage."""
    return [s.phases for s in made.shown if s.stage == stage for _ in s.trials]


SHOW = cs.Phase("p", 10, drive={"retina": X})


def test_values_count_trials_over_blocks_or_within_each():
    def durations(values):
        made = planned(cs.Phase("p", values, drive={"retina": X}), repeat=2)
        return [phases[0].duration_ms for phases in of(made)]

    assert durations([1, 2, 3, 4]) == [1, 2, 3, 4] * 2
    assert durations(list(range(1, 9))) == list(range(1, 9))


def test_values_by_image_follow_the_image():
    gain = cs.PerTrial([1, 2, 3, 4], by="image")
    phase = cs.Phase("p", 10, drive={"retina": X}, scale={"V1->IT": gain})
    made = planned(phase, order="shuffled", repeat=2)
    found = [(i, s.phases[0].gates.get("V1->IT")) for s in made.shown for i in s.images]
    assert {(i, 1.0 if gate is None else gate.scale) for i, gate in found} == {(k, k + 1.0) for k in range(4)}
    assert [i for i, _ in found] != [0, 1, 2, 3] * 2


def test_without_images_there_are_as_many_trials_as_values():
    assert len(of(planned(cs.Phase("p", [5, 6, 7])))) == 3


def test_trials_that_differ_are_run_apart_and_equal_ones_together():
    made = planned(cs.Phase("p", cs.FromTrial({0: 10, 3: 20}), drive={"retina": np.zeros((9, 7))}))
    assert [s.trials for s in made.shown] == [(0, 1, 2), (3, 4, 5, 6, 7, 8)]


def test_a_lesion_from_some_trial_on_acts_on_later_probes():
    lesion, probe = cs.FromTrial(2, ["V1->IT"]), cs.Protocol(cs.Phase("p", 10, drive={"retina": X[:1]}))
    made = planned(SHOW, lesion=lesion, probe=probe, probe_every=1)
    cut, probed = ([bool(phases[0].gates) for phases in of(made, stage)] for stage in ("trial", "probe"))
    assert cut == [False, False, True, True] and probed == [False, False, True, True, True]


@pytest.mark.parametrize(
    "wait, expected", [(2, [0, 2, 4, 6, 7]), (3, [0, 3, 6, 7]), (7, [0, 7]), (9, [0, 7])]
)
def test_probes_come_after_every_so_many_trials(wait, expected):
    probe = cs.Protocol(SHOW)
    before, done = [], 0
    for s in planned(cs.Phase("p", 10), trials=7, probe=probe, probe_every=wait).shown:
        before += [done] if s.stage == "probe" else []
        done += len(s.trials) if s.stage == "trial" else 0
    assert before == expected


BINS = cs.Record(every_ms=5)
JITTERED, AFTER = cs.Phase("a", [5, 10]), cs.Phase("b", 10)
REFUSED = [
    (lambda: planned(SHOW, interval_ms=[1, 2]), "interval_ms has 2 values, but a block has 4 trials; give 4"),
    (
        lambda: planned(SHOW, interval_ms=[1, 2], repeat=2),
        "a block has 4 trials, 2 blocks 8; give 4 values, or 8",
    ),
    (
        lambda: planned(SHOW, interval_ms=cs.PerTrial([1], "image")),
        "has 1 value, one per image, for 4 images",
    ),
    (lambda: cs.PerTrial([]), "PerTrial: values is empty"),
    (lambda: cs.PerTrial("V1"), "PerTrial: values must be a list or an array"),
    (lambda: cs.PerTrial([1], by="block"), "unknown by of PerTrial 'block'; known: image, trial"),
    (lambda: cs.FromTrial(3), "FromTrial: takes a trial and a value"),
    (lambda: cs.FromTrial(-1, 2), "FromTrial: trial must be a whole number of at least 0"),
    (lambda: cs.Phase("p", cs.FromTrial(2, 10)), "duration_ms has no default, so FromTrial must give it"),
    (lambda: cs.Phase("p", [10, 0]), "phase p: duration_ms in trial 1 must be a positive number"),
    (lambda: cs.Phase("p", 10, modulator=[1, np.nan]), "modulator in trial 1 must be a finite number"),
    (
        lambda: cs.Protocol(SHOW, lesion=cs.PerTrial([["V1"]]), probe=cs.Protocol(SHOW)),
        "use FromTrial, or cut=",
    ),
    (lambda: cs.Protocol(SHOW, probe_every=2), "probe_every=2 says when to probe, but there is no probe"),
    (
        lambda: plan(script(batch=2), same_network(cs)[0], 0),
        "trials: 0 and 1 differ in interval_ms, and batch=2",
    ),
    (
        lambda: planned(JITTERED, AFTER, record=BINS),
        "10 ms after their start one trial is in phase b and another in a",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED)
def test_refused_with_the_way_out(make, message):
    with pytest.raises(cs.DeclarationError, match=message):
        make()


def test_time_bins_are_those_that_all_trials_have():
    net, _, _ = same_network(cs)
    jittered = cs.Protocol(SHOW, interval_ms=[10, 20, 30, 40], record=BINS)
    for engine in ("batched", "synapses"):
        seen = cs.brian2.run(cs.Experiment(net, {"a": jittered}, engine=engine))
        assert seen.sizes["time_bin"] == 4 and seen["phase"].values.tolist() == ["p"] * 2 + ["interval"] * 2


def test_resume_is_byte_for_byte(tmp_path, monkeypatch):
    one = cs.Experiment(same_network(cs)[0], {"a": script(reset=False)}, noise=0.1)
    assert_resumed_is_the_same(one, range(1, 4), tmp_path, monkeypatch)
