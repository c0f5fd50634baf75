"""Baselines: Adam as torch's, SNES as its equations, CMA-ES as the package's, all at their budget."""

import math

import numpy as np
import pytest
import torch

from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.functions.baselines import CMAES, GRIDS, LBFGS, SNES, Adam, Momentum, RandomSearch
from cortex_sim.tdca.functions.tasks import draw

ONE = {name: grid[len(grid) // 2] for name, grid in GRIDS.items()}


def tasks_of(n=4, each=2, names=("sphere", "levy")):
    return draw(names, n, each, torch.Generator().manual_seed(3), torch.float64)


@pytest.mark.parametrize("name", GRIDS)
def test_each_spends_its_evaluations_and_no_more(name):
    tasks = tasks_of()
    made, best = 0, None
    for above, x in ONE[name].run(tasks, 60, torch.Generator().manual_seed(1)):
        assert above.shape[:2] == (1, tasks.count) and x.shape[-1] == 4
        made += above.shape[2]
        best = above.amin(2) if best is None else torch.fmin(best, above.amin(2))
    assert 48 <= made <= 60
    assert bool((best >= 0).all()) and bool(torch.isfinite(best).all())


@pytest.mark.parametrize("name", GRIDS)
def test_values_are_those_of_the_points_it_asked(name):
    tasks = tasks_of()
    if name == "lbfgs":
        pytest.skip("yields starting points in place of those that scipy asked for")
    for above, x in ONE[name].run(tasks, 40, torch.Generator().manual_seed(1)):
        torch.testing.assert_close(above[0], tasks.measure(x[0])[0])


@pytest.mark.parametrize("name", GRIDS)
def test_the_generator_decides(name):
    tasks = tasks_of(each=1)
    one, same, other = (
        torch.cat([v.flatten(1) for v, _ in ONE[name].run(tasks, 40, torch.Generator().manual_seed(s))], 1)
        for s in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_adam_is_torchs():
    tasks = tasks_of(6)
    found = [x[0] for _, x in Adam(0.05, 1.0, 2).run(tasks, 24, torch.Generator().manual_seed(1))]
    x = torch.nn.Parameter(found[0].clone())
    optimiser = torch.optim.Adam([x], lr=0.05, betas=(0.9, 0.99), eps=1e-12)
    for step, wanted in enumerate(found):
        torch.testing.assert_close(x.detach(), wanted, rtol=1e-7, atol=1e-7)
        x.grad = tasks.measure(x.detach())[1]
        optimiser.param_groups[0]["lr"] = 0.05 * 10 ** (-step / 12)
        optimiser.step()


def test_momentum_is_its_equation_whatever_the_scale():
    tasks = tasks_of(each=1, names=("levy",))
    found = [
        x[0, 0, 0] for _, x in Momentum(0.1, 1.0, 0.8, 1).run(tasks, 8, torch.Generator().manual_seed(1))
    ]
    x, change, largest = found[0].numpy(), np.zeros(4), 0.0
    for step, wanted in enumerate(found):
        np.testing.assert_allclose(x, wanted, atol=1e-12)
        g = tasks.measure(torch.tensor(x)[None, None])[1][0, 0].numpy()
        largest = max(largest, np.linalg.norm(g))
        change = 0.8 * change - 0.1 * 10 ** (-step / 8) * g / largest
        x = x + change


def test_snes_is_its_equations():
    """Schaul, Glasmachers and Schmidhuber (2011), algorithm 3, with the utilities of their section 3.1."""
    tasks, k, n = tasks_of(each=1, names=("levy",)), 6, 4
    found = [x[0, 0] for _, x in SNES(0.4, k, 0.8, 1.5).run(tasks, 30, torch.Generator().manual_seed(1))]
    generator = torch.Generator().manual_seed(1)
    mu = (2 * torch.rand(1, n, generator=generator, dtype=torch.float64) - 1)[0].numpy()
    sigma = np.full(n, 0.4)
    raw = np.maximum(0, math.log(k / 2 + 1) - np.log(np.arange(1, k + 1)))
    for wanted in found:
        eps = torch.randn(1, k, n, generator=generator, dtype=torch.float64)[0].numpy()
        x = mu + sigma * eps
        np.testing.assert_allclose(x, wanted, atol=1e-10)
        u = np.empty(k)
        u[np.argsort(tasks.measure(torch.tensor(x)[None])[0][0].numpy())] = raw / raw.sum() - 1 / k
        mu = mu + 0.8 * sigma * (u @ eps)
        sigma = sigma * np.exp(0.5 * 1.5 * (3 + math.log(n)) / (5 * math.sqrt(n)) * (u @ (eps**2 - 1)))


def test_cma_es_is_the_packages():
    import cma

    tasks = tasks_of(3, 1, ("sphere",))
    found = [x[0, 0] for _, x in CMAES(0.3, 7).run(tasks, 35, torch.Generator().manual_seed(1))]
    generator = torch.Generator().manual_seed(1)
    start = (2 * torch.rand(1, 1, 3, generator=generator, dtype=torch.float64) - 1)[0, 0].numpy()
    seed = int(torch.randint(1, 2**31 - 1, (1,), generator=generator))
    search = cma.CMAEvolutionStrategy(start, 0.3, {"popsize": 7, "seed": seed, "verbose": -9})
    for wanted in found:
        asked = search.ask()
        np.testing.assert_array_equal(asked, wanted)
        search.tell(asked, tasks.measure(torch.tensor(np.array(asked))[None])[0][0].tolist())


def test_lbfgs_solves_what_is_smooth_and_starts_again_where_it_is_not():
    tasks = tasks_of(4, 2, ("sphere", "rosenbrock", "rastrigin"))
    found = torch.cat([v for v, _ in LBFGS().run(tasks, 200, torch.Generator().manual_seed(1))], 2)[0]
    level = found.amin(1) / tasks.median
    assert float(level[:4].max()) < 1e-6
    assert float((found[4, 1:] > 10 * found[4, :-1].cummin(0).values).sum()) >= 2  # up again: a new start


def test_random_search_is_uniform_in_the_box():
    tasks = tasks_of(2, 1, ("sphere",))
    x = torch.cat([x for _, x in RandomSearch().run(tasks, 4000, torch.Generator().manual_seed(1))], 2)
    assert float(x.abs().max()) <= 1 and abs(float(x.mean())) < 0.03
    assert float(x.std()) == pytest.approx(1 / math.sqrt(3), rel=0.03)


def test_what_does_not_fit_is_refused():
    with pytest.raises(DeclarationError, match="Adam: rate must be a positive number"):
        Adam(0.0, 1.0)
    with pytest.raises(DeclarationError, match="Momentum: starts must be a whole number"):
        Momentum(0.1, 1.0, starts=0)
