"""Outer loops on functions: configurations, what they find, and a killed run that resumes to the bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.tdca.evolving.reading import configured, from_file
from cortex_sim.tdca.evolving.run import evolve, saved_settings
from cortex_sim.tdca.functions.problem import FunctionRuns
from cortex_sim.tdca.functions.settings import NEVER_SEEN, TRAINED, FunctionSettings
from cortex_sim.tdca.outer.evolution import EvolutionSearch

SMALL = {
    "families": ["sphere", "himmelblau"], "never_seen": ["ackley"], "dimensions": [2, 4], "tasks": 1,
    "evaluations": 40, "searcher": {"name": "pgpe", "members": 4, "sigma": 0.1}, "iterations": 5,
    "checkpoint_every": 2, "testing": {"dimensions": [2], "tasks": 3, "controls": ["silent", "units"]},
}  # fmt: skip


def made(**settings):
    return FunctionSettings(**{**SMALL, **settings})


@pytest.mark.parametrize("name", ["functions_first_order", "functions_zero_order"])
def test_shipped_configurations(name):
    settings = configured(f"tdca/{name}")
    assert isinstance(settings, FunctionSettings) and settings.inner_rule().layout.count < 190
    assert (
        settings.families == TRAINED and settings.never_seen == NEVER_SEEN and 30 not in settings.dimensions
    )
    assert set(settings.tests().controls) == set(settings.inner_rule().controls)
    settings.check(None)
    assert settings.rule["name"] in name


@pytest.mark.parametrize("rule", ["first_order", "zero_order"])
def test_a_run_and_what_it_writes(tmp_path, rule):
    settings = made(rule={"name": rule, "hidden": 3})
    metrics = evolve(settings, tmp_path / "run")
    assert metrics["rule"]["name"] == rule and metrics["missing"] == []
    assert metrics["per_life"].keys() == {
        f"n2 {name}{c}" for name in ("sphere", "himmelblau", "ackley") for c in ("", ":silent", ":units")
    }
    cell = metrics["per_life"]["n2 sphere"]
    assert len(cell["level"]) == len(cell["solved_at"]) == 3
    for level, at in zip(cell["level"], cell["solved_at"], strict=True):
        assert (level < 0.01) == (at is not None) and (at is None or 0 < at <= 40)
    solved = [
        at is not None for name in SMALL["families"] for at in metrics["per_life"][f"n2 {name}"]["solved_at"]
    ]
    assert metrics["share_solved"]["n2"]["trained"] == pytest.approx(np.mean(solved))
    named = load_file(tmp_path / "run" / "outer.safetensors")
    assert named.keys() == settings.inner_rule().shapes().keys()
    assert metrics["parameters"] == sum(p.size for p in named.values())
    assert (tmp_path / "run" / "progress.png").read_bytes().startswith(b"\x89PNG")
    assert from_file(tmp_path / "run" / "run.yaml") == settings
    assert json.loads((tmp_path / "run" / "metrics.json").read_text("utf-8")) == metrics
    title, heads, rows = settings.table(metrics)
    assert (
        "solved" in title and [row[0] for row in rows] == ["n2", "n2:silent", "n2:units"] and len(heads) == 3
    )


class Killed(Exception):
    pass


@pytest.mark.parametrize("at", [1, *(pytest.param(at, marks=pytest.mark.slow) for at in (3, 4))])
def test_a_killed_run_resumes_to_the_bit(tmp_path, monkeypatch, at):
    settings = made(testing={"dimensions": [2], "tasks": 1})
    whole = evolve(settings, tmp_path / "whole")
    taken, step = [], EvolutionSearch.step

    def stepping(search):
        if len(taken) == at:
            raise Killed
        taken.append(step(search))
        return taken[-1]

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(EvolutionSearch, "step", stepping)
        evolve(settings, tmp_path / "killed")
    resumed = evolve(saved_settings(tmp_path / "killed"), tmp_path / "killed", resume=True)
    assert resumed["per_life"] == whole["per_life"] and resumed["contained"] == whole["contained"]
    for name in ("outer.safetensors", "checkpoint.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("whole", "killed"))
        assert all(p.tobytes() == theirs[of].tobytes() for of, p in ours.items())
    assert evolve(replace(settings, seed=1), tmp_path / "other")["per_life"] != whole["per_life"]


def test_tests_are_the_same_under_every_seed_and_family_list():
    phi = made().problem(None)[1]
    one = made().outcome(phi, None, lambda _: None)["per_life"]
    other = made(seed=3, families=["sphere"], never_seen=[]).outcome(phi, None, lambda _: None)["per_life"]
    assert {name: one[name] for name in other} == other


def test_fitness_prefers_who_comes_lower_on_every_task():
    settings = made()
    runs, phi = settings.problem(None)
    assert isinstance(runs, FunctionRuns) and runs.parameters == len(phi)
    good = phi.clone()
    frozen = phi.clone()
    layout = settings.inner_rule().layout
    layout.split(frozen)["log_rate"].fill_(-12.0)  # a view: points hardly move
    generator = torch.Generator().manual_seed(0)
    fitness = runs.fitness(torch.stack([frozen, good, good]), generator)
    assert fitness[1] == fitness[2] and fitness[1] < fitness[0] - 0.5
    again = runs.fitness(torch.stack([frozen, good, good]), torch.Generator().manual_seed(0))
    assert torch.equal(fitness, again)


def test_a_member_that_diverges_is_contained():
    runs, phi = made().problem(None)
    wild = phi.clone()
    made().inner_rule().layout.split(wild)["log_rate"].fill_(200.0)
    fitness = runs.fitness(torch.stack([wild, phi]), torch.Generator().manual_seed(0))
    assert bool(torch.isfinite(fitness).all()) and fitness[1] < fitness[0]


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"families": []}, "setting families is empty; give at least one, such as sphere"),
        ({"families": "sphere"}, "setting families must be a list. Got 'sphere'"),
        ({"never_seen": ["sphere"]}, "setting never_seen: sphere is also in families"),
        ({"families": ["spere"]}, "unknown function 'spere' (did you mean 'sphere'?)"),
        (
            {"families": ["beale"], "dimensions": [3]},
            "is of pairs of variables; give an even number of them. Got 3",
        ),
        ({"never_seen": ["beale"], "testing": {"dimensions": [5]}}, "an even number of them. Got 5"),
        ({"dimensions": []}, "dimensions must be a list of numbers of variables, such as [2, 10]. Got []"),
        ({"dimensions": [1]}, "dimensions must be a whole number of at least 2. Got 1"),
        ({"tasks": 0}, "tasks must be a whole number of at least 1. Got 0"),
        ({"floor": 0.0}, "floor must be a positive number"),
        ({"rule": {"name": "second_order"}}, "unknown function_rule 'second_order'"),
        ({"rule": "first_order"}, "setting rule must be a mapping, name: value. Got 'first_order'"),
        ({"testing": {"task": 3}}, "unknown setting of testing 'task' (did you mean 'tasks'?)"),
        ({"testing": {"controls": ["noise"]}}, "unknown control"),
        ({"testing": {"controls": "silent"}}, "setting controls of testing must be a list"),
        ({"searcher": {"name": "nres"}}, "nres needs inner runs that persist"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_begins(tmp_path, settings, said):
    with pytest.raises(CortexSimError) as raised:
        evolve(made(**settings), tmp_path / "run")
    assert said in str(raised.value) and not (tmp_path / "run").exists()


def test_settings_of_presentations_are_not_known_here(tmp_path):
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({"problem": "functions", "lives": 3}), encoding="utf-8")
    with pytest.raises(RunError, match=r"unknown setting of bad.yaml 'lives'.*never_seen"):
        configured(str(tmp_path / "bad.yaml"))
