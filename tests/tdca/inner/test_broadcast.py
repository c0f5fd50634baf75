"""Channels with plastic diffusion in parallel inner runs, against the equations run by run in numpy."""

import numpy as np
import pytest
import torch
from networks import conv, dense_chain
from plastic_runs import RUNS, TRAINED, cohort_of, parameters_of, presented, softmax

import cortex_sim as cs
from cortex_sim.credit import BroadcastCredit, diffusion
from cortex_sim.errors import DeclarationError
from cortex_sim.initialisers import stream
from cortex_sim.tdca.inner.broadcast import Broadcast
from cortex_sim.tdca.inner.step import Mixed, Plain

SIZES, ETA, CHANNELS = (13, 11, 7, 3), 0.2, 4
FORM = BroadcastCredit(SIZES[-1], CHANNELS, "dense")


def reference(seed, net, m, batches):
    """W (post, pre) and D (unit, channel) of one run of gradient steps."""
    w = list(net.initial_weights(seed).values())
    bias = [np.zeros(len(each)) for each in w]
    drawn = [
        diffusion(FORM.kernel, (size,), CHANNELS, stream(seed, f"TDCA {name}->{name}"))
        for name, size in zip(("V1", "V2"), SIZES[1:], strict=False)
    ]
    gain, lose_w, lose_d, scale = (np.exp(value) for value in TRAINED.values())
    d = [scale * each for each in drawn]
    for x, y in batches:
        rates, drives = [x], []
        for each, offset in zip(w, bias, strict=True):
            drives.append(rates[-1] @ each.T + offset)
            rates.append(np.tanh(drives[-1]) if len(drives) < 3 else drives[-1])
        error = y - softmax(rates[-1])
        g = error @ m.T
        u = [(g @ d_l.T) * (1 - np.tanh(a) ** 2) for d_l, a in zip(d, drives, strict=False)] + [error]
        d = [(1 - lose_d) * d_l + gain * ETA * r.T @ g / len(x) for d_l, r in zip(d, rates[1:], strict=False)]
        deltas = [ETA * u_l.T @ r / len(x) for u_l, r in zip(u, rates[:-1], strict=True)]
        bias = [o + ETA * u_l.mean(0) for o, u_l in zip(bias, u, strict=True)]
        w = [(1 - lose_w) * each + delta for each, delta in zip(w, deltas, strict=True)]
    return w, d


def test_weights_and_diffusion_follow_the_equations():
    net, step = dense_chain(SIZES).with_rule("backprop"), Plain(rate=ETA)
    cohort = cohort_of(net, Broadcast(FORM), step)
    parameters = parameters_of(cohort.rule, step, cohort.body)
    batches = [presented(net, number) for number in range(4)]
    for x, y in batches:
        cohort.advance(parameters, x, y)
    for run in range(RUNS):
        own = [(x[run].numpy(), y[run].numpy()) for x, y in batches]
        w, d = reference(run, net, parameters["broadcast"].numpy(), own)
        for mine, theirs in zip([*cohort.weights, *cohort.fixed], [*w, *d], strict=True):
            np.testing.assert_allclose(mine[run], theirs, rtol=1e-10, atol=1e-12)


def test_diffusion_approaches_the_transpose_through_the_channels():
    """With MᵀM = I, κ = 1 and no forgetting, D M moves exactly as the transpose of the top's weights."""
    net, step, outputs = dense_chain((13, 11, 3)).with_rule("backprop"), Plain(rate=ETA), 3
    cohort = cohort_of(net, Broadcast(BroadcastCredit(outputs, CHANNELS, "dense")), step)
    parameters = parameters_of(cohort.rule, step, cohort.body)
    orthonormal = np.linalg.qr(np.random.default_rng(0).normal(size=(CHANNELS, outputs)))[0]
    parameters |= {"broadcast": torch.as_tensor(orthonormal), "log_gain": torch.tensor(0.0)}
    parameters["log_decay_up"] = parameters["log_decay_down"] = torch.tensor(-40.0)
    parameters["log_scale"] = torch.tensor(0.0)
    gap = cohort.fixed[0] @ parameters["broadcast"] - cohort.weights[-1].transpose(1, 2)
    for number in range(4):
        cohort.advance(parameters, *presented(net, number))
    after = cohort.fixed[0] @ parameters["broadcast"] - cohort.weights[-1].transpose(1, 2)
    torch.testing.assert_close(after, gap, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("network", ["chain", "conv"])
def test_a_cohort_with_running_means_resumes_bit_for_bit(network):
    net = (dense_chain(SIZES) if network == "chain" else conv()).with_rule("backprop")
    net = net.with_reads(cs.Decorrelated(mixing=0.6, centring=0.8))
    outputs = net.populations["IT"].size
    rule, step = Broadcast(BroadcastCredit(outputs, CHANNELS, "dense")), Mixed()
    one, other = cohort_of(net, rule, step), cohort_of(net, rule, step)
    parameters = parameters_of(rule, step, one.body)
    one.advance(parameters, *presented(net, 0))
    other.restore(one.state())
    for number in (1, 2):
        one.advance(parameters, *presented(net, number))
        other.advance(parameters, *presented(net, number))
    saved, again = one.state(), other.state()
    assert saved.keys() == again.keys() and all(torch.equal(saved[n], again[n]) for n in saved)
    assert all(torch.isfinite(d).all() for d in one.fixed)
    one.begin(torch.tensor([True, False, False]), torch.tensor([0, 0, 0]), torch.full((RUNS,), 9.0))
    hidden = len(one.body.hidden)
    assert all(not m[0].any() and m[1].any() for m in one.fixed[hidden:])


def test_another_number_of_outputs_is_refused():
    with pytest.raises(DeclarationError, match="trained for 4 output units"):
        cohort_of(dense_chain(SIZES).with_rule("backprop"), Broadcast(BroadcastCredit(4)), Plain())
