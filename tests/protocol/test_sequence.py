"""Sequences of protocols: one recording, one count of trials, one resume."""

import numpy as np
import pytest
from own_euler import Chain, same_network
from stopped_runs import assert_resumed_is_the_same

import cortex_sim as cs
from cortex_sim.protocol.planning import plan

RNG = np.random.default_rng(2)
X, Y, GOALS = RNG.normal(size=(3, 7)), RNG.normal(size=(2, 7)), RNG.normal(size=(3, 3))
RECORD = cs.Record(weights=True)


def parts(**settings):
    learn = cs.Phase("p", 20, drive={"retina": X}, nudge={"IT": GOALS}, plasticity=True)
    first = cs.Protocol(learn, repeat=2, record=RECORD, eta_per_s=4.0, **settings)
    rest = cs.Protocol(cs.Phase("p", 10, drive={"retina": Y}), record=RECORD, lesion=["V1->IT"], **settings)
    return first, rest


def test_a_sequence_is_its_protocols_one_after_another():
    net, w, v = same_network(cs)
    one = cs.Sequence(*parts(), parts()[0])
    seen = cs.brian2.run(cs.Experiment(net, {"a": one}, dt_ms=2.0), progress=False)
    assert seen["trial"].values.tolist() == list(range(14))
    assert seen["block"].values.tolist() == [1] * 3 + [2] * 3 + [3] * 2 + [4] * 3 + [5] * 3
    assert seen["protocol"].values.tolist() == [0] * 6 + [1] * 2 + [2] * 6
    again = ["0", "1", "2"]
    assert seen["stimulus_id"].values.tolist() == [*again * 2, "protocol 2 0", "protocol 2 1", *again * 2]
    assert seen["repetition"].values[seen["protocol"].values == 2].tolist() == [2] * 3 + [3] * 3
    hand = Chain(w, v, 2.0)
    for k, (x, goal) in enumerate([*zip(X, GOALS, strict=True)] * 2 + [(y, None) for y in Y]):
        hand.rest()
        for _ in range(10 if goal is not None else 5):
            if goal is None:
                hand.step(x, scale=0.0)
            else:
                hand.step(x, goal=goal, strength=1.0, eta=4.0)
        np.testing.assert_allclose(seen["rate"].values[k, 7:], np.concatenate(hand.rates()), atol=1e-12)
        if goal is not None:  # the last two trials run side by side
            np.testing.assert_allclose(seen["weight:V1->IT"].values[k + 1], hand.v, atol=1e-12)


def test_both_backends_run_a_sequence():
    net, _, _ = same_network(cs)
    show = [cs.Protocol(cs.Phase("p", 600, drive={"retina": x})) for x in (X, Y)]
    experiment = cs.Experiment(net, {"a": cs.Sequence(*show)})
    in_time, settled = (b.run(experiment, progress=False) for b in (cs.brian2, cs.torch))
    np.testing.assert_allclose(in_time["rate"], settled["rate"], atol=1e-6)
    sim = cs.brian2.build(net)
    assert sim.run(cs.Sequence(*show), arm="both")["arm"].values.tolist() == ["both"] * 5


def test_without_reset_a_protocol_continues_from_the_one_before():
    net, _, _ = same_network(cs)
    made = plan(cs.Sequence(*parts(reset=False)), net, 0)
    assert [shown.reset for shown in made.shown] == [True] + [False] * 7
    probe = cs.Protocol(cs.Phase("p", 10, drive={"retina": Y}))
    probed = plan(cs.Sequence(*(one.replace(probe=probe) for one in parts(reset=False))), net, 0)
    fresh = [s.trials[0] for s in probed.shown if s.stage == "trial" and s.reset]
    assert fresh == [0, 3, 6] and [s.trials for s in probed.shown if s.stage == "probe"][-1] == (8, 9)


def test_trials_that_differ_count_within_their_own_protocol():
    net, _, _ = same_network(cs)
    one = cs.Protocol(cs.Phase("p", [10, 20]))
    assert [s.duration_ms for s in plan(cs.Sequence(one, one), net, 0).shown] == [10, 20, 10, 20]


def test_each_protocol_of_a_sequence_is_shuffled_anew():
    net, _, _ = same_network(cs)
    one = cs.Protocol(cs.Phase("p", 10, drive={"retina": np.zeros((20, 7))}), order="shuffled", batch=20)
    first, second = (s.images for s in plan(cs.Sequence(one, one), net, 0).shown)
    assert sorted(first) == sorted(second) == list(range(20)) and first != second
    assert first == plan(one, net, 0).shown[0].images


def test_yaml_keeps_a_sequence():
    one = cs.Sequence(*parts())
    assert cs.Sequence.from_yaml(one.to_yaml()) == one
    net, _, _ = same_network(cs)
    experiment = cs.Experiment(net, {"a": one})
    assert cs.Experiment.from_yaml(experiment.to_yaml()) == experiment
    assert cs.Sequence(*parts(), repeat=2) == cs.Sequence(cs.Sequence(*parts()), *parts())
    with pytest.raises(
        cs.DeclarationError, match=r"the YAML holds a Sequence; read it with cs.Sequence.from_yaml"
    ):
        cs.Protocol.from_yaml(one.to_yaml())
    with pytest.raises(
        cs.DeclarationError, match=r"the YAML holds a Protocol; read it with cs.Protocol.from_yaml"
    ):
        cs.Sequence.from_yaml(parts()[0].to_yaml())


SHOW = cs.Protocol(cs.Phase("p", 10))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: cs.Sequence(), "Sequence: needs at least one protocol"),
        (lambda: cs.Sequence([SHOW]), r"takes protocols one after another; write Sequence\(\*protocols\)"),
        (lambda: cs.Sequence(SHOW, SHOW.replace(record=RECORD)), "give all the same record=..."),
        (
            lambda: cs.Sequence(SHOW, cs.Protocol(cs.Phase("q", 10))),
            "p in the first protocol and q in number 2",
        ),
        (lambda: cs.Sequence(SHOW, repeat=0), "Sequence: repeat must be a whole number of at least 1"),
    ],
)
def test_refused_with_the_way_out(make, message):
    with pytest.raises(cs.DeclarationError, match=message):
        make()


def test_resume_within_a_sequence_is_byte_for_byte(tmp_path, monkeypatch):
    one = cs.Experiment(same_network(cs)[0], {"a": cs.Sequence(*parts(reset=False))}, noise=0.1)
    assert_resumed_is_the_same(one, (2, 6, 7), tmp_path, monkeypatch)


def test_a_sequence_shows_the_time_line_of_each_protocol():
    shown = cs.Sequence(*parts())._repr_html_()
    assert shown.count("<svg") + shown.count("<img") >= 2
