"""Row norms over two projections in time, both engines against Euler steps written from the equations."""

import numpy as np
import pytest
from constrained import kept
from timed import by_population

import cortex_sim as cs

ENGINES = ["batched", "synapses"]
NAMES = ["left->V1", "right->V1"]
MASK = np.random.default_rng(2).random((5, 4)) < 0.7
RATES = np.random.default_rng(3).uniform(0, 2, size=(5, 7))


def network(method="subtractive", fixed=False):
    """Two eyes of 7 and 4 units, one with a rate of its own for each synapse, the other sparse."""
    net = cs.Network("two eyes")
    net.population("V1", 5, tau_ms=7.0, bias=False)
    both = cs.RowNorm(1.2, method, over=NAMES)
    also = {"left": [cs.LearningRates(RATES)], "right": []}
    for eye, size, mask in (("left", 7, None), ("right", 4, MASK)):
        net.population(eye, size)
        rows = [cs.Bounds(0, 0.4), both, *also[eye]]
        rule = None if fixed and eye == "left" else "oja"
        net.bottom_up(eye, "V1", cs.Dense(cs.Uniform(0.1, 0.3), mask=mask), plasticity=rule, constraint=rows)
    return net


def seen(seed=0):
    draw = np.random.default_rng(seed)
    return {"left": draw.normal(size=7) + 0.5, "right": draw.normal(size=4) + 0.5}


def script(windows=True, record=False, **settings):
    """A settling phase of 5 ms, then 45 ms with open windows."""
    shown = seen()
    return cs.Protocol(
        cs.Phase("settle", 5, drive=shown),
        cs.Phase("learn", 45, drive=shown, plasticity=windows),
        record=cs.Record(every_ms=1.0, weights=record),
        eta_per_s=20.0,
        **settings,
    )


def expected(w, method, moves):
    """Rates at every step and weights at the end; the weights of an eye without a window stay."""
    x, a = np.concatenate(list(seen().values())), np.zeros(5)
    exists = np.concatenate([np.ones((5, 7)), MASK], axis=1)
    rates = np.concatenate([RATES, np.ones((5, 4))], axis=1) * moves
    low, high = np.where(moves, 0.0, w), np.where(moves, 0.4 * exists, w)
    found = []
    for step in range(50):
        y = a
        a = a + (w @ x - a) / 7.0
        found.append(a)
        if step >= 5:
            w = w + 0.02 * rates * exists * y[:, None] * (x - y[:, None] * w)
            w = kept(w, low, high, 1.2, method)
    return np.array(found), w


def side_by_side(sim):
    return np.concatenate([sim.weights.outward(name) for name in NAMES], axis=1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("method", "windows"), [("subtractive", True), ("multiplicative", True), ("subtractive", ["right->V1"])]
)
def test_each_step_is_the_equations(method, windows, engine):
    net = network(method)
    sim = cs.brian2.build(net, engine=engine)
    start = side_by_side(sim)
    moves = np.ones(11, bool) if windows is True else np.arange(11) >= 7
    rates, w = expected(start, method, moves)
    found = by_population(net, sim.run(script(windows), progress=False), "rate")["V1"][0]
    np.testing.assert_allclose(found, rates, atol=1e-12)
    now = side_by_side(sim)
    np.testing.assert_allclose(now, w, atol=1e-12)
    np.testing.assert_allclose(now.sum(1), 1.2, rtol=1e-12)
    assert not now[:, 7:][~MASK].any() and now.min() >= 0 and now.max() <= 0.4
    assert np.abs(now - start)[:, moves].max() > 1e-2
    np.testing.assert_array_equal(now[:, ~moves], start[:, ~moves])
    if windows is True:
        assert np.abs((now - start)[:, :7].sum(1)).max() > 1e-2  # one eye gains what the other loses


@pytest.mark.parametrize("engine", ENGINES)
def test_a_projection_without_plasticity_counts_and_stays(engine):
    sim = cs.brian2.build(network(fixed=True), engine=engine)
    start = side_by_side(sim)
    _, w = expected(start, "subtractive", np.arange(11) >= 7)
    sim.run(script(), progress=False)
    np.testing.assert_allclose(side_by_side(sim), w, atol=1e-12)
    np.testing.assert_array_equal(side_by_side(sim)[:, :7], start[:, :7])


def test_resumes_where_it_was():
    whole, again = cs.brian2.build(network()), cs.brian2.build(network())
    whole.run(script(), progress=False)
    again.restore(whole.checkpoint())
    for sim in (whole, again):
        sim.run(script(), progress=False)
    np.testing.assert_array_equal(side_by_side(whole), side_by_side(again))


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_set_from_outside_must_have_the_total_together(engine):
    sim = cs.brian2.build(network(), engine=engine)
    w = {name: sim.weights.outward(name) for name in NAMES}
    with pytest.raises(
        cs.RunError, match="left->V1 and right->V1: the sum of row 0 is .*RowNorm keeps it at 1.2"
    ):
        sim.weights.overwrite("left->V1", 0.9 * w["left->V1"])
    np.testing.assert_array_equal(sim.weights.outward("left->V1"), w["left->V1"])
    moved = {"left->V1": w["left->V1"].copy(), "right->V1": w["right->V1"].copy()}
    synapse = np.argmax(MASK[0])
    moved["left->V1"][0, 1] -= 0.05
    moved["right->V1"][0, synapse] += 0.05
    sim.weights.overwrite_all(moved)
    for name in NAMES:
        np.testing.assert_allclose(sim.weights.outward(name), moved[name], atol=1e-15)
    if engine == "synapses":
        sim.built.engine.synapses["left->V1"].w = 0.3
    else:
        sim.weights.matrix["left->V1"][...] = 0.3
    with pytest.raises(cs.RunError, match="left->V1 and right->V1: the sum of row 0"):
        sim.run(script(), progress=False)


def test_a_cpp_program_refuses_them():
    with pytest.raises(cs.BuildError, match="RowNorm depends on all weights of a unit"):
        cs.brian2.build(network(), engine="synapses", target="cpp_standalone")
