import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import cortex_sim as cs

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ABOVE_0 = st.floats(1e-300, 1e300)
NAMES = st.sampled_from(["V1", "V2", "V1->V2", "V2->V1", "V1/3"])
ARRAYS = st.sampled_from(["f4", "f8", "i4", "u1"]).flatmap(
    lambda d: (
        arrays(d, array_shapes(max_side=4), elements={"allow_nan": False, "allow_infinity": False})
        if d[0] == "f"
        else arrays(d, array_shapes(max_side=4))
    )
)
STIMULI = st.builds(
    cs.Stimuli,
    st.sampled_from(["digits", "mnist.npz"]),
    st.sampled_from(["train", "test"]),
    st.none() | st.integers(1, 99),
    st.integers(0, 9),
    st.booleans(),
)


def maybe(values):
    """The values, or such that differ between trials."""
    each = st.builds(
        cs.PerTrial, st.lists(values, min_size=1, max_size=2), st.sampled_from(["trial", "image"])
    )
    later = st.builds(cs.FromTrial, st.dictionaries(st.integers(1, 9), values, min_size=1, max_size=2))
    return st.one_of(values, each, later)


ALONE = st.one_of(
    FINITE,
    ARRAYS,
    STIMULI,
    st.builds(cs.Noise, maybe(st.floats(0, 9)), maybe(FINITE), st.none() | ABOVE_0),
    st.builds(cs.Noise, covariance=st.floats(0, 9).map(lambda sd: sd * np.eye(2))),
    st.builds(cs.TimeSeries, ARRAYS, ABOVE_0),
)
DRIVES = ALONE | st.lists(maybe(ALONE), min_size=2, max_size=3).map(lambda parts: cs.Sum(*parts))
GOALS = ARRAYS | STIMULI
PHASES = st.builds(
    cs.Phase,
    st.text(min_size=1),
    ABOVE_0 | st.lists(ABOVE_0, min_size=1, max_size=3),
    drive=maybe(st.dictionaries(NAMES, maybe(DRIVES), max_size=2)),
    nudge=st.dictionaries(
        NAMES, maybe(GOALS | st.builds(cs.Nudge, GOALS, st.none() | maybe(FINITE))), max_size=2
    ),
    plasticity=maybe(
        st.booleans() | st.lists(NAMES, max_size=2) | st.dictionaries(NAMES, maybe(st.floats(0, 9)))
    ),
    spontaneous=st.just(()) | st.dictionaries(st.just("V4"), maybe(ABOVE_0)),
    silence=maybe(st.lists(NAMES, max_size=2)),
    cut=maybe(st.lists(NAMES, max_size=2)),
    scale=maybe(st.dictionaries(NAMES, maybe(FINITE), max_size=2)),
    delay_ms=st.dictionaries(NAMES, maybe(st.floats(0, 9)), max_size=2),
    noise=st.dictionaries(NAMES, maybe(st.floats(0, 9)), max_size=2),
    silence_error=maybe(st.lists(NAMES, max_size=2)),
    modulator=maybe(FINITE),
    strength=maybe(FINITE),
)


@given(PHASES)
def test_every_phase_survives_bit_by_bit(phase):
    protocol = cs.Protocol(phase)
    back = cs.Protocol.from_yaml(protocol.to_yaml(), seed=7)
    assert back == protocol and back.to_yaml() == protocol.to_yaml()


def full():
    """No setting at its default, so one forgotten on the way would show."""
    record = cs.Record(["credit", "rate"], ["V1"], phase="b", weights=["retina->V1"], weights_every=3)
    return cs.Protocol(
        cs.Phase("a", 10),
        cs.Phase("b", 20, plasticity=True),
        trials=7,
        repeat=2,
        order="shuffled",
        batch=3,
        interval_ms=5,
        lesion=["IT->V1", "V1/2"],
        probe=cs.Protocol(cs.Phase("b", 4), trials=2),
        probe_every=3,
        record=record,
        eta_per_s={"V1->IT": 0.5, "retina->V1": 0.25},
    )


def test_every_setting_of_a_protocol_survives():
    assert cs.Protocol.from_yaml(full().to_yaml()) == full()
    unreset = cs.Protocol(
        cs.Phase("a", 1), reset=False, eta_per_s=2, record=cs.Record(every_ms=1, weights=True)
    )
    assert cs.Protocol.from_yaml(unreset.to_yaml()) == unreset
    differing = full().replace(
        interval_ms=[0, 3], eta_per_s={"V1->IT": [1, 2]}, lesion=cs.FromTrial(4, ["IT->V1"])
    )
    assert cs.Protocol.from_yaml(differing.to_yaml()) == differing
    by_trial = cs.Protocol(cs.Phase("a", 1), lesion=cs.PerTrial([[], ["V1"]]), eta_per_s=[0, 2])
    assert cs.Protocol.from_yaml(by_trial.to_yaml()) == by_trial


