import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim.rules.in_time import InTime


def reference(w, x, y):
    """The equation, one synapse and one presentation at a time."""
    dw = np.zeros_like(w)
    for i, j in np.ndindex(w.shape):
        for x_b, y_b in zip(x, y, strict=True):
            left = x_b[j] - sum(y_b[k] * w[k, j] for k in range(i + 1))
            dw[i, j] += y_b[i] * left / len(x)
    return dw


def numbers(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, 5)), rng.normal(size=(7, 5)), rng.normal(size=(7, 3))


@given(seed=st.integers(0, 1000))
def test_equals_the_published_sum(seed):
    w, x, y = numbers(seed)
    in_time, _ = InTime(cs.Sanger())(w, {}, r_pre=x, r_post=y)
    for ours in (cs.Sanger().change(w, x, y), in_time):
        np.testing.assert_allclose(ours, reference(w, x, y), atol=1e-12)


def test_its_first_unit_is_ojas():
    w, x, y = numbers(0)
    np.testing.assert_allclose(cs.Sanger().change(w, x, y)[0], cs.Oja().change(w, x, y)[0], atol=1e-12)


def network():
    net = cs.Network("components")
    net.population("retina", 5)
    net.population("V1", 3, bias=False, tau_ms=5.0)
    net.bottom_up("retina", "V1", cs.Dense(init="orthogonal"), plasticity=cs.Sanger())
    return net


def script(stimuli, trials, eta):
    show = cs.Phase("show", 100, drive={"retina": stimuli}, plasticity=True)
    record = cs.Record(weights=True, weights_every=trials)
    return cs.Protocol(show, trials=trials, batch=len(stimuli), eta_per_s=eta, record=record)


STIMULI = np.random.default_rng(0).normal(size=(50, 5)) * [2.4, 1.7, 1.1, 0.5, 0.3]
COMPONENTS = np.linalg.eigh(STIMULI.T @ STIMULI)[1][:, ::-1].T[:3]


@pytest.mark.parametrize(
    "backend, tolerance", [("torch", 1e-6), pytest.param("brian2", 0.02, marks=pytest.mark.slow)]
)
def test_finds_the_principal_components_in_order(backend, tolerance):
    experiment = cs.Experiment(network(), {"shown": script(STIMULI, 50 * 400, 1.0)})
    if backend == "brian2":
        experiment = cs.Experiment(network(), {"shown": script(STIMULI, 50 * 300, 1.0)})
    recording = getattr(cs, backend).run(experiment, progress=False)
    w = recording["weight:retina->V1"].values[-1]
    np.testing.assert_allclose(np.abs(w), np.abs(COMPONENTS), atol=tolerance)


def test_in_time_each_step_is_the_equation():
    net, stimuli = network(), STIMULI[:4]
    sim = cs.brian2.build(net)
    w, a = sim.weights.outward("retina->V1"), np.zeros((4, 3))
    sim.run(script(stimuli, 4, 3.0))
    for _ in range(100):
        y = a
        a = a + (stimuli @ w.T - a) / 5.0
        w = w + 3e-3 * reference(w, stimuli, y)
    np.testing.assert_allclose(sim.weights.outward("retina->V1"), w, atol=1e-12)


def test_the_synapses_engine_says_why_it_cannot():
    with pytest.raises(cs.BuildError, match="Sanger reads several synapses at once.*batched"):
        cs.brian2.build(network(), engine="synapses")
