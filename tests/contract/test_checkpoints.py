"""Checkpoints and copies of sessions: one's own is gone back to, another's or a damaged one is named."""

import copy
import pickle

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.errors import RunError

X, Y = np.random.default_rng(0).normal(size=(4, 5)), np.arange(4) % 3


def network(rule="gait_prop", hidden=4):
    net = cs.Network("small")
    net.population("retina", 5)
    net.population("V1", hidden, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(rule)


def script(**settings):
    phase = cs.Phase("learn", 20, drive={"retina": X}, nudge={"IT": Y}, plasticity=True, **settings)
    return cs.Protocol(phase, eta_per_s=2.0, record=cs.Record(("rate", "credit")))


SESSIONS = {
    "batched": lambda net: cs.brian2.build(net),
    "synapses": lambda net: cs.brian2.build(net, engine="synapses"),
    "torch": QuasiStatic,
}
sessions = pytest.mark.parametrize("build", SESSIONS.values(), ids=SESSIONS)


def everything(session):
    return {name: np.array(values) for name, values in session.checkpoint().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def learned(build, net=None):
    session = build(network() if net is None else net)
    session.run(script())
    return session


def without(kept):
    return {n: a for n, a in kept.items() if n != "weight:V1->IT"}


DAMAGED = {
    "missing": (without, "the checkpoint has no 'weight:V1->IT'"),
    "shape": (lambda k: k | {"weight:V1->IT": np.zeros((2, 2))}, r"has shape \(2, 2\) in the checkpoint"),
    "text": (
        lambda k: k | {"bias:V1": np.array(list("abcd"))},
        "'bias:V1' in the checkpoint is not an array",
    ),
    "more": (lambda k: k | {"weight:V1->V4": np.zeros((2, 2))}, "V1->V4', but this network does not"),
    "nothing": (lambda k: {}, "the checkpoint has no"),
    "no mapping": (lambda k: "run/checkpoint", "must be the mapping that checkpoint"),
}


@sessions
@pytest.mark.parametrize("damage, said", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_is_named_and_changes_nothing(build, damage, said):
    session = build(network())
    before = everything(session)
    kept = everything(build(network()))
    kept["weight:retina->V1"] = kept["weight:retina->V1"] + 1.0
    with pytest.raises(RunError, match=f"network small: .*{said}"):
        session.restore(damage(kept))
    assert_same(before, everything(session))


@sessions
def test_another_networks_checkpoint_is_named(build):
    with pytest.raises(RunError, match="network small: .* has shape"):
        build(network()).restore(build(network(hidden=6)).checkpoint())


def test_what_a_trial_left_must_be_of_the_network_too():
    kept = everything(learned(SESSIONS["batched"]))
    for name in ("moving:V4:a", "delayed:V1->V4"):
        with pytest.raises(RunError, match=f"holds {name!r}"):
            cs.brian2.build(network()).restore(kept | {name: np.zeros((1, 2))})


COPIES = {"pickle": lambda s: pickle.loads(pickle.dumps(s)), "deepcopy": copy.deepcopy}


@sessions
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("rule", ["gait_prop", "bcm", "gait_prop_learned"])
def test_a_copy_goes_on_as_the_original_and_apart_from_it(build, copied, rule):
    session = build(network(rule))
    awake = cs.Phase("show", 10, drive={"retina": X}, delay_ms={"V1->IT": 2.0})
    session.run(cs.Protocol(awake, trials=3, batch=1))
    before = everything(session)
    other = copied(session)
    assert_same(before, everything(other))
    further = cs.Protocol(awake, trials=2, reset=False)
    if rule != "gait_prop_learned":
        further = script()
    seen = session.run(further)
    assert_same(before, everything(other))
    np.testing.assert_array_equal(seen.rate.values, other.run(further).rate.values)
    assert_same(everything(session), everything(other))


def monitors(groups):
    return []


def test_extra_travels_where_it_can():
    sim = cs.brian2.build(network(), extra=monitors)
    assert pickle.loads(pickle.dumps(sim)).run(script()) is not None
    local = cs.brian2.build(network(), extra=lambda groups: [])
    with pytest.raises(RunError, match="network small: a simulation whose extra is .*lambda"):
        pickle.dumps(local)
    assert copy.deepcopy(local).run(script()) is not None


def test_edits_of_brian2s_own_variables_travel():
    sim = cs.brian2.build(network(), engine="synapses")
    sim.built.engine.synapses["V1->IT"].w = 0.25
    assert (copy.deepcopy(sim).weights.matrix["V1->IT"] == 0.25).all()
