"""Connectors of one's own, one class each: squares without weights, and one kernel at many places."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from networks import Spread
from own_parts import Sliding
from timed import by_population

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.operators import Weightless, operator_of
from cortex_sim.rules.base import WORDS
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort
from cortex_sim.tdca.inner.rules import Backprop
from cortex_sim.tdca.inner.step import Plain
from cortex_sim.viz.drawing import draw

PRE, KERNELS, POOLED, TOP = (9,), (2, 1, 6), (2, 1, 3), 3


@cs.register("connector", "test_average_pool")
@dataclass(frozen=True)
class AveragePool(cs.Unweighted):
    """Mean over ``width`` columns."""

    width: int = 2

    def operator(self, pre, post):
        """Each post unit the mean of its columns, each column its share of the post unit's u."""
        owner = np.arange(int(np.prod(pre))) // self.width
        return Weightless(
            pre,
            post,
            lambda r: r.reshape(*r.shape[:-1], -1, self.width).mean(-1),
            lambda u: u[..., owner] / self.width,
        )


def network(word="backprop"):
    net = cs.Network("own")
    net.population("retina", shape=PRE)
    net.population("V1", shape=KERNELS, activation="tanh")
    net.population("V2", shape=POOLED, activation="tanh")
    net.population("IT", TOP)
    net.bottom_up("retina", "V1", Sliding(), plasticity="backprop")
    net.bottom_up("V1", "V2", AveragePool())
    net.bottom_up("V2", "IT", cs.Dense(init=Spread(0.5, 1.0)), plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule(word)


def shown(count=5):
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, *PRE)), rng.integers(TOP, size=count)


def matrix_of(connector, pre, post, w=None):
    """The dense matrix of a connector, one unit at a time."""
    op = operator_of(connector, pre, post)
    return op.up(np.eye(int(np.prod(pre))), None if w is None else op.matrix(w)).T


