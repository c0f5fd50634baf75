"""Constraints in time: every step of both engines against Euler steps written from the equations."""

import numpy as np
import pytest
from constrained import kept
from timed import by_population, protocol

import cortex_sim as cs

ENGINES = ["batched", "synapses"]
MASK = np.random.default_rng(2).random((5, 7)) < 0.7
RATES = np.random.default_rng(3).uniform(0, 2, size=(5, 7)) * (np.arange(7) != 4)
CASES = {
    "bounds": ([cs.Bounds(0.1, 0.35)], 0.1, 0.35, None),
    "dale": ([cs.Dale([2, 5])], np.where(np.isin(np.arange(7), [2, 5]), -np.inf, 0), None, None),
    "subtractive": ([cs.Bounds(0, 0.4), cs.RowNorm(1.0, "subtractive")], 0.0, 0.4, "subtractive"),
    "multiplicative": ([cs.Bounds(0, 0.6), cs.RowNorm(1.0)], 0.0, 0.6, "multiplicative"),
    "mask alone": ([], -np.inf, np.inf, None),
}


def network(constraints, rates=False):
    net = cs.Network("constrained")
    net.population("retina", 7)
    net.population("V1", 5, tau_ms=7.0, bias=False)
    also = [cs.LearningRates(RATES)] if rates else []
    link = cs.Dense(cs.Uniform(0.1, 0.3), mask=MASK)
    net.bottom_up("retina", "V1", link, plasticity="oja", constraint=[*constraints, *also])
    return net


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("bounds", True), ("dale", False), ("subtractive", False), ("mask alone", False),
        pytest.param("multiplicative", True, marks=pytest.mark.slow),
        pytest.param("subtractive", True, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_each_step_is_the_equations(name, engine, rates):
    constraints, low, high, method = CASES[name]
    if name == "dale":
        high = np.where(np.isin(np.arange(7), [2, 5]), 0, np.inf)
    low, high = (np.where(MASK, np.broadcast_to(b, (5, 7)), 0.0) for b in (low, high))
    net = network(constraints, rates)
    x = np.random.default_rng(0).normal(size=(1, 7)) + 0.5
    sim = cs.brian2.build(net, engine=engine)
    w, a = sim.weights.outward("retina->V1"), np.zeros(5)
    start = w.copy()
    script = protocol(net, x, ms=5.0, learn_ms=45.0, every_ms=1.0, whole_eta_per_s=20.0)
    rate = by_population(net, sim.run(script), "rate")["V1"][0]
    for step in range(50):
        y = a
        a = a + (w @ x[0] - a) / 7.0
        np.testing.assert_allclose(rate[step], a, atol=1e-12)
        if step >= 5:
            growth = y[:, None] * (x[0] - y[:, None] * w)
            w = w + 0.02 * (RATES if rates else 1.0) * growth
            w = np.clip(w, low, high) if method is None else kept(w, low, high, 1.0, method)
    found = sim.weights.outward("retina->V1")
    np.testing.assert_allclose(found, w, atol=1e-12)
    assert not found[~MASK].any()
    assert (found >= low).all() and (found <= high).all()
    assert np.abs(found - start).max() > 1e-2
    if method is not None:
        np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-12)


WORDS = ["backprop", "feedback_alignment", "sign_symmetric", "bcm"]
MORE = ["gait_prop", "kolen_pollack"]


@pytest.mark.parametrize("word", [*WORDS, *(pytest.param(word, marks=pytest.mark.slow) for word in MORE)])
def test_engines_agree_under_every_kind_of_rule(word):
    net = cs.Network("deep")
    for name, size in (("retina", 7), ("V1", 5), ("IT", 3)):
        net.population(name, size, activation="tanh" if name == "V1" else "linear")
    dale = [cs.Dale([1]), cs.Bounds(-0.5, 0.5)]
    net.bottom_up("retina", "V1", cs.Sparse(in_degree=4), plasticity="backprop", constraint=dale)
    net.bottom_up("V1", "IT", cs.Sparse(in_degree=3), plasticity="backprop", constraint=cs.Dale([0, 3]))
    net.objective("IT", "squared_error")
    net = net.with_rule(word)
    x, y = np.random.default_rng(0).normal(size=(2, 7)), np.random.default_rng(1).normal(size=(2, 3))
    found = []
    for engine in ENGINES:
        sim = cs.brian2.build(net, engine=engine, dt_ms=2.0)
        asked = y if net.top_downs else None
        script = protocol(net, x, asked, ms=20.0, learn_ms=40.0, every_ms=2.0, batch=1, whole_eta_per_s=5.0)
        found.append((sim.run(script), sim))
    (one, first), (two, second) = found
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(one[variable], two[variable], atol=1e-12)
    state, other = first.weights.as_state(), second.weights.as_state()
    for name, values in state.items():
        np.testing.assert_allclose(values, other[name], atol=1e-12, err_msg=name)
    start = net.initial_weights(0)
    for p in net.projections.values():
        if p.name in first.weights.matrix:
            w = first.weights.outward(p.name)
            np.testing.assert_array_equal(w[~net.wiring(p)], 0)
    assert max(np.abs(first.weights.outward(n) - w).max() for n, w in start.items()) > 1e-4
    for name, inhibitory in (("retina->V1", [1]), ("V1->IT", [0, 3])):
        w = first.weights.outward(name)
        signs = np.where(np.isin(np.arange(w.shape[1]), inhibitory), -1, 1)
        assert (w * signs >= 0).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_lateral_bounds_hold(engine):
    net = cs.Network("lateral")
    net.population("retina", 7)
    net.population("V1", 5)
    net.bottom_up("retina", "V1", cs.Dense("xavier"))
    net.lateral("V1", plasticity=cs.Decorrelation(), constraint=cs.Bounds(0, 0.05))
    sim = cs.brian2.build(net, engine=engine)
    x = np.random.default_rng(0).normal(size=(3, 7))
    sim.run(protocol(net, x, ms=10.0, learn_ms=60.0, batch=1, whole_eta_per_s=5.0))
    lateral = sim.weights.outward("V1->V1")
    off = lateral[~np.eye(5, dtype=bool)]
    assert off.min() == 0 and off.max() == 0.05 and ((off > 0) & (off < 0.05)).any()
    assert not np.diag(lateral).any()


