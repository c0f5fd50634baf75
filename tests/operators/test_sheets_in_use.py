"""Where else convolutions in groups and pooling go: inner runs, recordings, unrolled loops, export."""

import numpy as np
import pytest
import torch
from sheet_networks import sheets, shown

import cortex_sim as cs
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort
from cortex_sim.tdca.inner.rules import Backprop
from cortex_sim.tdca.inner.step import Plain
from cortex_sim.viz.weights import _names


def pooled(pool):
    net = cs.Network("pooled")
    net.population("retina", shape=(2, 5, 6))
    net.population("V1", shape=(3, 5, 4), activation="tanh")
    net.population("V2", shape=(3, 2, 2), activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d((3, 5), padding=1), plasticity="backprop")
    net.bottom_up("V1", "V2", pool)
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("backprop")


@pytest.mark.parametrize("pool", [cs.AveragePool2d(2), cs.MaxPool2d((3, 2), stride=(2, 2))], ids=str)
def test_an_inner_run_changes_weights_through_pooling_as_torch_does(pool):
    net, runs = pooled(pool), 2
    body = architecture(net)
    cohort = Cohort(body, Backprop(), Plain(), runs, dtype=torch.float64)
    cohort.begin(torch.ones(runs, dtype=torch.bool), torch.arange(runs), torch.full((runs,), 10.0))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 2, 5, 6)), rng.integers(3, size=5)
    several = torch.tensor(x).flatten(1).expand(runs, 5, -1)
    goal = torch.eye(3, dtype=torch.float64)[torch.tensor(y)].expand(runs, -1, -1)
    _, local = cohort.changes({}, several, goal)
    for run in range(runs):
        expected = cs.torch.build(net, seed=run, precision="64").updates(x, y)
        for layer, (u, read) in zip(body.layers, local, strict=True):
            wanted = expected[layer.projection.name].detach()
            change = (u[run].T @ read[run] / len(x)).reshape(wanted.shape)
            torch.testing.assert_close(change, wanted, rtol=1e-9, atol=1e-9)


def test_inner_runs_refuse_groups_by_name():
    with pytest.raises(cs.BuildError, match="retina->V1: Conv2d with groups is not supported in parallel"):
        architecture(sheets().with_rule("backprop"))


def test_recorded_weights_say_their_groups_and_figures_the_channels():
    net, (x, y) = sheets().with_rule("backprop"), shown(1)
    phase = cs.Phase("learn", 5, drive={"retina": x}, nudge={"IT": y}, plasticity=True)
    script = cs.Protocol(phase, batch=1, record=cs.Record((), weights=True), eta_per_s=1e-3)
    seen = cs.brian2.build(net, dt_ms=1.0).run(script)["weight:V2->V4"]
    assert seen.shape[1:] == (6, 8)
    assert seen.attrs["shape"] == [6, 2, 2, 2] and seen.attrs["groups"] == 2
    assert _names("V2->V4", seen, [(1, 5), (4, 5)]) == ["V2 1→V4 1 at (0, 1)", "V2 3→V4 4 at (0, 1)"]


def test_max_pooling_trains_within_a_loop_that_is_unrolled():
    net = cs.Network("recurrent")
    net.population("retina", shape=(1, 4, 4))
    net.population("V1", shape=(2, 4, 4), activation="tanh")
    net.population("V2", shape=(2, 2, 2), activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(3, padding=1), plasticity="backprop")
    net.bottom_up("V1", "V2", cs.MaxPool2d(2))
    net.recurrent("V2", "V1", cs.Dense(init="xavier"), plasticity="backprop")
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 1, 4, 4)), rng.integers(3, size=6)
    model = cs.torch.build(
        net.with_rule("backprop"), seed=0, precision="64", settling=cs.torch.Unrolled(8, 10.0)
    )
    found, wanted = model.updates(x, y), model.backprop_updates(x, y)
    for name, change in wanted.items():
        assert change.norm() > 1e-4
        torch.testing.assert_close(found[name], change, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pool", ["average", "max"])
def test_the_way_up_is_exported(pool):
    model = cs.torch.build(sheets(pool).with_rule("gait_prop")).eval()
    x = torch.as_tensor(shown()[0], dtype=torch.float32)
    exported = torch.export.export(model, (x,), strict=False)
    torch.testing.assert_close(exported.module()(x), model(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("word", ["gait_prop", "kolen_pollack", "oja"])
def test_compiled_training_is_eager_training(word):
    eager, compiled = (cs.torch.build(sheets("max").with_rule(word), seed=1) for _ in range(2))
    x, y = (torch.as_tensor(values) for values in shown())
    for model, step in ((eager, eager), (compiled, torch.compile(compiled, backend="aot_eager"))):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        model.attach(optimiser)
        for _ in range(3):
            optimiser.zero_grad()
            step(x.float(), y).backward()
            optimiser.step()
    for ours, theirs in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
