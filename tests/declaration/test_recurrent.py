"""Recurrent projections, top-down drive and gain: declared, shown, copied and refused."""

import numpy as np
import pytest
from loops import two_areas

import cortex_sim as cs
from cortex_sim.loops import loops_of


def three():
    net = cs.Network("three")
    net.population("retina", 7)
    net.population("V1", 5, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="hebbian")
    net.bottom_up("V1", "IT", plasticity="hebbian")
    return net


def refused(*parts):
    return pytest.raises(cs.DeclarationError, match=".*".join(parts))


def test_reads_as_it_was_declared():
    net = three()
    back = net.recurrent("IT", "V1", cs.Dense(init="xavier"), plasticity="oja", regulariser=cs.Decay(0.1))
    assert (back.name, back.kind, back.pre, back.post) == ("IT->V1 recurrent", "recurrent", "IT", "V1")
    assert (back.plasticity, back.regularisers) == (cs.Oja(), (cs.Decay(0.1),))
    assert back.is_recurrent and back.drives and not (back.is_top_down or back.is_lateral or back.is_gain)
    net.check()
    assert net.recurrents == [back] and [p.name for p in net.drivers("V1")] == ["retina->V1", back.name]
    assert [p.name for p in net.inputs("V1")] == ["retina->V1"] and net.stimulated == ["retina"]


def test_top_down_drive_is_a_recurrent_projection():
    net, other = three(), three()
    net.top_down("IT", "V1", effect="drive", connector=cs.Dense(init="xavier"))
    other.recurrent("IT", "V1", cs.Dense(init="xavier"))
    assert net == other


def test_gain_drives_nothing():
    net = three()
    gain = net.top_down("IT", "V1", effect="gain", plasticity="hebbian")
    assert (gain.name, gain.kind) == ("IT->V1 gain", "gain") and gain.is_gain and not gain.drives
    assert net.gains == [gain] and net.recurrents == net.top_downs == []


def test_one_pair_may_be_joined_in_every_way():
    net = three()
    for effect in ("drive", "gain"):
        net.top_down("IT", "V1", effect=effect)
    net.top_down("IT", "V1", feedback="random")
    net.recurrent("V1", "V1")
    net.lateral("V1")
    net.check()
    drawn = net.initial_weights(3)
    assert list(drawn) == [p.name for p in net.projections.values()]
    assert len({w.tobytes() for w in drawn.values()}) == len(drawn)  # a stream of its own for each


def test_credit_runs_beside_a_recurrent_projection():
    net = three()
    back, loop = net.recurrent("IT", "V1"), net.recurrent("V1", "V1")
    up = net.top_down("V1", "IT", feedback=cs.Transpose(of=back))
    around = net.top_down("V1", "V1", feedback=cs.Transpose(of=loop))
    assert (up.name, up.reverse_name, back.reverse_name) == ("V1->IT credit", back.name, up.name)
    assert (around.name, around.reverse_name) == ("V1->V1 credit", "V1->V1 recurrent")
    assert cs.Network.from_yaml(net.to_yaml()) == net


def test_survives_yaml_and_copies():
    net = two_areas("oja", gain=True)
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net == net.copy()
    for name, w in net.initial_weights(2).items():
        np.testing.assert_array_equal(w, again.initial_weights(2)[name])
    text = three().to_yaml() + "- {kind: recurrent, pre: IT, post: V1, feedback: random}\n"
    with refused("unknown key of recurrent projection IT->V1 'feedback'"):
        cs.Network.from_yaml(text)


def test_one_word_adds_credit_around_every_loop():
    net = three()
    net.recurrent("IT", "V1", plasticity="hebbian")
    net.recurrent("V1", "V1")
    net.top_down("IT", "V1", effect="gain", plasticity="hebbian")
    net.objective("IT", "cross_entropy")
    found = net.with_rule("gait_prop")
    assert [p.name for p in found.top_downs] == ["IT->V1", "V1->IT credit", "V1->V1 credit"]
    assert found.projections["IT->V1 recurrent"].plasticity == cs.GaitProp()
    assert found.projections["V1->V1 recurrent"].plasticity is None
    assert found.projections["IT->V1 gain"].plasticity == cs.Hebbian()
    assert found.with_rule("gait_prop") == found == cs.Network.from_yaml(found.to_yaml())


def test_is_shown_in_print_and_repr():
    net = two_areas("oja", gain=True)
    shown = str(net)
    assert "\nrecurrent\n" in shown and "\ngain, without credit\n" in shown
    assert "B->A recurrent  Dense(init=Xavier)  (5, 3)   Oja" in shown
    assert "1 lateral, 2 recurrent, 1 gain projections" in repr(net)
    assert "recurrent" not in str(three()) + repr(three())


