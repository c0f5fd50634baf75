import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import cortex_sim as cs
from cortex_sim import library
from cortex_sim.arrays import array_from_data, array_to_data
from cortex_sim.rules.base import WORDS


def round_trip(net):
    return cs.Network.from_yaml(net.to_yaml())


@pytest.mark.parametrize("name", library.names("models"))
def test_every_model_survives(name):
    assert round_trip(cs.model(name)) == cs.model(name)


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_survives(word, graph):
    if word == "target_prop" and graph.name != "chain":
        pytest.skip("target propagation takes chains only")
    net = graph.with_rule(word)
    back = round_trip(net)
    assert back == net
    for name, w in net.initial_weights(1).items():
        np.testing.assert_array_equal(back.initial_weights(1)[name], w)


def test_every_setting_survives(chain):
    """No setting at its default, so one forgotten on the way would show."""
    chain.population("V4", shape=(2, 3, 3), tau_ms=7.5, bias=False, nonnegative=True, activation="relu")
    chain.population("V5", shape=(5, 2, 2), activation=cs.LeakyRelu(slope=0.3))
    chain.bottom_up("V4", "V5", cs.Conv2d(2, init=cs.He(gain=0.5)), regulariser=cs.Decay(0.1))
    chain.bottom_up(
        "V2",
        "V4",
        plasticity=cs.GaitProp(form="finite", gamma=0.01, normalised=True, kappa=1e-5),
        regulariser=[cs.Orthogonality(0.1, probes=3, gain=None), cs.HardOrthogonality(2, 3, 0.5)],
    )
    chain.top_down("IT", "V2", feedback=cs.Inverse("V2->IT", 0.0, True, True, "iterative", 2, 3, 0.1))
    back = round_trip(chain)
    assert back == chain
    assert back.populations["V4"].tau_ms == 7.5 and not back.populations["V4"].bias
    assert back.projection("V2->V4").regularisers[0].gain is None
    assert back.projection("IT->V2").feedback.refresh == 3


def test_order_survives(fan_out):
    net = fan_out.with_rule("gait_prop")
    assert list(round_trip(net).projections) == list(net.projections)
    assert list(round_trip(net).populations) == list(net.populations)


def test_numbers_from_numpy_survive():
    net = cs.Network("numpy")
    net.population("retina", np.int64(4), tau_ms=np.float32(2.5))
    net.population("IT", 2, activation=cs.LeakyRelu(slope=np.float64(0.25)))
    net.bottom_up("retina", "IT", regulariser=cs.HardOrthogonality(every=np.int32(4)))
    assert round_trip(net) == net


