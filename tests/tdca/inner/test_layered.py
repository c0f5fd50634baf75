"""The layered, plastic credit network in parallel inner runs, against its equations run by run in numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import conv, dense_chain
from plastic_runs import RUNS, TRAINED, cohort_of, parameters_of, presented, softmax

import cortex_sim as cs
from cortex_sim.credit import LayeredCredit
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import stream
from cortex_sim.tdca.inner.altered import Altered
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import layout, start
from cortex_sim.tdca.inner.layered import Layered
from cortex_sim.tdca.inner.rules import Backprop
from cortex_sim.tdca.inner.step import Mixed, Plain

SIZES, ETA = (13, 11, 7, 3), 0.3


def reference(seed, net, batches):
    """W and B (post, pre) of one run of gradient steps, population by population."""
    drawn = net.with_rule("kolen_pollack").initial_weights(seed)
    up, down = ["retina->V1", "V1->V2", "V2->IT"], ["V2->V1", "IT->V2"]
    w = [drawn[name].copy() for name in up]
    b = [np.exp(TRAINED["log_scale"]) * drawn[name] for name in down]
    bias = [np.zeros(len(each)) for each in w]
    gain, lose_w, lose_b = (np.exp(TRAINED[n]) for n in ("log_gain", "log_decay_up", "log_decay_down"))
    for x, y in batches:
        rates, drives = [x], []
        for each, offset in zip(w, bias, strict=True):
            drives.append(rates[-1] @ each.T + offset)
            rates.append(np.tanh(drives[-1]) if len(drives) < 3 else drives[-1])
        u = [None, None, y - softmax(rates[-1])]
        for level in (1, 0):
            u[level] = (u[level + 1] @ b[level].T) * (1 - np.tanh(drives[level]) ** 2)
        deltas = [ETA * u_l.T @ r / len(x) for u_l, r in zip(u, rates[:-1], strict=True)]
        bias = [o + ETA * u_l.mean(0) for o, u_l in zip(bias, u, strict=True)]
        w = [(1 - lose_w) * each + delta for each, delta in zip(w, deltas, strict=True)]
        b = [(1 - lose_b) * each + gain * delta.T for each, delta in zip(b, deltas[1:], strict=True)]
    return w, b


def test_weights_and_top_down_weights_follow_the_equations():
    net, step = dense_chain(SIZES).with_rule("backprop"), Plain(rate=ETA)
    cohort = cohort_of(net, Layered(), step)
    parameters = parameters_of(cohort.rule, step, cohort.body)
    batches = [presented(net, number) for number in range(4)]
    for x, y in batches:
        cohort.advance(parameters, x, y)
    for run in range(RUNS):
        w, b = reference(run, net, [(x[run].numpy(), y[run].numpy()) for x, y in batches])
        for mine, theirs in zip(cohort.weights, w, strict=True):
            np.testing.assert_allclose(mine[run], theirs, rtol=1e-10, atol=1e-12)
        for mine, theirs in zip(cohort.fixed, b, strict=True):
            np.testing.assert_allclose(mine[run].T, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mirror", [0, 40])
@pytest.mark.parametrize("network", ["chain", "conv"])
def test_with_transposes_at_birth_it_is_backpropagation_with_decay(network, mirror):
    """κ = 1 and equal forgetting keep B = Wᵀ; so do the running means of Adam."""
    net = (dense_chain(SIZES) if network == "chain" else conv()).with_rule("backprop")
    step = Mixed()
    layered = cohort_of(net, Layered(LayeredCredit(mirror=mirror)), step)
    layered.fixed = [w.clone() for w in layered.weights[1:]]
    parameters = parameters_of(layered.rule, step, layered.body)
    parameters |= {"log_gain": torch.tensor(0.0), "log_scale": torch.tensor(0.0)}
    parameters["log_decay_down"] = parameters["log_decay_up"] = torch.tensor(-2.0)
    for number in range(5):
        layered.advance(parameters, *presented(net, number))
        for b, w in zip(layered.fixed, layered.weights[1:], strict=True):
            torch.testing.assert_close(b, w, rtol=1e-12, atol=1e-14)


def test_the_gap_shrinks_by_the_forgetting():
    net, step = dense_chain(SIZES).with_rule("backprop"), Mixed()
    cohort = cohort_of(net, Layered(), step)
    parameters = parameters_of(cohort.rule, step, cohort.body)
    parameters |= {"log_gain": torch.tensor(0.0), "log_scale": torch.tensor(0.0)}
    parameters["log_decay_down"] = parameters["log_decay_up"]
    before = [b - w for b, w in zip(cohort.fixed, cohort.weights[1:], strict=True)]
    for number in range(6):
        cohort.advance(parameters, *presented(net, number))
    left = (1 - np.exp(TRAINED["log_decay_up"])) ** 6
    for gap, b, w in zip(before, cohort.fixed, cohort.weights[1:], strict=True):
        torch.testing.assert_close(b - w, left * gap, rtol=1e-9, atol=1e-12)


def test_the_mirror_phase_correlates_responses_with_spontaneous_rates():
    net, presentations = conv().with_rule("backprop"), 17
    rule, body = Layered(LayeredCredit(mirror=presentations)), architecture(conv().with_rule("backprop"))
    born = rule.initial(body, 5, Plain())
    drawn = net.initial_weights(5)
    for layer, b in zip(body.layers[1:], born, strict=True):
        rng = stream(5, f"mirror {layer.projection.reverse_name}")
        xi = rng.normal(size=(presentations, int(np.prod(layer.pre))))
        w, read = drawn[layer.link.name].reshape(len(b), -1), layer.operator.patches(xi)
        expected = np.zeros_like(b)
        for place in read:
            expected += np.outer(w @ place, place) / len(read)
        np.testing.assert_allclose(b, expected, atol=1e-12)
    many = Layered(LayeredCredit(mirror=20000)).initial(
        architecture(dense_chain(SIZES).with_rule("backprop")), 5, Plain()
    )
    own = dense_chain(SIZES).initial_weights(5)
    np.testing.assert_allclose(many[0], own["V1->V2"], atol=0.15)


def test_trained_numbers_receive_the_meta_gradient():
    """Of a loss after four steps, against finite differences; κ, λ, birth and what synapses read."""
    net = dense_chain(SIZES).with_rule("backprop").with_reads(cs.Decorrelated(mixing=0.6, centring=0.8))
    step, rule = Mixed(), Layered()
    body = architecture(net)
    own = layout(rule, step, body)
    named = parameters_of(rule, step, body)
    phi = torch.cat([named[name].reshape(-1) for name in own.shapes])

    def loss(phi):
        cohort = cohort_of(net, rule, step)
        cohort.length[:] = 10.0
        for number in range(4):
            cohort.readings.state = {  # as in every call: no gradient goes through what is slow
                i: {n: x.clone() for n, x in state.items()} for i, state in kept[number].items()
            }
            last = cohort.advance(own.split(phi), *presented(net, number))
        return last.sum()

    kept = []
    probe = cohort_of(net, rule, step)
    probe.length[:] = 10.0
    for number in range(4):
        kept.append({i: dict(state) for i, state in probe.readings.state.items()})
        probe.advance(own.split(phi), *presented(net, number))
    (gradient,) = torch.autograd.grad(loss(phi.requires_grad_()), phi)
    with torch.no_grad():
        for i, name in enumerate(
            ["log_gain", "log_decay_up", "log_decay_down", "log_scale", "mixing", "centring"]
        ):
            assert list(own.shapes)[i] == name
            moved = torch.zeros_like(phi)
            moved[i] = 1e-5
            slope = (loss(phi + moved) - loss(phi - moved)) / 2e-5
            assert abs(float(slope)) > 1e-6
            torch.testing.assert_close(gradient[i], slope, rtol=1e-4, atol=1e-7)


def test_each_run_has_its_own_numbers():
    """φ for every run, as evolution gives it, does what φ for all does in each."""
    net, step, rule = dense_chain(SIZES).with_rule("backprop"), Mixed(), Layered()
    body = architecture(net)
    own = layout(rule, step, body)
    named = parameters_of(rule, step, body)
    phi = torch.cat([named[name].reshape(-1) for name in own.shapes])
    many = torch.stack([phi, phi + 0.1, phi - 0.2])
    together = cohort_of(net, rule, step)
    for number in range(3):
        together.advance(own.split(many), *presented(net, number))
    for run in range(RUNS):
        alone = cohort_of(net, rule, step)
        for number in range(3):
            alone.advance(own.split(many[run]), *presented(net, number))
        for mine, theirs in zip(
            [*together.weights, *together.fixed], [*alone.weights, *alone.fixed], strict=True
        ):
            torch.testing.assert_close(mine[run], theirs[run], rtol=1e-10, atol=1e-12)


def test_spoiled_credit_leaves_top_down_plasticity_as_it_was():
    net, step = dense_chain(SIZES).with_rule("backprop"), Mixed()
    silent = cohort_of(net, Altered(Layered(), "silent"), step)
    parameters = parameters_of(Layered(), step, silent.body)
    before = [w.clone() for w in silent.weights]
    silent.advance(parameters, *presented(net, 0))
    kept = 1 - np.exp(TRAINED["log_decay_up"])
    torch.testing.assert_close(silent.weights[0], kept * before[0])
    assert not torch.allclose(silent.weights[-1], kept * before[-1])
    assert silent.plastic is not None and len(silent.fixed) == 2


def test_a_cohort_resumes_bit_for_bit():
    net = dense_chain(SIZES).with_rule("backprop").with_reads(cs.Decorrelated(mixing=0.6, centring=0.8))
    step, rule = Mixed(), Layered()
    one, other = cohort_of(net, rule, step), cohort_of(net, rule, step)
    parameters = parameters_of(rule, step, one.body)
    one.advance(parameters, *presented(net, 0))
    other.restore(one.state())
    for number in (1, 2):
        one.advance(parameters, *presented(net, number))
        other.advance(parameters, *presented(net, number))
    saved, again = one.state(), other.state()
    assert saved.keys() == again.keys() and all(torch.equal(saved[n], again[n]) for n in saved)


def test_shares_that_are_declared_as_0_or_1_are_not_trained():
    net = dense_chain(SIZES).with_rule("backprop")
    for reads, expected in (
        (None, []),
        (cs.Decorrelated(mixing=0.7), ["mixing"]),
        (cs.Decorrelated(mixing=0.0, centring=0.5), ["centring"]),
        (cs.Decorrelated(mixing=0.2, centring=0.5), ["mixing", "centring"]),
    ):
        named = start(Backprop(), Plain(), 0, architecture(net.with_reads(reads)))
        assert [n for n in named if n in ("mixing", "centring")] == expected


def test_the_form_is_data():
    form = LayeredCredit(mirror=320, decorrelated=True)
    assert set(form.shapes()) == set(form.draw(0)) and form.outputs is None
    values = form.values(form.draw(0))
    assert values.gain == 1 and values.decay_up == pytest.approx(5e-4) and values.mixing == pytest.approx(0.7)
    assert replace(form, decorrelated=False).values(LayeredCredit().draw(0)).mixing is None
    with pytest.raises(DeclarationError, match="mirror"):
        LayeredCredit(mirror=-1)