def test_settings_that_differ_can_be_written_by_hand():
    text = """
    phases:
      - name: cue
        duration: {per_trial: [300 ms, 0.5 s]}
        drive:
          retina: {sum: [{data: digits, count: 2}, {sd: 0.1}]}
          V1: {per_trial: [0, {sd: 0.1, hold: 10 ms}], by: image}
        delay: {retina->V1: {per_trial: [0 ms, 5 ms]}}
        silence: {from_trial: 100, value: [V1/3]}
        cut: {from_trial: {10: [V1->IT], 20: []}}
    interval: [100 ms, 0.2 s]
    """
    (phase,) = cs.Protocol.from_yaml(text, seed=3).phases
    assert cs.Protocol.from_yaml(text, seed=3).interval_ms == cs.PerTrial((100.0, 200.0))
    assert phase == cs.Phase(
        "cue",
        [300, 500],
        drive={
            "retina": cs.Stimuli("digits", count=2, seed=3) + cs.Noise(0.1),
            "V1": cs.PerTrial([0, cs.Noise(0.1, hold_ms=10)], by="image"),
        },
        delay_ms={"retina->V1": [0, 5]},
        silence=cs.FromTrial(100, ["V1/3"]),
        cut=cs.FromTrial({10: ["V1->IT"], 20: []}),
    )


def test_an_experiment_survives_with_every_arm_s_network():
    net = cs.model("digits_mlp")
    arms = {"gait": full(), "backprop": cs.Arm(full(), net.with_rule("backprop"))}
    experiment = cs.Experiment(net, arms, dt_ms=0.5, apical_tau_ms=20, noise=0.1, engine="synapses")
    back = cs.Experiment.from_yaml(experiment.to_yaml())
    assert back == experiment
    assert back.network_of("backprop") == net.with_rule("backprop") != back.network_of("gait")


def test_a_file_is_written_whole_and_read_back(tmp_path):
    path = tmp_path / "protocol.yaml"
    assert full().to_yaml(path) == path.read_text(encoding="utf-8")
    assert cs.Protocol.from_yaml(path) == cs.Protocol.from_yaml(str(path)) == full()
    assert [p.name for p in tmp_path.iterdir()] == ["protocol.yaml"]


BY_HAND = """
network: {model: digits_mlp, settings: {hidden: 16}}
dt: 500 us
arms:
  intact: &intact
    phases:
      - name: settle
        duration: 0.2 s
        drive: &shown
          retina: {data: digits, split: train, count: 20}
          V1: {sd: 1e-3, hold: 10 ms}
      - name: learn
        duration_ms: 400
        drive: *shown
        nudge: {IT: {goal: {data: digits, count: 20}, strength: 2}}
        plasticity: [V1->IT]
        delay: {IT->V1: 5 ms}
    interval: 50ms
    record: {every: 10 ms}
  cut: {<<: *intact, lesion: IT->V1}
  backprop: {protocol: *intact, network: {rule: backprop}}
  learned: {protocol: *intact, network: {rule: gait_prop_learned}}
"""


def test_what_a_person_would_write():
    experiment = cs.Experiment.from_yaml(BY_HAND, seed=3)
    assert experiment.dt_ms == 0.5 and experiment.network.populations["V1"].size == 16
    intact = experiment.arms["intact"].protocol
    settle, learn = intact.phases
    assert settle.duration_ms == 200.0 and learn.duration_ms == 400.0 and intact.interval_ms == 50.0
    assert settle.drive["retina"] == cs.Stimuli("digits", count=20, seed=3)
    assert settle.drive["V1"] == cs.Noise(1e-3, hold_ms=10.0)
    assert learn.nudge["IT"] == cs.Nudge(cs.Stimuli("digits", count=20, seed=3), strength=2)
    assert learn.delay_ms == {"IT->V1": 5.0} and intact.record.every_ms == 10.0
    assert experiment.arms["cut"].protocol == intact.replace(lesion=["IT->V1"])
    assert experiment.network_of("backprop") == cs.model("digits_mlp", hidden=16).with_rule("backprop")
    assert experiment.arms["backprop"].protocol == intact


@pytest.mark.parametrize(
    "text, ms",
    [("200 ms", 200.0), ("0.2 s", 200.0), ("1e3us", 1.0), ("250 µs", 0.25), ("2 min", 120000.0), ("5", 5.0)],
)
def test_times_have_units(text, ms):
    protocol = cs.Protocol.from_yaml(f"phases:\n- {{name: a, duration_ms: {text}}}\n")
    assert protocol.phases[0].duration_ms == ms


