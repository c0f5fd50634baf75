"""Outer loops of policies: the window's objective, resuming to the bit, the outcome, and what is refused."""

import pytest
import torch
from safetensors.numpy import load_file

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.tdca.evolving.reading import configured
from cortex_sim.tdca.evolving.run import evolve, saved_settings
from cortex_sim.tdca.outer.meta_gradient import MetaGradientSearch
from cortex_sim.tdca.outer.nres import NRESSearch
from cortex_sim.tdca.reinforcement.settings import ReinforcementSettings

SMALL = {
    "task": "context_choice",
    "model_settings": {"hidden": [6], "activation": "tanh"},
    "practice": {"updates": 6, "episodes": 6, "window": 2, "scrambled": True},
    "rule": {
        "name": "layered_of_trained_top",
        "credit_network": {
            "name": "dense",
            "outputs": 2,
            "channels": 1,
            "hidden": 5,
            "context": {"name": "actions", "observation": 8},
        },
    },
    "testing": {"inner_runs": 2, "after": 5},
    "iterations": 5,
    "inner_runs": 4,
    "checkpoint_every": 2,
}


def made(**given):
    return ReinforcementSettings(**{**SMALL, **given})


class Killed(Exception):
    pass


@pytest.mark.parametrize("searcher", ["meta_gradient", "nres"])
@pytest.mark.parametrize("at", [3])
def test_a_killed_run_resumes_to_the_bit(tmp_path, monkeypatch, searcher, at):
    settings = made(searcher={"name": searcher, "rate": 0.02})
    whole = evolve(settings, tmp_path / "whole")
    kind = MetaGradientSearch if searcher == "meta_gradient" else NRESSearch
    taken, step = [], kind.step

    def stepping(search):
        if len(taken) == at:
            raise Killed
        taken.append(step(search))
        return taken[-1]

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(kind, "step", stepping)
        evolve(settings, tmp_path / "killed")
    assert saved_settings(tmp_path / "killed") == settings
    resumed = evolve(saved_settings(tmp_path / "killed"), tmp_path / "killed", resume=True)
    assert resumed["per_life"] == whole["per_life"] and resumed["return"] == whole["return"]
    for name in ("outer.safetensors", "checkpoint.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("whole", "killed"))
        assert all(p.tobytes() == theirs[of].tobytes() for of, p in ours.items())
    labels = {f"{s}{how}" for s in "DRE" for how in ("", ":silent", ":units", ":observations", ":policy")}
    assert set(whole["per_life"]) == labels
    row = whole["per_life"]["E"]
    assert len(row["mean"]) == 2 and len(row["curve"]) == 6 and row["steps"] == [36.0, 36.0]
    assert settings.table(whole)[2][0][0] == "D"


def test_a_window_is_worth_minus_the_return_of_its_episodes():
    settings = made(rule={"name": "backprop"})
    runs, phi = settings.problem(None)
    generator = runs.generator.get_state()
    found = runs.unroll(phi.requires_grad_())
    assert found.begins.all() and float(found.loss.detach().abs().max()) <= 1.0
    (gradient,) = torch.autograd.grad(found.loss.mean(), phi)
    assert gradient.isfinite().all() and gradient.any()
    again, _ = settings.problem(None)
    again.generator.set_state(generator)
    with torch.no_grad():
        torch.testing.assert_close(again.unroll(phi).loss, found.loss.detach())


def test_the_score_function_points_to_a_larger_return():
    """A step of φ along minus its gradient raises the mean return of the window's last episodes."""
    settings = made(
        rule={"name": "backprop"},
        practice={"updates": 20, "episodes": 64, "window": 20, "setting": "D"},
        step={"name": "plain", "rate": 0.05},
        inner_runs=24,
    )
    runs, phi = settings.problem(None)
    (gradient,) = torch.autograd.grad(runs.unroll(phi.requires_grad_()).loss.mean(), phi)
    losses = []
    for shift in (0.0, 2.0):
        other, start = settings.problem(None)
        with torch.no_grad():
            losses.append(float(other.unroll(start - shift * gradient / gradient.norm()).loss.mean()))
    assert losses[1] < losses[0] - 0.02


@pytest.mark.parametrize(
    "given, said",
    [
        ({"task": "cartpol"}, "unknown environment 'cartpol' (did you mean 'cartpole'"),
        ({"practice": {"window": 4}}, "multiple of window, 4"),
        ({"practice": {"setting": "Q"}}, "setting of practice"),
        ({"practice": {"discount": 1.5}}, "at most 1"),
        ({"practice": {"updats": 4}}, "unknown setting of practice 'updats'"),
        ({"testing": {"controls": ["silence"]}}, "unknown controls of testing 'silence'"),
        ({"testing": {"settings": []}}, "settings is empty"),
        ({"testing": {"settings": "DR"}}, "must be a list"),
        ({"practice": {"fresh": -1}}, "fresh"),
        (
            {"rule": {"name": "tdca", "credit_network": {"name": "modulated"}}},
            "gives credit only to the top",
        ),
        ({"step": {"name": "adam", "hidden": 0.0}}, "hidden"),
        ({"step": {"name": "mixed"}}, "use adam or plain"),
        ({"searcher": {"name": "snes"}}, "use meta_gradient or nres"),
        ({"searcher": {"name": "nres"}, "inner_runs": 3}, "give an even number"),
        ({"task": "acrobot"}, "give observation: 6 or 0"),
        ({"task": "acrobot", "rule": {"name": "tdca", "credit_network": {"name": "dense"}}}, "name: actions"),
        (
            {"rule": {"name": "backprop"}, "model_settings": {"hidden": [4], "inputs": 5}},
            "change model_settings",
        ),
        ({"rule": []}, "setting rule must be a mapping"),
    ],
)
def test_what_is_wrong_is_named(given, said):
    with pytest.raises(CortexSimError) as raised:
        made(**given).problem(None)
    assert said in str(raised.value)


def test_other_numbers_of_actions_are_refused():
    rule = {"name": "tdca", "credit_network": {"name": "dense", "outputs": 2, "context": {"name": "actions"}}}
    with pytest.raises(RunError, match="is for 2 actions, but acrobot has 3"):
        made(task="acrobot", rule=rule).problem(None)


@pytest.mark.parametrize(
    "name",
    [
        *("acrobot", "card_sorting", "cartpole", "context_choice", "match_to_sample", "mountain_car"),
        *("pendulum", "cartpole_adding", "context_choice_adding", "match_to_sample_adding"),
    ],
)
def test_shipped_configurations_begin(name):
    settings = configured(f"reinforcement_{name}")
    assert settings.task == name.removesuffix("_adding")
    runs, phi = settings.problem(None)
    assert len(phi) == runs.parameters
    settings.check(None)
