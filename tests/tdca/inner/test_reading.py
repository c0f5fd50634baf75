"""Inner runs whose synapses read decorrelated rates: each is the declared network trained on torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import conv, dense_chain

import cortex_sim as cs
from cortex_sim.presynaptic import drawing
from cortex_sim.tdca.inner import reading as inner_reading
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort
from cortex_sim.tdca.inner.rules import Backprop
from cortex_sim.tdca.inner.step import Mixed, Plain

READS = cs.Decorrelated(centring=0.8)
RUNS, PRESENTATIONS = 3, 5


def net_of(network, reads=READS):
    net = dense_chain((13, 11, 3)) if network == "chain" else conv()
    return net.with_rule("backprop").with_reads(reads)


def runs_of(net, step, copies=1):
    body = architecture(net)
    runs = Cohort(body, Backprop(), step, RUNS, dtype=torch.float64)
    runs.begin(torch.ones(RUNS, dtype=torch.bool), torch.arange(RUNS), torch.full((RUNS,), 10.0))
    return runs


def shown(net, number):
    rng = np.random.default_rng(number)
    inputs, outputs = net.populations["retina"].size, net.populations["IT"].size
    x = torch.as_tensor(rng.normal(size=(RUNS, PRESENTATIONS, inputs)) + 0.4)
    labels = rng.integers(0, outputs, size=(RUNS, PRESENTATIONS))
    return x, labels, torch.eye(outputs, dtype=torch.float64)[labels]


def parameters_of(step):
    return {name: torch.as_tensor(values) for name, values in step.draw().items()}


@pytest.mark.parametrize("network, every", [("chain", 1), ("chain", 3), ("conv", 2)])
def test_runs_are_the_network_on_torch(network, every):
    """The plain step is gradient descent; on convolutions the step is that of means over presentations."""
    net, step = net_of(network, replace(READS, every=every)), Plain(rate=0.05)
    runs, parameters = runs_of(net, step), parameters_of(step)
    parameters["step_rate"][..., 1] = 0
    models, optimisers = [], []
    for seed in range(RUNS):
        models.append(cs.torch.build(net, seed=seed, precision="64").train())
        optimisers.append(torch.optim.SGD(models[-1].parameters(), lr=0.05))
        models[-1].attach(optimisers[-1])
    runs.length[:] = 1e12  # no schedule
    for number in range(4):
        x, labels, y = shown(net, number)
        runs.advance(parameters, x, y)
        for run, (model, optimiser) in enumerate(zip(models, optimisers, strict=True)):
            optimiser.zero_grad()
            model(x[run].reshape(-1, *net.populations["retina"].shape), labels[run]).backward()
            optimiser.step()
    for i, layer in enumerate(runs.body.layers):
        for run, model in enumerate(models):
            ours, theirs = runs.weights[i][run], model.matrix(layer.link.name).detach()
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
            for variable, values in model.presynaptic.of[layer.link.name].state().items():
                torch.testing.assert_close(runs.readings.state[i][variable][run], values)


def test_runs_that_begin_later_begin_with_nothing_read():
    net, step = net_of("chain"), Mixed()
    runs, parameters = runs_of(net, step), parameters_of(step)
    for number in range(3):
        x, _, y = shown(net, number)
        runs.advance(parameters, x, y)
    kept = {v: s.clone() for v, s in runs.readings.state[0].items()}
    runs.begin(torch.tensor([False, True, False]), torch.arange(RUNS), torch.full((RUNS,), 10.0))
    now = runs.readings.state[0]
    assert torch.equal(now["matrix"][1, 0], torch.eye(13, dtype=torch.float64)) and not now["seen"][1]
    for variable, values in kept.items():
        assert torch.equal(now[variable][[0, 2]], values[[0, 2]])


def test_a_restored_cohort_goes_the_same_way():
    net, step = net_of("chain"), Mixed()
    runs, parameters = runs_of(net, step), parameters_of(step)
    other = runs_of(net, step)
    for number in range(6):
        if number == 3:
            other.restore(runs.state())
        x, _, y = shown(net, number)
        runs.advance(parameters, x, y)
        if number >= 3:
            other.advance(parameters, x, y)
    ours, theirs = other.state(), runs.state()
    assert ours.keys() == theirs.keys() and "reading/1/matrix" in ours
    for name, values in theirs.items():
        assert torch.equal(ours[name], values), name


def test_no_gradient_passes_through_the_state(monkeypatch):
    """The meta-gradient takes the state as given: with a copy of it, it is the same."""
    net, step = net_of("chain"), Mixed()
    parameters = {n: p.requires_grad_() for n, p in parameters_of(step).items()}

    def gradient(given=None):
        runs, states = runs_of(net, step), []
        for number in range(3):
            x, _, y = shown(net, number)
            if given is not None:
                runs.readings.state = given[number]
            assert not any(t.requires_grad for kept in runs.readings.state.values() for t in kept.values())
            states.append({i: {v: t.clone() for v, t in s.items()} for i, s in runs.readings.state.items()})
            loss = runs.advance(parameters, x, y).mean()
        return torch.autograd.grad(loss, list(parameters.values())), states

    free, states = gradient()
    monkeypatch.setattr(inner_reading.InnerReadings, "renew", lambda self, rates, number, parameters: None)
    for ours, theirs in zip(free, gradient(states)[0], strict=True):
        assert ours.abs().max() > 0
        torch.testing.assert_close(ours, theirs)


def test_nothing_mixed_and_nothing_taken_off_is_the_plain_rule_exactly():
    step, after = Mixed(), []
    for reads in (None, cs.Decorrelated(mixing=0, centring=0)):
        net = net_of("conv", reads)
        runs, parameters = runs_of(net, step), parameters_of(step)
        for number in range(3):
            x, _, y = shown(net, number)
            runs.advance(parameters, x, y)
        after.append(runs.weights)
    for plain, same in zip(*after, strict=True):
        assert torch.equal(plain, same)


def test_noise_is_a_function_of_name_and_number():
    first = drawing.noise_of("V1->IT", 3, 4, 5)
    np.testing.assert_array_equal(first, drawing.noise_of("V1->IT", 3, 4, 5))
    for other in (drawing.noise_of("V1->IT", 4, 4, 5), drawing.noise_of("V1->V4", 3, 4, 5)):
        assert np.abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.8
    whole = drawing.noise_of("V1->IT", 0, 400, 50)
    assert abs(whole.mean()) < 0.03 and abs(whole.std() - 1) < 0.03