A = "phases:\n- {name: a, duration: 1 ms%s}\n"
E = "network: digits_mlp\narms:\n  a: {phases: [{name: a, duration: 1 ms}]%s}\n"


@pytest.mark.parametrize(
    "text, message",
    [
        ("phases: [\n", "protocol YAML text: not YAML (while parsing"),
        ("- 1\n- 2\n", "protocol: expected settings, key: value"),
        ("trials: 3\n\n", "protocol: needs phases"),
        ("phases: {a: 1}\n", "phases must be a list of phases"),
        ("phases:\n- a\n", "phase: expected settings, key: value. Got 'a'"),
        ("phases:\n- {name: a}\n", "phase a: needs duration_ms"),
        ("phases:\n- {duration: 1 ms}\n", "phase: needs name"),
        ("phases:\n- {name: a, duration: 200}\n", "phase a: duration needs a unit, such as 200 ms"),
        ("phases:\n- {name: a, duration: 200 m}\n", 'duration must be a time such as "200 ms"'),
        ("phases:\n- {name: a, duration: 1 ms, duration_ms: 1}\n", "mean the same; keep one"),
        ("phases:\n- {name: a, name: b, duration: 1 ms}\n", "name is given twice below line 2"),
        (A % ", drives: {V1: 1}", "unknown key of phase a 'drives' (did you mean 'drive'?); known: cut"),
        (A % "" + "trial: 3\n", "unknown key of protocol 'trial' (did you mean 'trials'?)"),
        (A % "" + "record: {evry: 3}\n", "unknown key of record 'evry' (did you mean 'every_ms'?)"),
        (A % "" + "probe: {trials: 3}\n", "protocol: needs phases"),
        (A % ", drive: {V1: {mean: 1}}", "a mapping needs one of the keys sd, values, data, goal"),
        (A % ", drive: {V1: {sd: 1, men: 1}}", "unknown key of phase a: drive 'men' (did you mean 'mean'?)"),
        (A % ", drive: {V1: {data: digits, cout: 1}}", "did you mean 'count'?"),
        (A % ", drive: {V1: {values: [1, 2]}}", "phase a: drive: needs bin_ms"),
        (A % ", drive: [1]", "phase a: drive must be a mapping"),
        (A % ", drive: {V1: abc}", "drive of V1 must be a number, an array"),
        (A % ", drive: {V1: {dtype: f8, shape: [9], base64: AAAA}}", "needs 72 bytes. Got 3"),
        (A % ", drive: {V1: !!python/object/apply:os.getcwd []}", "is not YAML that is accepted here"),
    ],
)
def test_broken_protocols_say_what_is_wrong(text, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        cs.Protocol.from_yaml(text)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("arms: {}\n\n", "experiment: needs network"),
        ("network: digits_mlp\narms: [a]\n", "experiment: arms must map names to protocols"),
        (E % "" + "engin: batched\n", "unknown key of experiment 'engin' (did you mean 'engine'?)"),
        (E.replace("digits_mlp", "digit_mlp") % "", "did you mean 'digits_mlp'?"),
        (E.replace("digits_mlp", "own.py:net") % "", "own.py:net is code, which a YAML file does not run"),
        (E.replace("digits_mlp", "{rule: backprop}") % "", "needs a model, or a network declared in full"),
        (E.replace("digits_mlp", "{model: digits_mlp, feedback: {damping: 0}}") % "", "need a rule"),
        (E.replace("digits_mlp", "{modl: digits_mlp}") % "", "did you mean 'model'?"),
        (E % ", netwrk: 3", "unknown key of protocol 'netwrk'"),
        (E % ", protocol: {}, rule: x", "unknown key of arm a"),
    ],
)
def test_broken_experiments_say_what_is_wrong(text, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        cs.Experiment.from_yaml(text)
    assert message in str(refusal.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(cs.DeclarationError, match=r"none.yaml: cannot be read \(No such file"):
        cs.Protocol.from_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(cs.DeclarationError, match=r"binary.yaml: cannot be read \(it is not UTF-8"):
        cs.Experiment.from_yaml(tmp_path / "binary.yaml")


def test_numbers_from_numpy_survive():
    protocol = cs.Protocol(
        cs.Phase("a", np.float32(2.5), drive={"V1": np.float64(0.1)}, scale={"V1->V2": np.int64(2)}),
        trials=np.int64(3),
        batch=np.int32(1),
    )
    assert cs.Protocol.from_yaml(protocol.to_yaml()).to_yaml() == protocol.to_yaml()
