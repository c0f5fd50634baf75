"""Sequences without a way back through time: arms differ as they say, and the study keeps its own rules."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from short_runs import module

import cortex_sim as cs

NAME = "learning_sequences"
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def study(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    found = importlib.import_module("sequences")
    monkeypatch.setattr(found, "RESULTS", tmp_path / "sequences.json")
    return found


def test_every_arm_starts_alike_and_differs_in_what_brings_credit():
    script = module(NAME)
    task = script.tasks()["match"]
    nets = {name: script.network(task, 4, arm) for name, arm in script.ARMS.items()}
    first, *others = (
        {n: net.initial_weights(3)[n] for n in ("stimulus->PFC", "PFC->answer")} for net in nets.values()
    )
    for other in others:
        for name, w in first.items():
            np.testing.assert_array_equal(other[name], w)
    down = {name: [type(p.feedback).__name__ for p in net.top_downs] for name, net in nets.items()}
    assert down["e-prop, symmetric"] == ["Transpose"]
    assert down["e-prop, random"] == down["broadcast without traces"] == ["Random"]
    assert (down["e-prop, diffused from 16"], down["e-prop, sparse at 16"]) == (["Diffused"], ["Given"])
    memories = {name: net.projection("PFC->answer").plasticity for name, net in nets.items()}
    assert memories["broadcast without traces"] == cs.EProp("none")
    assert memories["e-prop, random"] == cs.EProp()


def test_sparse_credit_reaches_the_places_alone():
    b = module(NAME).sparse(0, 3).weights
    assert b.any(1).sum() == 16 and np.diff(np.flatnonzero(b.any(1))).tolist() == [4] * 15


@pytest.mark.parametrize("task", ["match", "pattern", "rows"])
def test_parts_are_other_trials_of_the_same_task(task):
    draw = module(NAME).tasks()[task].draw
    parts = {part: draw(part, 20, 1) for part in ("train", "validation", "test")}
    for x, y in parts.values():
        assert len(x) == len(y) == 20
    assert not np.array_equal(parts["train"][0], parts["validation"][0])
    assert not np.array_equal(parts["validation"][0], parts["test"][0])
    assert not np.array_equal(draw("test", 20, 2)[0], parts["test"][0])


def test_the_readout_alone_leaves_the_recurrent_network_as_it_was():
    script = module(NAME)
    task = script.tasks()["match"]
    model = script.trained(task, script.ARMS["readout only"], 0.01, 0, updates=2)
    start = script.network(task, 4, script.ARMS["readout only"]).initial_weights(0)
    for name in ("stimulus->PFC", "PFC->PFC recurrent"):
        np.testing.assert_allclose(model.weights[name].detach(), start[name], rtol=1e-6)
    assert not np.allclose(model.weights["PFC->answer"].detach(), start["PFC->answer"])


def test_scores_are_shares_of_answers_and_of_variance():
    script = module(NAME)

    class Knows:
        def __init__(self, draw):
            self.draw = draw

        def predict(self, x):
            return self.draw(x)

    pattern, match = script.tasks()["pattern"], script.tasks()["match"]
    _, y = pattern.draw("test", 30, 0)
    assert script.score(Knows(lambda x: y), pattern, "test", 0, 30) == 1
    assert (
        abs(script.score(Knows(lambda x: np.broadcast_to(y.mean((0, 1)), y.shape)), pattern, "test", 0, 30))
        < 1e-6
    )
    _, labels = match.draw("test", 30, 0)
    assert script.score(Knows(lambda x: np.eye(2)[labels][:, None]), match, "test", 0, 30) == 1


def test_the_grid_grows_until_the_best_rate_is_inside(study):
    falling = {f"match: A: rate {r:g}: seed 100": {"score": s, "rate": r, "part": "validation"} for r, s in
               ((0.003, 0.9), (0.01, 0.8), (0.03, 0.7))}  # fmt: skip
    assert study._further(falling, "match", "A", [0.003, 0.01, 0.03]) == [0.001]
    rising = {key: value | {"score": 1 - value["score"]} for key, value in falling.items()}
    assert study._further(rising, "match", "A", [0.003, 0.01, 0.03]) == [0.1]
    inside = falling | {"match: A: rate 0.01: seed 100": {"score": 0.95, "rate": 0.01, "part": "validation"}}
    assert study._further(inside, "match", "A", [0.003, 0.01, 0.03]) == []
    assert study.chosen(inside, "match", "A") == 0.01


def test_an_interval_is_students(study):
    assert study.paired([0.5, 0.6, 0.7], [0.4, 0.5, 0.6]) == "+10.0 [+10.0, +10.0]"
    assert study.paired([0.51, 0.52, 0.53], [0.5, 0.5, 0.5]) == "+2.0 [-0.5, +4.5]"  # 4.303/√3


def test_the_figure_shows_what_there_is():
    drawn = module(NAME).figure({"match": {"e-prop, random": [0.6, 0.7]}, "rows": {"readout only": [0.3]}})
    assert [axes.get_title() for axes in drawn.axes] == ["match", "rows"]