def test_recurrent_and_gain_projections_carry_them_on_both_engines():
    net = cs.Network("loop")
    net.population("retina", 7)
    net.population("V1", 5, activation="tanh")
    net.bottom_up("retina", "V1", cs.Dense("xavier"))
    rows = [cs.Bounds(0, 0.3), cs.RowNorm(0.6)]
    net.recurrent("V1", "V1", cs.Sparse(in_degree=3), plasticity="oja", constraint=rows)
    net.top_down("V1", "V1", effect="gain", connector=cs.Dense("he"), constraint=cs.Dale([1]))
    assert cs.Network.from_yaml(net.to_yaml()) == net
    x = np.random.default_rng(0).normal(size=(2, 7))
    found = []
    for engine in ENGINES:
        sim = cs.brian2.build(net, engine=engine)
        seen = sim.run(protocol(net, x, ms=10.0, learn_ms=50.0, every_ms=1.0, batch=1, whole_eta_per_s=5.0))
        found.append((seen["rate"].values, sim.weights.outward("V1->V1 recurrent")))
    (rates, w), (others, other) = found
    np.testing.assert_allclose(rates, others, atol=1e-12)
    np.testing.assert_allclose(w, other, atol=1e-12)
    np.testing.assert_allclose(w.sum(1), 0.6, rtol=1e-12)
    assert not w[~net.wiring(net.projection("V1->V1 recurrent"))].any()
    assert np.abs(w - net.initial_weights(0)["V1->V1 recurrent"]).max() > 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_set_from_outside_must_be_allowed(engine):
    net = network([cs.Bounds(0, 0.4)])
    sim = cs.brian2.build(net, engine=engine)
    w = sim.weights.outward("retina->V1")
    with pytest.raises(cs.RunError, match="weights are outside their bounds"):
        sim.weights.overwrite("retina->V1", w + 1.0 * MASK)
    with pytest.raises(cs.RunError, match="not zero where there is no synapse"):
        sim.weights.overwrite("retina->V1", w + 0.1)
    np.testing.assert_array_equal(sim.weights.outward("retina->V1"), w)
    script = protocol(net, np.ones((1, 7)), ms=5.0)
    if engine == "synapses":
        sim.built.engine.synapses["retina->V1"].w = 2.0
    else:
        sim.weights.matrix["retina->V1"][...] = 2.0
    with pytest.raises(cs.RunError, match="retina->V1: "):
        sim.run(script)


def test_a_state_that_is_not_allowed_is_refused():
    free = network([])
    state = cs.brian2.build(free).state()
    with pytest.raises(cs.BuildError, match="projection retina->V1: .* outside their bounds"):
        cs.brian2.build(network([cs.Bounds(0.2, 0.25)]), state=state)


def test_resumes_where_it_was():
    net = network([cs.Bounds(0, 0.4), cs.RowNorm(1.0, "subtractive")], rates=True)
    x = np.random.default_rng(0).normal(size=(1, 7))
    script = protocol(net, x, ms=5.0, learn_ms=20.0, whole_eta_per_s=20.0)
    whole, again = cs.brian2.build(net), cs.brian2.build(net)
    whole.run(script)
    again.restore(whole.checkpoint())
    whole.run(script)
    again.run(script)
    np.testing.assert_array_equal(whole.weights.outward("retina->V1"), again.weights.outward("retina->V1"))


def test_a_cpp_program_refuses_row_norms_only():
    with pytest.raises(cs.BuildError, match="RowNorm depends on all weights of a unit"):
        cs.brian2.build(network([cs.Bounds(0), cs.RowNorm(1.0)]), engine="synapses", target="cpp_standalone")


@pytest.mark.slow
def test_a_cpp_program_keeps_bounds_signs_masks_and_rates():
    net = network([cs.Dale([2, 5]), cs.Bounds(-0.35, 0.35)], rates=True)
    x = np.random.default_rng(0).normal(size=(2, 7))
    script = protocol(net, x, ms=10.0, learn_ms=60.0, batch=1, whole_eta_per_s=20.0)
    found = []
    for settings in ({}, {"engine": "synapses", "target": "cpp_standalone"}):
        sim = cs.brian2.build(net, **settings)
        sim.run(script)
        found.append(sim.weights.outward("retina->V1"))
    np.testing.assert_allclose(*found, atol=1e-12)
    assert (np.abs(found[0]) == 0.35).any() and not found[0][~MASK].any()
