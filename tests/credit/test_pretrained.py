"""The credit networks that ship: whole, described, and better teachers than they were before training."""

from pathlib import Path

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.credit import shipped as shipping
from cortex_sim.credit.shipped import credit_network, shipped
from cortex_sim.tdca.evolving.outcome import trained_network
from cortex_sim.tdca.evolving.reading import from_file
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.inner import evaluation
from cortex_sim.tdca.inner.cohort import layout, start
from cortex_sim.tdca.tasks.settings import tasks_from

FOLDER = Path(shipping.__file__).parent / "pretrained"


def test_some_ship():
    assert "tdca_mnist" in shipped()


@pytest.mark.parametrize("name", shipped())
def test_its_run_is_told_beside_it(name):
    trained, settings = credit_network(name, 10), from_file(FOLDER / f"{name}.yaml")
    assert trained_network(settings) == trained.network
    assert f"cortex-sim evolve {name} --seed {settings.seed} " in (FOLDER / "README.md").read_text("utf-8")
    assert trained.about["trained"] and OuterSettings(**trained.about["settings"]) == settings


#: Of the last two the outer loop trained little but rates and schedule.
LEAD = {"tdca_mnist": 0.01, "broadcast_mnist": 0.02, "tdca_shared": 0.0, "layered_mnist": -0.01}


@pytest.mark.parametrize("name", shipped())
def test_it_teaches_better_than_before_it_was_trained(name):
    """On digits, which it never saw, with the rates and schedule that it was trained with."""
    trained, settings = credit_network(name, 10), from_file(FOLDER / f"{name}.yaml")
    rule, step = settings.inner_rule(), settings.inner_step()
    steps = {k: np.array(v) for k, v in trained.about["step"].items()}
    tasks = tasks_from({"kind": "images", "sources": ["digits"], "side": 14})
    accuracy = []
    body = settings.body()
    for parameters in (start(rule, step, 0, body), trained.parameters):
        phi = layout(rule, step, body).joined({**parameters, **steps})
        cohort, drawn = evaluation.run_to_end(body, rule, step, phi, tasks, 20, seeds=12)
        accuracy.append(np.array(evaluation.tested(cohort, drawn)["accuracy"]))
    assert torch.isfinite(phi).all()
    assert (accuracy[1] - accuracy[0]).mean() > LEAD[name]


def test_the_word_alone_takes_one():
    net = cs.model("digits_mlp").with_rule("tdca")
    own = credit_network("tdca_mnist", 10).parameters["hidden"]
    assert (net.teacher.parameters["hidden"] == own).all()
