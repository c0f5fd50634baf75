"""Apical coupling: credit that acts on the drive, so that activity moves before weights do."""

import numpy as np
import pytest

import cortex_sim as cs


def net_with(coupling):
    net = cs.Network("coupled")
    net.population("retina", 5)
    net.population("V1", 4, activation="tanh", tau_ms=8.0, apical_coupling=coupling)
    net.population("IT", 3, tau_ms=12.0, apical_coupling=coupling / 2)
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "IT", plasticity="backprop")
    net.objective("IT", "squared_error")
    return net.with_rule("backprop")


X, Y = np.random.default_rng(2).normal(size=(1, 5)), np.array([[1.0, -0.5, 0.3]])


def script(**settings):
    shown = {"drive": {"retina": X}, "nudge": {"IT": Y}}
    record = cs.Record(("rate", "credit"), every_ms=1.0)
    return cs.Protocol(cs.Phase("nudge", 60, **shown, **settings), record=record, eta_per_s=5.0)


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_each_step_is_the_equations(engine):
    sim = cs.brian2.build(net_with(0.7), engine=engine)
    w1, w2 = (sim.weights.outward(n) for n in ("retina->V1", "V1->IT"))
    seen = sim.run(script(plasticity=True))
    a, b, c, b1, b2 = np.zeros(4), np.zeros(3), np.zeros(4), np.zeros(4), np.zeros(3)
    for step in range(60):
        top = Y[0] - b
        u = c * (1 - np.tanh(a) ** 2)
        moved = (
            a + (w1 @ X[0] + b1 + 0.7 * c - a) / 8,
            b + (w2 @ np.tanh(a) + b2 + 0.35 * top - b) / 12,
            c + (w2.T @ top - c) / 10,
        )
        w1, w2 = w1 + 5e-3 * np.outer(u, X[0]), w2 + 5e-3 * np.outer(top, np.tanh(a))
        b1, b2 = b1 + 5e-3 * u, b2 + 5e-3 * top
        a, b, c = moved
        rates = seen.rate.values[0, :, step]
        np.testing.assert_allclose(rates, [*X[0], *np.tanh(a), *b], atol=1e-12)


def test_activity_moves_before_weights_do():
    """With coupling the output nears its goal while weights rest; without it does not move."""
    errors = {}
    for coupling in (0.0, 0.7):
        rates = cs.brian2.build(net_with(coupling)).run(script()).rate
        errors[coupling] = np.abs(Y - rates.values[0, 9:, -1]).sum()
        settled = cs.brian2.build(net_with(0.0)).run(script()).rate.values[0, 9:, -1]
    assert errors[0.0] == pytest.approx(np.abs(Y - settled).sum()) and errors[0.7] < 0.9 * errors[0.0]


def test_is_declared_shown_and_kept():
    net = net_with(0.7)
    assert net.populations["V1"].apical_coupling == 0.7
    assert cs.Network.from_yaml(net.to_yaml()) == net and "apical coupling 0.7" in str(net)
    assert "apical_coupling" not in net_with(0.0).to_yaml()
    assert "0.7 * c" in cs.brian2.build(net).equations


def test_is_refused_where_nothing_would_come_of_it():
    net = cs.Network("bare")
    net.population("retina", 3)
    net.population("V1", 2, apical_coupling=0.1)
    net.bottom_up("retina", "V1")
    with pytest.raises(
        cs.DeclarationError, match="population V1: apical_coupling=0.1, but network bare has no"
    ):
        net.check()
    net.objective("V1", "squared_error")
    net.check()
    source = cs.Network("source")
    source.population("retina", 3, apical_coupling=0.1)
    source.population("V1", 2)
    source.bottom_up("retina", "V1")
    with pytest.raises(cs.DeclarationError, match="population retina: apical_coupling acts on the drive"):
        source.check()
    with pytest.raises(cs.DeclarationError, match="apical_coupling must be a finite number"):
        source.population("V2", 2, apical_coupling=np.nan)