def test_they_mean_what_their_equations_say():
    w = np.random.default_rng(0).normal(size=(2, 4))
    local, pool = np.zeros((12, 9)), np.zeros((6, 12))
    for channel, place, step in np.ndindex(2, 6, 4):
        local[channel * 6 + place, place + step] = w[channel, step]
    for unit in range(12):
        pool[unit // 2, unit] = 0.5
    np.testing.assert_allclose(matrix_of(Sliding(), PRE, KERNELS, w), local)
    np.testing.assert_allclose(matrix_of(AveragePool(), KERNELS, POOLED), pool)


def test_they_are_written_read_printed_and_drawn():
    net = network()
    assert cs.Network.from_yaml(net.to_yaml()) == net
    assert "retina" in str(net)
    drawn = draw(net)
    assert any("V1" in text.get_text() for text in drawn.findobj(Text))


@pytest.mark.parametrize("word", sorted({*WORDS} - {"target_prop"}))
def test_every_rule_trains_them(word):
    model = cs.torch.build(network(word), seed=0, precision="64")
    x, y = shown()
    changes = model.updates(x, y)
    assert {"retina->V1", "V2->IT"} <= set(changes)
    assert all(torch.isfinite(change).all() for change in changes.values())


def test_what_inverts_a_whole_drive_refuses_them():
    with pytest.raises(cs.DeclarationError, match="population V1: TargetProp .* chains of Dense"):
        network("target_prop")


def test_backprop_is_autograds_of_the_dense_equivalent_projected_on_the_kernel():
    net = network()
    model = cs.torch.build(net, seed=0, precision="64")
    x, y = shown()
    w = model.weights["retina->V1"].detach().numpy()
    full = torch.tensor(matrix_of(Sliding(), PRE, KERNELS, w), requires_grad=True)
    pool = torch.tensor(matrix_of(AveragePool(), KERNELS, POOLED))
    top = model.weights["V2->IT"].detach().clone().requires_grad_(True)
    rates = torch.tanh(torch.tanh(torch.tensor(x) @ full.T) @ pool.T)
    torch.nn.functional.cross_entropy(rates @ top.T, torch.tensor(y)).backward()
    kernel = np.zeros((2, 4))
    for channel, place, step in np.ndindex(2, 6, 4):
        kernel[channel, step] -= full.grad[channel * 6 + place, place + step].item()
    changes, reference = model.updates(x, y), model.backprop_updates(x, y)
    for name, wanted in (("retina->V1", kernel), ("V2->IT", -top.grad.numpy())):
        np.testing.assert_allclose(changes[name], wanted, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(reference[name], wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("word", ["backprop", "feedback_alignment", "kolen_pollack", "gait_prop", "oja"])
def test_in_time_and_at_equilibrium_they_are_one(word):
    """As tests/contract/test_backends_agree.py; weights move by η·T = 1e-6 while they learn."""
    x, y = shown(3)
    net = network(word)
    settling_ms = 1_500 if word == "gait_prop" else 500  # the slowest mode of the dynamic inversion
    phase = {"drive": {"retina": x}, "nudge": {"IT": y}}
    script = cs.Protocol(
        cs.Phase("settle", settling_ms, **phase),
        cs.Phase("learn", 20, plasticity=True, **phase),
        batch=3,
        record=cs.Record(("rate", "drive", "credit"), phase="settle", weights=True),
        eta_per_s=5e-5,
    )
    in_time, settled = (s.run(script) for s in (cs.brian2.build(net, dt_ms=1.0), QuasiStatic(net)))
    for variable in ("rate", "drive", "credit"):
        ours, theirs = (by_population(net, recording, variable) for recording in (in_time, settled))
        for name in set(theirs) - ({"retina"} if variable == "credit" else set()):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-9 * abs(theirs[name]).max())
    start = net.initial_weights(0)
    for p in net.bottom_ups:
        if p.plasticity is not None:
            ours, theirs = (cs.recording.weights_of(seen, p.name)[1][-1] for seen in (in_time, settled))
            change = theirs - start[p.name].reshape(theirs.shape)
            assert abs(change).max() > 1e-9
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6 * abs(change).max())


def test_synapses_of_their_own_are_refused_by_name():
    with pytest.raises(cs.BuildError, match="projection retina->V1: .*shares them; use engine"):
        cs.brian2.build(network(), engine="synapses")
    net = cs.Network("pooled")
    net.population("retina", 4)
    net.population("V1", 2)
    net.bottom_up("retina", "V1", AveragePool())
    with pytest.raises(cs.BuildError, match="projection retina->V1: .*AveragePool has no"):
        cs.brian2.build(net, engine="synapses")


def test_a_life_changes_them_as_torch_does():
    net, runs = network(), 2
    body = architecture(net)
    cohort = Cohort(body, Backprop(), Plain(), runs, dtype=torch.float64)
    cohort.begin(torch.ones(runs, dtype=torch.bool), torch.arange(runs), torch.full((runs,), 10.0))
    x, y = shown()
    several = torch.tensor(x).expand(runs, *x.shape)
    goal = torch.eye(TOP, dtype=torch.float64)[torch.tensor(y)].expand(runs, -1, -1)
    _, local = cohort.changes({}, several, goal)
    for run in range(runs):
        expected = cs.torch.build(net, seed=run, precision="64").updates(x, y)
        for layer, (u, read) in zip(body.layers, local, strict=True):
            change = u[run].T @ read[run] / len(x)
            torch.testing.assert_close(change, expected[layer.projection.name].detach(), rtol=1e-9, atol=1e-9)


def test_training_is_resumed_where_it_was_left():
    x, y = shown(20)
    whole = cs.torch.build(network(), seed=0, precision="64")
    whole.fit((x, y), 2, batch_size=5, progress=False)
    again = cs.torch.build(whole.net, seed=9, state=whole.state(), precision="64")
    np.testing.assert_array_equal(again.predict(x), whole.predict(x))


@dataclass(frozen=True)
class Crooked(AveragePool):
    """Hands u down without dividing it."""

    def operator(self, pre, post):
        right = super().operator(pre, post)
        return Weightless(pre, post, right.upward, lambda u: self.width * right.downward(u))


@dataclass(frozen=True)
class Silent(cs.Unweighted):
    """Has no operator."""


def test_what_does_not_hold_is_refused_with_the_way_out():
    def joined(connector):
        net = cs.Network("own")
        net.population("retina", 4)
        net.population("V1", 2)
        net.bottom_up("retina", "V1", connector)
        return net

    with pytest.raises(cs.DeclarationError, match="retina->V1: down of Crooked's operator is not the transp"):
        joined(Crooked())
    with pytest.raises(cs.DeclarationError, match=r"gives shape \(3, 4\) going up"):
        joined(AveragePool(width=1))
    with pytest.raises(cs.BuildError, match="retina->V1: Silent has no operator.*give the class a method"):
        cs.torch.build(joined(Silent()))
