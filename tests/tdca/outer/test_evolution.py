import pytest
import torch
from quadratic_runs import QuadraticFitness

from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.tdca.outer import CMAES, PGPE, SNES

ALL = [
    PGPE(members=16, sigma=0.1, rate=0.05),
    SNES(members=16, sigma=0.1),
    CMAES(members=8, sigma=0.1),
    CMAES(members=8, sigma=0.1, separable=True),
]


def begin(settings, lifetimes=None, dtype=torch.float64, seed=3):
    lifetimes = lifetimes or QuadraticFitness()
    return settings.begin(
        lifetimes, torch.zeros(lifetimes.parameters, dtype=dtype), 100, torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_descends_to_the_optimum(settings):
    search = begin(settings)
    first = search.step()
    for _ in range(100):
        last = search.step()
    assert last["loss"] < 0.02 * first["loss"] and last["best"] <= last["loss"]
    assert (search.centre - 1.5).abs().max() < 0.1
    assert first["contained"] == 1 == last["contained"]  # one a call, says the reference


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_leaves_the_global_random_numbers_alone(settings):
    before = torch.get_rng_state()
    search = begin(settings)
    search.step()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_what_it_draws_follows_the_generator(settings):
    ends = [begin(settings, seed=seed) for seed in (1, 1, 2)]
    for search in ends:
        search.step()
        search.step()
    assert torch.equal(ends[0].centre, ends[1].centre)
    assert not torch.equal(ends[0].centre, ends[2].centre)


class Broken(QuadraticFitness):
    """Members below 0 on the first parameter have no fitness; with ``all_of_them`` none has."""

    def __init__(self, all_of_them=False):
        super().__init__()
        self.all_of_them = all_of_them

    def fitness(self, phi, generator):
        fitness = super().fitness(phi, generator)
        return torch.where((phi[:, 0] < 0) | self.all_of_them, torch.nan, fitness)


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_members_without_fitness_count_as_the_worst(settings):
    search = begin(settings, Broken())
    first = search.step()
    assert first["contained"] > 1 and torch.isfinite(torch.tensor(first["loss"]))
    for _ in range(100):
        search.step()
    assert (search.centre - 1.5).abs().max() < 0.1


def test_a_generation_without_fitness_is_an_error():
    with pytest.raises(RunError, match="snes: no member's fitness is finite"):
        begin(SNES(members=8), Broken(all_of_them=True)).step()


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(DeclarationError, match="even number. Got 7"):
        PGPE(members=7)
    with pytest.raises(DeclarationError, match="sigma must be a positive number"):
        SNES(sigma=0.0)
    with pytest.raises(DeclarationError, match="64 members with 2000 parameters need 1.9 GB"):
        begin(CMAES(sigma=0.1), QuadraticFitness(2000))


def test_usual_speed_of_clipup_follows_the_samples():
    search = begin(PGPE(members=16, sigma=0.3), QuadraticFitness(100))
    search.step()  # measures
    moved = search.step()["moved"]  # learns from it: the first push has the rate's length
    assert moved == pytest.approx(0.3 * 10 / 30)
