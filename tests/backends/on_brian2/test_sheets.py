"""Grouped convolutions and pooling in time settle to torch's rates, credits and changes."""

import numpy as np
import pytest
from networks import Spread
from sheet_networks import sheets, shown
from timed import assert_close, by_population

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic

NEAR = Spread(0.8, 1.2)
ETA_T = 1e-6


def learning(x, y, batch=3):
    phase = {"drive": {"retina": x}, "nudge": {"IT": y}}
    return cs.Protocol(
        cs.Phase("settle", 600, **phase),
        cs.Phase("learn", 20, plasticity=True, **phase),
        batch=batch,
        record=cs.Record(("rate", "drive", "credit"), phase="settle", weights=True),
        eta_per_s=1000 * ETA_T / 20,
    )


def in_time_and_settled(net, script):
    sessions = cs.brian2.build(net, dt_ms=1.0), QuasiStatic(net)
    return [session.run(script) for session in sessions]


def changed(net, seen, name):
    weights = cs.recording.weights_of(seen, name)[1][-1]
    return weights - net.initial_weights(0)[name].reshape(weights.shape)


CASES = [
    ("backprop", "average"),
    ("backprop", "max"),
    ("gait_prop", "average"),
    ("gait_prop", "max"),
    ("kolen_pollack", "average"),
    ("oja", "average"),
    ("bcm", "max"),
]
REST = [("sign_symmetric", "max"), ("direct_feedback_alignment", "average"), ("sanger", "max")]


@pytest.mark.parametrize(
    "word, pool", [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in REST)]
)
def test_rates_credits_and_changes_settle_to_those_at_equilibrium(word, pool):
    net, (x, y) = sheets(pool, init=NEAR).with_rule(word), shown(4)
    in_time, settled = in_time_and_settled(net, learning(x, y, batch=2))
    for variable in ("rate", "drive", "credit"):
        ours, theirs = (by_population(net, seen, variable) for seen in (in_time, settled))
        assert_close(ours, theirs, 1e-8, skip={"retina"} if variable == "credit" else ())
    for p in net.projections.values():
        if p.plasticity is not None:
            ours, theirs = (changed(net, seen, p.name) for seen in (in_time, settled))
            assert abs(theirs).max() > 1e-10
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=5 * ETA_T * abs(theirs).max())


@pytest.mark.parametrize("rescale", [False, True])
def test_the_loop_of_each_group_reaches_torchs_credit(rescale):
    net = sheets(init=Spread(0.6, 1.4)).with_rule("gait_prop", rescale=rescale)
    x, y = shown(3)
    sim = cs.brian2.build(net, dt_ms=1.0)
    seen = sim.run(
        cs.Protocol(
            cs.Phase("settle", 1200, drive={"retina": x}, nudge={"IT": y}),
            batch=3,
            record=cs.Record(("rate", "credit")),
        )
    )
    model = cs.torch.build(net, seed=0, precision="64")
    expected = model.respond(x, y)
    for variable in ("rate", "credit"):
        ours, theirs = by_population(net, seen, variable), by_population(net, expected, variable)
        assert_close(ours, theirs, 1e-6, skip=("retina",))


def test_hard_orthogonality_pulls_each_group_back_after_a_trial():
    net = sheets(init="orthogonal", regularisers=cs.HardOrthogonality(every=1)).with_rule("backprop")
    sim = cs.brian2.build(net, dt_ms=1.0)
    w = sim.weights.matrix["V2->V4"]
    groups = np.split(w, 2)
    groups[1] *= 3.0  # a gain of its own
    w += 0.02 * np.random.default_rng(0).normal(size=w.shape)
    sim.weights.pull_back()
    for one, gain in zip(groups, (1.0, 3.0), strict=True):
        gram = one @ one.T
        scale = np.trace(gram) / len(gram)
        assert abs(scale / gain**2 - 1) < 0.1
        assert abs(gram / scale - np.eye(len(gram))).max() < 5e-3


def test_the_synapses_engine_refuses_them_by_name():
    net = sheets().with_rule("backprop")
    with pytest.raises(cs.BuildError, match="projection retina->V1: .*convolution shares them; use engine"):
        cs.brian2.build(net, engine="synapses")
    pooled = cs.Network("pooled")
    pooled.population("retina", shape=(1, 4, 4))
    pooled.population("V1", shape=(1, 2, 2))
    pooled.bottom_up("retina", "V1", cs.MaxPool2d(2))
    with pytest.raises(cs.BuildError, match="projection retina->V1: .*MaxPool2d has no weights"):
        cs.brian2.build(pooled, engine="synapses")


def test_the_winner_changes_in_time_and_credit_goes_to_the_present_one():
    net = cs.Network("winner")
    net.population("retina", shape=(1, 1, 2))
    net.population("V1", shape=(1, 1, 2))
    net.population("V2", shape=(1, 1, 1))
    net.bottom_up("retina", "V1", cs.Identity())
    net.bottom_up("V1", "V2", cs.MaxPool2d((1, 2)))
    net.top_down("V2", "V1", feedback=cs.Transpose(of="V1->V2"))
    net.objective("V2", "squared_error")
    phases = [
        cs.Phase(name, 400, drive={"retina": np.array([[[shown]]])}, nudge={"V2": np.array([[1.0]])})
        for name, shown in (("first", [0.5, 0.2]), ("second", [0.1, 0.3]))
    ]
    record = cs.Record(("rate", "credit"), every_ms=400)
    seen = cs.brian2.build(net).run(cs.Protocol(*phases, batch=1, record=record))
    rates, credits = by_population(net, seen, "rate"), by_population(net, seen, "credit")
    np.testing.assert_allclose(rates["V2"].reshape(2), [0.5, 0.3], atol=1e-6)
    credit = credits["V1"].reshape(2, 2)
    np.testing.assert_allclose(credit, [[0.5, 0.0], [0.0, 0.7]], atol=1e-6)


@pytest.mark.parametrize("activation", ["linear", "tanh"])
def test_max_pooling_within_a_loop_is_refused_by_name(activation):
    net = cs.Network("loop")
    net.population("retina", shape=(1, 4, 4))
    net.population("V1", shape=(1, 4, 4), activation=activation)
    net.population("V2", shape=(1, 2, 2), activation=activation)
    net.bottom_up("retina", "V1", cs.Identity())
    net.bottom_up("V1", "V2", cs.MaxPool2d(2))
    net.recurrent("V2", "V1", cs.Dense(init="xavier"))
    for build in (cs.brian2.build, QuasiStatic):
        with pytest.raises(cs.BuildError, match="V1->V2: MaxPool2d is part of a loop and not linear"):
            build(net)
