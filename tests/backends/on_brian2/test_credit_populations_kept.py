"""Populations of a credit network in recordings, sessions, closed loops and YAML; what is refused of them."""

import numpy as np
import pytest
from networks import shown
from taught import by_name, script, taught

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.viz.timeline_rows import rows_of


def test_recordings_hold_them_in_netcdf_and_nwb(tmp_path):
    net = taught()
    x, y = shown(net, 2)
    protocol = script(net, x, y, ms=40.0, every_ms=20.0)
    protocol = protocol.replace(record=cs.Record(populations=["TDCA V1", "V1"], every_ms=20.0))
    recording = cs.brian2.run(cs.Experiment(net, {"all": protocol}, dt_ms=2.0), out=tmp_path / "all.nc")
    assert recording["neuroid_id"].values.tolist() == [
        *(f"V1/{i}" for i in range(11)),
        *(f"TDCA V1/{i}" for i in range(5)),
    ]
    assert set(recording["population"].values) == {"V1", "TDCA V1"}
    kept = cs.recording.load(tmp_path / "all.nc")
    np.testing.assert_array_equal(kept["rate"], recording["rate"])
    cs.recording.save_nwb(recording, tmp_path / "all.nwb")
    pynwb = pytest.importorskip("pynwb")
    with pynwb.NWBHDF5IO(tmp_path / "all.nwb", "r") as file:
        found = file.read()
        names = {name for module in found.processing.values() for name in module.data_interfaces}
    assert any("TDCA V1" in name for name in names), names


def test_by_default_they_are_not_recorded():
    net = taught()
    x, y = shown(net, 2)
    protocol = script(net, x, y, ms=20.0).replace(record=cs.Record())
    assert set(QuasiStatic(net).run(protocol)["population"].values) == set(net.populations)


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_a_session_continues_with_what_was_injected(engine):
    net = taught()
    x, y = shown(net, 1)
    settings = {"drive": {"TDCA V1": 0.5}, "ms": 30.0}
    whole, half, other = (cs.brian2.build(net, dt_ms=2.0, engine=engine) for _ in range(3))
    on = script(net, x, y, **settings).replace(reset=False)
    whole.run(on)
    expected = whole.run(on)
    half.run(on)
    other.restore(half.checkpoint())
    np.testing.assert_array_equal(other.run(on)["rate"], expected["rate"])
    assert np.abs(half.checkpoint()["moving:TDCA V1:injected"]).max() > 0.1


def raised(seen, state, rng):
    return {"level": state["level"] + 0.1, "off": int(seen.trial > 0), "seen": seen["TDCA V1"].sum()}


@pytest.mark.parametrize("build", [lambda net: cs.brian2.build(net, dt_ms=2.0), QuasiStatic])
def test_closed_loops_read_drive_cut_and_silence_them(build):
    net = taught()
    x, y = shown(net, 1)
    loop = cs.ClosedLoop(raised, ["TDCA V1"], "all", state={"level": 0.0, "off": 0, "seen": 0.0})
    protocol = script(
        net,
        x,
        y,
        drive={"TDCA V1": loop["level"]},
        silence={"TDCA V2": loop["off"]},
        cut={"TDCA deep->TDCA V1": loop["off"]},
    ).replace(trials=3, batch=None)
    rate = by_name(net, build(net).run(protocol), "rate")
    g = [QuasiStatic(net).run(script(net, x, y, cut=cut)) for cut in ([], ["TDCA deep->TDCA V1"])]
    plain, cut = (by_name(net, one, "rate")["TDCA V1"][0] for one in g)
    np.testing.assert_allclose(rate["TDCA V1"], [plain, plain + 0.1, cut + 0.2], atol=1e-6)
    assert rate["TDCA V2"][:2].any() and not rate["TDCA V2"][2].any()


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, said",
    [
        (
            {"nudge": {"TDCA V1": np.ones(5)}},
            r"nudge of phase all: TDCA V1 is a population of the credit .* drive={",
        ),
        ({"spontaneous": ["TDCA V1"]}, r"spontaneous of phase all: TDCA V1 is .*'TDCA V1': cs.Noise\(0.1\)"),
        (
            {"delay_ms": {"TDCA deep->TDCA V1": 4}},
            r"delay_ms of phase all: TDCA deep->TDCA V1 is inside .* TDCA V1->V1",
        ),
        (
            {"noise": {"TDCA->TDCA deep": 0.1}},
            r"noise of phase all: TDCA->TDCA deep is inside .* drive TDCA deep with",
        ),
        ({"silence": ["TDCA V1/5"]}, r"no unit TDCA V1/5; TDCA V1 has units TDCA V1/0 to TDCA V1/4"),
        ({"silence": ["TDCA V9"]}, r"unknown population .*TDCA V9.*TDCA V1"),
        ({"silence": ["TDCA deep->TDCA V1"]}, r"is a projection, and only populations and units can be"),
        ({"cut": ["TDCA V1"]}, r"TDCA V1 is not a projection, .* silence=\['TDCA V1'\]"),
        ({"cut": ["TDCA V1->TDCA deep"]}, r"unknown projection in cut"),
        ({"drive": {"TDCA V1": np.ones(7)}}, r"drive of TDCA V1 has shape \(7,\); give \(5,\)"),
    ],
)
def test_what_cannot_be_is_refused_when_the_experiment_is_made(settings, said):
    net = taught()
    x, y = shown(net, 2)
    with pytest.raises(cs.DeclarationError, match=said):
        cs.Experiment(net, {"all": script(net, x, y, **settings)})


def test_a_network_without_a_credit_network_has_none_of_them():
    net = taught().with_rule("feedback_alignment")
    x, y = shown(net, 2)
    for settings in ({"silence": ["TDCA V1"]}, {"drive": {"TDCA V1": 1.0}}, {"cut": ["TDCA deep->TDCA V1"]}):
        with pytest.raises(cs.DeclarationError, match="unknown p"):
            cs.Experiment(net, {"all": script(net, x, y, **settings)})


def test_they_survive_yaml_and_stand_in_the_time_line():
    net = taught()
    x, y = shown(net, 2)
    settings = {"drive": {"TDCA V1": 0.5}, "silence": ["TDCA V2/1"], "cut": ["TDCA base->TDCA V1"]}
    experiment = cs.Experiment(net, {"all": script(net, x, y, **settings)})
    assert cs.Experiment.from_yaml(experiment.to_yaml()) == experiment
    rows = {row.label for row in rows_of(experiment.arms["all"].protocol, ["TDCA deep"])}
    expected = {"drive TDCA V1", "silence TDCA V2/1", "cut TDCA base->TDCA V1", "silence TDCA deep"}
    assert expected <= rows
