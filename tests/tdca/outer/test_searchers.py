"""What every searcher promises: found by name, its settings are data, and it resumes bit for bit."""

import pytest
import torch
from quadratic_runs import QuadraticFitness, QuadraticRuns
from safetensors.torch import load, save

from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.registry import make, names, to_data

SETTINGS = {
    "meta_gradient": {},
    "nres": {"sigma": 0.1},
    "pgpe": {"members": 8},
    "snes": {"members": 8},
    "cma_es": {"members": 8},
}


def begin(name, seed, dtype=torch.float64, parameters=3):
    settings = make("searcher", {"name": name, **SETTINGS[name]})
    if settings.serves == "unrolls":
        problem = QuadraticRuns(6, parameters, twins=settings.twins, seed=seed)
    else:
        problem = QuadraticFitness(parameters)
    centre = torch.zeros(parameters, dtype=dtype)
    return settings.begin(problem, centre, 20, torch.Generator().manual_seed(seed))


def test_every_searcher_is_tested_here():
    assert set(SETTINGS) == set(names("searcher"))


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("at", [0, 1, 5])
def test_resumed_ends_where_uninterrupted_ends(name, at):
    straight, interrupted = (begin(name, seed=1, parameters=37) for _ in range(2))
    expected = [straight.step() for _ in range(12)]
    got = [interrupted.step() for _ in range(at)]
    saved = save(interrupted.state())  # safetensors: named tensors, and nothing else
    interrupted.step()  # what the process did after its last checkpoint is lost
    resumed = begin(name, seed=2, parameters=37)
    resumed.restore(load(saved))
    got += [resumed.step() for _ in range(12 - at)]
    assert got == expected
    assert torch.equal(resumed.centre, straight.centre)
    after, before = resumed.state(), straight.state()
    assert after.keys() == before.keys() and all(torch.equal(after[k], before[k]) for k in before)


@pytest.mark.parametrize("name", SETTINGS)
def test_saved_state_is_a_copy(name):
    search = begin(name, seed=1)
    search.step()
    state = search.state()
    copies = {key: tensor.clone() for key, tensor in state.items()}
    for _ in range(3):
        search.step()
    assert all(torch.equal(state[key], copies[key]) for key in state)
    resumed = begin(name, seed=2)
    resumed.restore(state)
    resumed.step()
    assert all(torch.equal(state[key], copies[key]) for key in state)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centre_keeps_its_type_and_nobody_moves_it_from_outside(name, dtype):
    search = begin(name, seed=1, dtype=dtype)
    search.centre.fill_(7.0)
    assert not (search.centre == 7.0).any()
    measured = search.step()
    assert search.centre.dtype == dtype and bool(torch.isfinite(search.centre).all())
    assert {"loss", "contained"} <= measured.keys()
    assert all(isinstance(value, float) for value in measured.values())


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_data(name):
    settings = make("searcher", {"name": name, **SETTINGS[name]})
    assert make("searcher", to_data("searcher", settings)) == settings
    with pytest.raises(DeclarationError, match=f"unknown setting of searcher {name} 'sigmma'"):
        make("searcher", {"name": name, "sigmma": 1})


def test_unknown_searcher_is_named_with_those_there_are():
    with pytest.raises(
        DeclarationError, match="did you mean 'cma_es'.*known: cma_es, meta_gradient, nres, pgpe"
    ):
        make("searcher", "cmaes")


@pytest.mark.parametrize("name", SETTINGS)
def test_state_of_another_searcher_is_refused(name):
    other = "snes" if name in ("meta_gradient", "nres", "cma_es") else "cma_es"
    with pytest.raises(RunError, match="resume with the s"):
        begin(name, seed=1).restore(begin(other, seed=1).state())
