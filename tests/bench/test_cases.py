"""Both sides of every benchmark are the same network, and every step does what a benchmark says."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.bench import memory
from cortex_sim.bench.cases import PLAIN, cases, cycle, dense_chain
from cortex_sim.bench.points import AXES, found, points
from cortex_sim.bench.throughput import loop_row, step_rows
from cortex_sim.feedback import Inverse
from cortex_sim.regularisers import HardOrthogonality, Orthogonality

SMALL = cases(batch=2)
LARGEST = "gait_cifar_deep"  # seconds to build


@pytest.mark.parametrize("name", [name for name in SMALL if name != LARGEST])
def test_plain_torch_is_the_same_network(name):
    case = SMALL[name]
    model, plain = cs.torch.build(case.under("backprop"), seed=1), case.plain()
    plain.load_state_dict(cs.torch.to_state_dict(model, plain))  # checked by outputs, in testing mode
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert learned == sum(p.numel() for p in plain.parameters())
    x, y = case.stimuli(batches=1)
    model.train()
    plain.train()
    theirs = torch.nn.functional.cross_entropy(plain(x), y)
    model(x, y)
    assert float(model.last_objective) == pytest.approx(float(theirs.detach()), rel=1e-4)


def test_a_chain_of_other_sizes_is_the_same_network():
    case = dense_chain(depth=2, width=11, batch=3)
    model, plain = cs.torch.build(case.under("gait_prop")), case.plain()
    plain.load_state_dict(cs.torch.to_state_dict(model, plain))
    assert [m.out_features for m in plain if isinstance(m, torch.nn.Linear)] == [11, 11, 10]


@pytest.mark.parametrize("name", list(SMALL))
def test_gait_prop_runs_as_it_ships(name):
    net = SMALL[name].under("gait_prop")
    inverses = [p.feedback for p in net.top_downs if isinstance(p.feedback, Inverse)]
    hard = [r for p in net.bottom_ups for r in p.regularisers if isinstance(r, HardOrthogonality)]
    assert inverses and all(f.refresh % 8 == 0 and f.rescale for f in inverses)
    assert hard and all(r.every == 8 for r in hard)
    assert cycle(net) in (8, 16)


@pytest.mark.parametrize("name", ["gait_cifar_deep", "gait_imagenet"])
def test_the_published_algorithm_is_configured_as_published(name):
    from cortex_sim import library
    from cortex_sim.training.settings import network, resolve

    settings = resolve(None, config=library.configuration(SMALL[name].published))
    net = network(settings)
    assert settings.precision == "64"
    assert all(p.feedback.auxiliary and p.feedback.refresh == 1 for p in net.top_downs)
    rules = {p.plasticity.form for p in net.bottom_ups}
    penalties = [r for p in net.bottom_ups for r in p.regularisers]
    assert rules == {"finite"}
    assert penalties and all(isinstance(r, Orthogonality) and r.diagonal for r in penalties)


def test_steps_are_timed_and_train():
    case = dense_chain(depth=2, width=8, batch=4)
    rows = step_rows(case, ("backprop", "gait_prop"), blocks=2, threads=1)
    assert [row["rule"] for row in rows] == ["backprop", "gait_prop"]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["ours_s"] / row["baseline_s"])
        assert row["blocks"] == 2
    x, y = case.stimuli(2)
    for name in ("gait_prop", PLAIN):
        side = case.side(name, x, y)
        side.step()


def test_the_training_loop_is_compared_with_a_plain_one():
    found_ = loop_row(dense_chain(depth=1, width=4, batch=2), blocks=2, threads=1)
    assert found_["loop_throughput"] == pytest.approx(found_["loop_baseline_s"] / found_["loop_s"])


@pytest.mark.parametrize("family", list(AXES))
def test_axes_share_their_middle_and_names_are_found_again(family):
    every = points(family)
    names = [(p.case.network, p.case.batch) for p in every]
    assert len(set(names)) == len(every) - 2  # the middle stands on three axes
    for point in every:
        assert found(point.case.network, point.case.batch).network == point.case.network
    with pytest.raises(cs.RunError, match="unknown network 'nope'"):
        found("nope", 2)


def test_memory_of_a_failing_process_says_why(monkeypatch):
    failed = SimpleNamespace(returncode=1, stdout="", stderr="Traceback\nRunError: no such network")
    monkeypatch.setattr(memory.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(cs.RunError, match="failed: RunError: no such network"):
        memory.peak_of(SMALL["conv4"], PLAIN, 1)


def test_memory_is_that_of_the_processes(monkeypatch):
    asked = []

    def ran(command, env, **_):
        given_ = json.loads(command[-1])
        asked.append((given_["side"], "MALLOC_MMAP_THRESHOLD_" in env))
        size = {PLAIN: 100, "gait_prop": 110}.get(given_["side"], 105) - 20 * asked[-1][1]
        return SimpleNamespace(returncode=0, stdout=json.dumps({"bytes": size}), stderr="")

    monkeypatch.setattr(memory.subprocess, "run", ran)
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    rows = {row["rule"]: row for row in memory.memory(1, ["conv4"], lambda said: None, batch=2, repeats=3)}
    assert rows["gait_prop"]["ratio"] == rows["gait_prop"]["memory_ratio"] == 1.1
    assert rows["gait_prop"]["in_use_ratio"] == 90 / 80
    assert asked.count((PLAIN, False)) == 3 and asked.count((PLAIN, True)) == 1


def test_stimuli_fit_the_network():
    x, y = SMALL["conv4"].stimuli(batches=3)
    assert x.shape == (6, 3, 32, 32) and len(np.unique(y)) <= 10
