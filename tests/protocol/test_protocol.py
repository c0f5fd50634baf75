import pytest

import cortex_sim as cs

SETTLE, LEARN = cs.Phase("settle", 200), cs.Phase("learn", 400, plasticity=True)


def test_its_length_and_what_is_recorded():
    protocol = cs.Protocol(SETTLE, LEARN, interval_ms=50)
    assert protocol.duration_ms == 650.0 and protocol.plastic
    assert protocol.durations_ms == {"settle": 200.0, "learn": 400.0, "interval": 50.0}
    assert protocol.recorded_phase == "learn"
    assert protocol.replace(record=cs.Record(phase="interval")).recorded_phase == "interval"
    assert not cs.Protocol(SETTLE).plastic


def test_replace_changes_only_what_is_named():
    protocol = cs.Protocol(SETTLE, LEARN, trials=3, eta_per_s={"V1->IT": 2})
    other = protocol.replace(lesion="IT->V1", phases=[LEARN])
    assert other == cs.Protocol(LEARN, trials=3, eta_per_s={"V1->IT": 2.0}, lesion=["IT->V1"])
    assert protocol.lesion == () and protocol == protocol.replace() != other
    with pytest.raises(cs.DeclarationError, match="did you mean 'trials'?"):
        protocol.replace(trial=3)


@pytest.mark.parametrize(
    "phases, settings, message",
    [
        ([], {}, "Protocol: needs at least one phase"),
        ([[SETTLE, LEARN]], {}, "write Protocol(*phases)"),
        ([SETTLE, SETTLE], {}, "two phases are called settle"),
        ([SETTLE], {"trials": 0}, "trials must be a whole number of at least 1"),
        ([SETTLE], {"batch": 1.5}, "batch must be a whole number"),
        ([SETTLE], {"repeat": 0}, "repeat must be a whole number"),
        ([SETTLE], {"reset": 1}, "reset must be True or False"),
        ([SETTLE], {"order": "shufled"}, "did you mean 'shuffled'?"),
        ([SETTLE], {"interval_ms": -1}, "interval_ms must be 0 or more"),
        ([SETTLE], {"lesion": {"V1": 1}}, "lesion must be a list of names"),
        ([SETTLE], {"reset": False, "batch": 2}, "cannot run 2 side by side"),
        ([SETTLE], {"eta_per_s": -1}, "eta_per_s must be 0 or more"),
        ([SETTLE], {"eta_per_s": {"V1->IT": "x"}}, "eta_per_s of V1->IT must be a number"),
        ([SETTLE], {"record": "rate"}, "record must be a Record"),
        ([SETTLE], {"record": cs.Record(phase="setle")}, "did you mean 'settle'?"),
        ([SETTLE], {"record": cs.Record(phase="interval")}, "unknown phase of Record 'interval'"),
        ([SETTLE], {"record": cs.Record(every_ms=201)}, "every_ms=201 is longer than a trial, 200 ms"),
        ([cs.Phase("interval", 5)], {"interval_ms": 1}, "adds a phase called interval"),
        ([SETTLE], {"probe": SETTLE}, "probe must be a Protocol"),
        ([SETTLE], {"probe": cs.Protocol(SETTLE, probe=cs.Protocol(SETTLE))}, "a probe cannot have a probe"),
        ([LEARN], {"probe": cs.Protocol(LEARN)}, "the probe's phase learn has plasticity"),
        ([SETTLE], {"probe": cs.Protocol(SETTLE, repeat=2)}, "a probe is one block. Got repeat=2"),
        (
            [SETTLE],
            {"probe": cs.Protocol(SETTLE, record=cs.Record(phase="settle"))},
            "give record=... to the protocol only",
        ),
        ([SETTLE, LEARN], {"probe": cs.Protocol(SETTLE)}, "use Record(phase='settle')"),
        ([LEARN], {"probe": cs.Protocol(SETTLE)}, "call one of its phases learn"),
        (
            [SETTLE, LEARN],
            {"probe": cs.Protocol(SETTLE), "record": cs.Record(every_ms=10)},
            "needs the phases settle (200 ms), learn (400 ms). Got settle (200 ms)",
        ),
    ],
)
def test_what_is_no_protocol_is_refused(phases, settings, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        cs.Protocol(*phases, **settings)
    assert message in str(refusal.value)


def test_experiment_gives_every_arm_its_network():
    net = cs.model("digits_mlp")
    other = net.with_rule("backprop")
    protocol = cs.Protocol(SETTLE)
    experiment = cs.Experiment(net, {"gait": protocol, "backprop": cs.Arm(protocol, other)})
    assert experiment.network_of("gait") is net and experiment.network_of("backprop") is other
    assert experiment.arms["gait"] == cs.Arm(protocol)
    with pytest.raises(cs.DeclarationError, match="unknown arm 'gaitt'"):
        experiment.network_of("gaitt")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"network": "digits_mlp"}, "must be a Network, as in Experiment(net, {...}). Got 'digits_mlp'"),
        ({"arms": {}}, "arms must be a mapping"),
        ({"arms": cs.Protocol(SETTLE)}, "arms must be a mapping"),
        ({"arms": {"": cs.Protocol(SETTLE)}}, "an arm's name must be a non-empty string"),
        ({"arms": {"a": SETTLE}}, "arm a must be a Protocol, a Sequence or an Arm"),
        ({"dt_ms": 0}, "dt_ms must be a positive number"),
        ({"apical_tau_ms": "x"}, "apical_tau_ms must be a number"),
        ({"noise": -1}, "noise must be 0 or more"),
        ({"engine": "synapse"}, "did you mean 'synapses'?"),
        (
            {"arms": {"a": cs.Arm(cs.Protocol(SETTLE), cs.model("digits_mlp", hidden=5))}},
            "V1 is Population(name='V1', shape=(64,)",
        ),
        (
            {"arms": {"a": cs.Arm(cs.Protocol(SETTLE), cs.Network("empty"))}},
            "but missing in the network of arm a",
        ),
    ],
)
def test_what_is_no_experiment_is_refused(settings, message):
    good = {"network": cs.model("digits_mlp"), "arms": {"a": cs.Protocol(SETTLE)}}
    with pytest.raises(cs.DeclarationError) as refusal:
        cs.Experiment(**{**good, **settings})
    assert message in str(refusal.value)
