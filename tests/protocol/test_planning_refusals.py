import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.protocol.planning import plan


def network():
    """Every size a prime of its own; V1 carries channels."""
    net = cs.Network("small")
    net.population("retina", 7)
    net.population("V1", shape=(2, 3, 5), activation="leaky_relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="gait_prop")
    net.bottom_up("V1", "IT", plasticity="gait_prop")
    net.top_down("IT", "V1", feedback=cs.Inverse(of="V1->IT"))
    net.objective("IT", "cross_entropy")
    return net


def phase(**settings):
    return cs.Phase("p", 100, **settings)


IMAGES = np.zeros((4, 7))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"drive": {"retna": 1}}, "drive of phase p 'retna' (did you mean 'retina'?); known: IT, V1, retina"),
        ({"nudge": {"ITT": [1]}}, "nudge of phase p 'ITT' (did you mean 'IT'?)"),
        ({"nudge": {"V1": np.full((4, 30), 200, np.uint8)}}, "8-bit integers, which are grey levels"),
        ({"spontaneous": ["V2"]}, "spontaneous of phase p 'V2'; known: IT, V1, retina"),
        ({"silence": ["V2"]}, "silence of phase p 'V2'"),
        ({"silence": ["V2/1"]}, "silence of phase p 'V2'"),
        ({"silence": ["V1/30"]}, "no unit V1/30; V1 has units V1/0 to V1/29"),
        ({"silence": ["V1/-1"]}, "no unit V1/-1"),
        ({"silence": ["V1/x"]}, "no unit V1/x"),
        ({"cut": ["V1"]}, "cut of phase p: V1 is not a projection, such as retina->V1"),
        ({"silence": ["V1->IT"]}, "V1->IT is a projection, and only populations and units can be silenced"),
        ({"scale": {"IT->V2": 1}}, "scale of phase p 'IT->V2' (did you mean 'IT->V1'?)"),
        ({"delay_ms": {"IT->V2": 1}}, "delay_ms of phase p 'IT->V2'"),
        ({"noise": {"IT->V2": 1}}, "noise of phase p 'IT->V2'"),
        ({"silence_error": ["IT->V2"]}, "silence_error of phase p 'IT->V2'"),
        ({"silence_error": ["V1->IT"]}, "V1->IT is not top-down, so it has no error population"),
        ({"plasticity": ["V1->V2"]}, "plasticity of phase p 'V1->V2'"),
        ({"plasticity": {"V1->V2": 1}}, "plasticity of phase p 'V1->V2'"),
        ({"plasticity": ["IT->V1"]}, "IT->V1 has no plasticity rule, so no window can open; known: V1->IT"),
        ({"plasticity": True, "spontaneous": ["V1"]}, "plasticity=True opens no window"),
        ({"modulator": 2}, "modulator=2, but no rule of network small has a modulator"),
        ({"drive": {"retina": np.zeros(8)}}, "shape (8,); give (7,) for all, or (presentation, 7)"),
        ({"drive": {"retina": np.zeros((4, 7, 1))}}, "shape (4, 7, 1); give (7,)"),
        ({"drive": {"V1": np.zeros((3, 5))}}, "or (presentation, 30) or (presentation, 2, 3, 5)"),
        (
            {"drive": {"V1": cs.TimeSeries(np.zeros((9, 7)), 1)}},
            "give (bin,) for one input to all units, (bin, 30)",
        ),
        ({"nudge": {"retina": np.zeros(7)}}, "it has no bottom-up input, so its drive sets its rate"),
        ({"nudge": {"IT": [0, 3]}}, "labels must be from 0 to 2. Got 3"),
        ({"nudge": {"IT": [0, -1]}}, "labels must be from 0 to 2. Got -1"),
        ({"nudge": {"V1": [0, 1]}}, "labels are whole numbers of shape (presentation,), for IT only"),
        ({"nudge": {"IT": [0.0, 2.0]}}, "shape (2,) (float64); give (3,) for all"),
        ({"nudge": {"IT": [0.5, 0.5, 0.5]}}, "CrossEntropy takes probabilities"),
        ({"nudge": {"IT": [-0.5, 0.5, 1.0]}}, "CrossEntropy takes probabilities"),
        ({"drive": {"retina": IMAGES}, "nudge": {"IT": [0, 1]}}, "drive of retina in phase p 4, nudge of IT"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(settings, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        plan(cs.Protocol(phase(**settings)), network(), 0)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def spontaneous_only():
    net = cs.Network("mirror")
    net.population("retina", 7)
    net.population("V1", 5)
    net.bottom_up("retina", "V1")
    net.top_down("V1", "retina", feedback="random", plasticity=cs.WeightMirror(of="retina->V1"))
    return net


def transposed():
    return network().with_rule("backprop")


@pytest.mark.parametrize(
    "net, settings, message",
    [
        (spontaneous_only, {"plasticity": True}, "learns from spontaneous activity only"),
        (
            spontaneous_only,
            {"plasticity": ["V1->retina"]},
            "V1->retina learns from spontaneous activity of retina only; add spontaneous=['retina']",
        ),
        (
            spontaneous_only,
            {"plasticity": True, "spontaneous": ["V1"]},
            "no projection onto V1 that learns from spontaneous activity",
        ),
        (transposed, {"silence_error": ["IT->V1"]}, "IT->V1 has Transpose feedback, so it has no error"),
    ],
)
def test_what_does_not_fit_other_networks_is_refused(net, settings, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        plan(cs.Protocol(phase(**settings)), net(), 0)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"lesion": ["V2"]}, "unknown population in lesion 'V2'"),
        ({"lesion": ["IT->V2"]}, "unknown projection in lesion 'IT->V2'"),
        ({"lesion": ["V1/30"]}, "lesion: no unit V1/30"),
        ({"probe": cs.Protocol(phase(), lesion=["V2"])}, "unknown population in lesion 'V2'"),
        ({"eta_per_s": {"V1->V2": 1}}, "unknown projection in eta_per_s of Protocol 'V1->V2'"),
        ({"record": cs.Record(populations=["V2"])}, "unknown population of Record 'V2'"),
        ({"record": cs.Record(weights=["V1->V2"])}, "unknown projection in weights of Record 'V1->V2'"),
        ({"record": cs.Record(weights=["IT->V1"])}, "IT->V1 has no weights of its own; known: V1->IT"),
        (
            {"probe": cs.Protocol(phase(drive={"retina": IMAGES}, nudge={"IT": [1]}))},
            "probes: all images and labels of a protocol must have the same number of presentations",
        ),
    ],
)
def test_what_a_protocol_asks_beside_its_phases_is_checked(settings, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        plan(cs.Protocol(phase(), **settings), network(), 0)
    assert message in str(refusal.value)


def test_spontaneous_activity_of_a_lesioned_population_is_refused():
    protocol = cs.Protocol(phase(spontaneous=["V1"]), lesion=["V1"])
    with pytest.raises(cs.DeclarationError, match="V1 is spontaneously active, but the lesion silences it"):
        plan(protocol, network(), 0)
    assert plan(protocol.replace(lesion=["V1/3"]), network(), 0).shown[0].phases[0].alive["V1"][3] == 0


@pytest.mark.parametrize("protocol, seed", [(phase(), 0), (cs.Protocol(phase()), -1)])
def test_what_cannot_be_planned_at_all(protocol, seed):
    with pytest.raises(cs.DeclarationError, match="plan: "):
        plan(protocol, network(), seed)