@given(arrays("f8", (3, 2), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_given_weights_survive_bit_by_bit(w):
    net = cs.Network("given")
    net.population("retina", 2)
    net.population("IT", 3)
    net.bottom_up("retina", "IT", cs.Dense(init=w))
    net.top_down("IT", "retina", feedback=cs.Given(w.T))
    weights = round_trip(net).initial_weights(0)
    assert weights["retina->IT"].tobytes() == w.tobytes()  # −0.0 too
    assert weights["IT->retina"].tobytes() == np.ascontiguousarray(w.T).tobytes()


@given(st.sampled_from(["f4", "f8", "i4", "u1"]).flatmap(lambda d: arrays(d, array_shapes(max_side=4))))
def test_arrays_as_data_keep_every_bit(array):
    back = array_from_data(yaml.safe_load(yaml.safe_dump(array_to_data(array))))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_a_file_is_written_whole_and_read_back(tmp_path, chain):
    path = tmp_path / "chain.yaml"
    assert chain.to_yaml(path) == path.read_text(encoding="utf-8")
    assert cs.Network.from_yaml(path) == cs.Network.from_yaml(str(path)) == chain
    assert [p.name for p in tmp_path.iterdir()] == ["chain.yaml"]


def test_words_may_stand_where_no_setting_is_needed():
    """What a person would write by hand."""
    net = cs.Network.from_yaml(
        """
        network: hand
        populations:
          retina: {shape: [4]}
          IT: {shape: [2], activation: tanh}
        projections:
          - {kind: bottom_up, pre: retina, post: IT, plasticity: gait_prop, regularisers: decay}
        objective: {population: IT, name: cross_entropy}
        """
    )
    assert net.populations["IT"].activation == cs.Tanh()
    assert net.projection("retina->IT").connector == cs.Dense()
    assert net.projection("retina->IT").plasticity == cs.GaitProp()
    assert net.projection("retina->IT").regularisers == (cs.Decay(),)
    net.check()


RETINA = "network: n\npopulations:\n  retina: {shape: [4]}\n  IT: {shape: [2]}\n"
UP = RETINA + "projections:\n  - {kind: bottom_up, pre: retina, post: IT"
ARRAY = UP + ", connector: {name: dense, init: {name: array, weights: {%s}}}}\n"


@pytest.mark.parametrize(
    "text, message",
    [
        ("network: [\n", "network YAML text: not YAML (while parsing"),
        ("\n", "network YAML: needs the keys network, populations, projections, objective"),
        ("- a\n- b\n", "network YAML: needs the keys network"),
        ("populations: {}\nprojections: []\n", "network YAML: needs the keys network"),
        ("network: n\nprojectons: []\n", "'projectons' (did you mean 'projections'?)"),
        ("network: 3\npopulations: {}\n", "network: name must be a non-empty string. Got 3"),
        ("network: n\npopulations: [a]\n", "populations must be a mapping (name: settings), and"),
        ("network: n\nprojections: {a: b}\n", "populations must be a mapping (name: settings), and"),
        (
            "network: n\npopulations: {V1: 3}\n",
            "population V1: expected settings, key: value. Got 3",
        ),
        ("network: n\npopulations: {V1: {size: 3}}\n", "unknown key of population V1 'size'"),
        (
            "network: n\npopulations: {V1: {bias: true}}\n",
            "population V1: give either size or shape",
        ),
        ("network: n\npopulations: {V1: {shape: 3}}\n", "population V1: shape must be (unit,)"),
        ("network: n\npopulations: {1: {shape: [3]}}\n", "population 1: a name consists of letters"),
        (
            "network: n\npopulations:\n  V1: {shape: [3]}\n  V1: {shape: [4]}\n",
            "V1 is given twice below line 3; keep one",
        ),
        (RETINA + "projections: [{kind: bottom_up}]\n", "needs pre"),
        (RETINA + "projections: [4]\n", "projection: expected settings, key: value. Got 4"),
        (
            RETINA + "projections: [{kind: sideways, pre: retina, post: IT}]\n",
            "'sideways'; known: bottom_up, gain, lateral, recurrent, top_down",
        ),
        (
            RETINA + "projections: [{kind: top_down, pre: retina, post: IT}]\n",
            "feedback must be one of diffused, diffusion, given, inverse",
        ),
        (UP + ", feedback: random}\n", "unknown key of bottom-up projection retina->IT 'feedback'"),
        (UP + ", plasticity: gaitprop}\n", "unknown rule 'gaitprop' (did you mean 'gait_prop'?)"),
        (UP + ", plasticity: {name: gait_prop, gama: 1}}\n", "'gama' (did you mean 'gamma'?)"),
        (UP + ", plasticity: {gamma: 1}}\n", "rule: settings need a name, one of backprop"),
        (
            UP + ", plasticity: {name: [gait_prop]}}\n",
            "rule: settings need a name, one of backprop",
        ),
        (UP + ", connector: conv2d}\n", "connector conv2d has no default for kernel"),
        (
            UP + ", connector: {name: conv2d, kernel: 3}}\n",
            "a convolution needs populations of shape",
        ),
        (UP + "}\nobjective: cross_entropy\n", "objective: expected settings, key: value"),
        (
            UP + "}\nobjective: {name: cross_entropy}\n",
            "unknown population of n ''; known: IT, retina",
        ),
        (
            UP + "}\nobjective: {population: IT, name: hinge}\n",
            "unknown objective 'hinge'; known: cross_entropy",
        ),
        (
            ARRAY % "dtype: f8, shape: [2, 4], base64: AAAA",
            "shape (2, 4) of float64 needs 64 bytes. Got 3",
        ),
        (
            ARRAY % "dtype: f8, shape: [-1, 4], base64: AAAA",
            "dtype must be numeric and lengths 0 or more",
        ),
        (
            ARRAY % "dtype: O, shape: [1], base64: AAAAAAAAAAA=",
            "array in YAML: dtype must be numeric",
        ),
        (
            ARRAY % "dtype: nonsense, shape: [1], base64: AAAA",
            "array in YAML: needs dtype, shape and base64",
        ),
        (
            ARRAY % "dtype: f8, shape: [1], base64: '!'",
            "array in YAML: needs dtype, shape and base64",
        ),
        (ARRAY % "dtype: f8, shape: [1], base64: AAAAAAAA+H8=", "weights contain NaN or infinity"),
    ],
)
def test_broken_yaml_says_what_is_wrong(text, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        cs.Network.from_yaml(text)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_yaml_runs_no_code():
    with pytest.raises(cs.DeclarationError, match="is not YAML that is accepted here"):
        cs.Network.from_yaml("network: !!python/object/apply:os.getcwd []\n")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(cs.DeclarationError, match=r"none.yaml: cannot be read \(No such file"):
        cs.Network.from_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(cs.DeclarationError, match=r"binary.yaml: cannot be read \(it is not UTF-8"):
        cs.Network.from_yaml(tmp_path / "binary.yaml")
