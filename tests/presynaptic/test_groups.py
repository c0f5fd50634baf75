"""What synapses of a convolution in groups read: one decorrelation for each group."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import relative_error
from sheet_networks import chain_of, sheets, shown
from sheets import two
from timed import by_population

import cortex_sim as cs
from cortex_sim.backends.torch.presynaptic import _of_all_ranks
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.presynaptic.drawing import noise_of

HOW = cs.Decorrelated(mixing=0.6, group=None)
NAME = "V2->V4"


def network(word="backprop", how=HOW):
    net = sheets()
    net.projections[NAME] = replace(net.projections[NAME], reads=how)
    return net.with_rule(word)


def patches(net, r):
    """What the places of each group read, one entry at a time: (group, presentation · place, input)."""
    (pre, post), c = net.ends(net.projections[NAME]), net.projections[NAME].connector
    (k1, k2), (p1, p2), ins, step = two(c.kernel), two(c.padding), pre[0] // c.groups, c.stride
    padded = np.pad(r.reshape(-1, *pre), [(0, 0), (0, 0), (p1, p1), (p2, p2)])
    places = [(n, step * i, step * j) for n in range(len(r)) for i, j in np.ndindex(*post[1:])]
    return np.stack(
        [
            [padded[n, g * ins : (g + 1) * ins, i : i + k1, j : j + k2].ravel() for n, i, j in places]
            for g in range(c.groups)
        ]
    )


def expected(net, read):
    """State of each group by itself after one update."""
    noise = noise_of(NAME, 0, *read.shape)
    inputs = read.shape[-1]
    return [HOW.renewed(HOW.initial(inputs), r, xi) for r, xi in zip(read, noise, strict=True)]


def test_each_group_keeps_and_reads_a_state_of_its_own():
    net, (x, y) = network(), shown()
    model = cs.torch.build(net, seed=3, precision="64")
    model.attach(torch.optim.SGD(model.parameters(), lr=0.0))
    rates, _ = chain_of(model).settle(x)
    read = patches(net, rates["V2"])
    model.train()(torch.as_tensor(x), torch.as_tensor(y)).backward()
    states = expected(net, read)
    kept = model.presynaptic.of[NAME].state()
    for variable in kept:
        np.testing.assert_allclose(kept[variable], [s[variable] for s in states], rtol=1e-9, atol=1e-12)
    credits = model.eval().credits(x, y)["V4"].detach().numpy()
    u = (credits / np.cosh(chain_of(model).settle(x)[1]["V4"].reshape(credits.shape)) ** 2).reshape(
        len(x), 2, 3, -1
    )
    by_place = u.transpose(1, 0, 3, 2).reshape(2, -1, 3)
    seen = np.stack([HOW.read(s, r) for s, r in zip(states, read, strict=True)])
    wanted = by_place.swapaxes(-1, -2) @ seen / len(x)
    assert relative_error(model.updates(x, y)[NAME].detach().numpy().ravel(), wanted.ravel()) < 1e-9


@pytest.mark.parametrize("word", ["backprop", "kolen_pollack", "oja"])
def test_in_time_and_at_equilibrium_it_moves_alike(word):
    net, (x, y) = network(word), shown(2)
    phase = {"drive": {"retina": x}, "nudge": {"IT": y}}
    script = cs.Protocol(
        cs.Phase("settle", 400, **phase),
        cs.Phase("learn", 20, plasticity=True, **phase),
        batch=2,
        record=cs.Record(("rate",), phase="settle", weights=True),
        eta_per_s=5e-5,
    )
    sessions = cs.brian2.build(net, dt_ms=1.0), QuasiStatic(net)
    in_time, settled = (session.run(script) for session in sessions)
    assert by_population(net, in_time, "rate")["V4"].any()
    for p in net.projections.values():
        if p.plasticity is not None:
            start = net.initial_weights(0)[p.name]
            ours, theirs = (cs.recording.weights_of(seen, p.name)[1][-1] for seen in (in_time, settled))
            change, moved = (seen - start.reshape(seen.shape) for seen in (theirs, ours))
            np.testing.assert_allclose(moved, change, rtol=0, atol=1e-4 * abs(change).max())
    ours, theirs = (s.weights.readings if hasattr(s, "weights") else s.windows.readings for s in sessions)
    assert ours.of[NAME].state["matrix"].shape == (2, 1, 8, 8)
    for variable, values in theirs.of[NAME].state.items():
        np.testing.assert_allclose(ours.of[NAME].state[variable], values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("groups", [(), (3,)])
def test_ranks_together_are_one_process(groups, monkeypatch):
    places, ranks = 4, 2
    whole = torch.randn(*groups, 6 * places, 5)
    by_presentation = whole.reshape(*groups, 6, places, 5)
    of_ranks = [by_presentation[..., rank::ranks, :, :].reshape(*groups, -1, 5) for rank in range(ranks)]
    monkeypatch.setattr(
        "cortex_sim.backends.torch.distributed.gathered", lambda values, dim: torch.cat(of_ranks, dim=dim)
    )
    torch.testing.assert_close(_of_all_ranks(of_ranks[0], ranks, places), whole, rtol=0, atol=0)