def test_is_drawn():
    words = [text.get_text() for text in two_areas("oja", gain=True).draw().axes[0].texts]
    assert words.count("Oja") == 5 and {"recurrent", "gain", "lateral"} <= set(words)
    assert "recurrent" not in [text.get_text() for text in three().draw().axes[0].texts]


def test_loops_are_found():
    net = two_areas(gain=True)
    (loop,) = loops_of(net)
    assert loop.populations == ("A", "B") and len(loop.projections) == 4
    assert [one.populations for one in loops_of(net, {"A"})] == [("A",)] and loops_of(net, {"B"}) == []
    assert loops_of(three()) == []
    chain = three()
    chain.recurrent("retina", "IT")  # closes nothing
    assert loops_of(chain) == []


def test_the_matrix_of_a_loop():
    net = two_areas()
    w = net.initial_weights(1)
    (loop,) = loops_of(net)
    expected = np.block(
        [
            [w["A->A recurrent"] - w["A->A"], 0.5 * w["B->A recurrent"]],
            [w["A->B"], np.zeros((3, 3))],
        ]
    )
    np.testing.assert_allclose(loop.matrix(net, w, {"B->A recurrent": 0.5}), expected, atol=1e-15)


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda n: n.recurrent("V1", "IT"), ["V1->IT recurrent: V1 already drives IT by V1->IT"]),
        (lambda n: (n.recurrent("V1", "V1"), n.recurrent("V1", "V1")), [r"already declared \(recurrent\)"]),
        (lambda n: n.bottom_up("IT", "V1"), ["closes the cycle", r"use net.recurrent\('IT', 'V1', ...\)"]),
        (lambda n: n.bottom_up("V1", "V1"), ["connects V1 to itself", r"net.recurrent\('V1', 'V1', ...\)"]),
        (lambda n: n.recurrent("V2", "V1"), ["unknown population of three 'V2'"]),
        (lambda n: n.recurrent("IT", "V1", np.ones((3, 5))), ["connector must be"]),
        (
            lambda n: n.recurrent("IT", "V1", cs.Dense(np.ones((3, 5)))),
            ["IT->V1: weights have shape", r"give shape \(5, 3\)"],
        ),
        (
            lambda n: n.recurrent("IT", "V1", "identity"),
            [r"IT->V1: Identity\(\) needs populations of the same shape"],
        ),
        (lambda n: n.recurrent("IT", "V1", plasticity="decorrelation"), ["is recurrent; use net.lateral"]),
        (
            lambda n: n.recurrent("IT", "V1", plasticity=cs.KolenPollack(of="V1->IT")),
            ["KolenPollack changes top-down weights, but IT->V1 recurrent is recurrent"],
        ),
        (
            lambda n: n.top_down("IT", "V1", effect="gain", plasticity="backprop"),
            ["Backprop needs credit for a drive, but IT->V1 gain sets a gain"],
        ),
        (lambda n: n.top_down("IT", "V1", effect="boost"), ["'boost'; known: credit, drive, gain"]),
        (
            lambda n: n.top_down("IT", "V1", feedback="random", effect="gain"),
            ["feedback says where the weights of credit come from", "connector=..."],
        ),
        (
            lambda n: n.top_down("IT", "V1", feedback="random", connector="dense"),
            ["weights of credit come from feedback=..., not from a connector"],
        ),
        (lambda n: n.top_down("IT", "V1"), ["feedback must be one of"]),
        (lambda n: n.top_down("V1", "V1", feedback="random"), ["connects V1 to itself"]),
        (
            lambda n: (n.recurrent("IT", "retina"), n.check()),
            ["rates of retina are the stimulus", "added to"],
        ),
        (
            lambda n: (n.top_down("IT", "retina", effect="gain"), n.check()),
            ["rates of retina are the stimulus", "multiplied with"],
        ),
        (
            lambda n: (n.recurrent("IT", "V1", plasticity="backprop"), n.check()),
            ["needs an objective"],
        ),
        (
            lambda n: (
                n.recurrent("IT", "V1"),
                n.objective("IT", "cross_entropy"),
                n.with_rule("target_prop"),
            ),
            ["IT->V1 recurrent: TargetProp computes targets from the top down, which never ends in a loop"],
        ),
    ],
)
def test_what_does_not_belong_is_refused(declare, says):
    with refused(*says):
        declare(three())
