"""Tasks: shifted, rotated, scaled functions with a known minimum."""

import numpy as np
import pytest
import torch

from cortex_sim.tdca.functions.families import FAMILIES
from cortex_sim.tdca.functions.tasks import MIDDLE, draw

NAMES = ("sphere", "ackley", "beale", "schwefel")


def drawn(n=4, each=3, dtype=torch.float64, seed=0, names=NAMES):
    return draw(names, n, each, torch.Generator().manual_seed(seed), dtype)


def test_values_are_those_of_the_equation_point_by_point():
    tasks = drawn()
    x = torch.randn(tasks.count, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    above, _ = tasks.measure(x)
    for i in range(tasks.count):
        kind = FAMILIES[NAMES[i // 3]]
        for p in range(5):
            moved = tasks.turn[i].numpy() @ (x[i, p] - tasks.shift[i]).numpy()
            z = kind.best(4).numpy() + kind.half_width * moved
            wanted = float(kind.measure(torch.tensor(z))[0]) * float(tasks.scale[i])
            assert float(above[i, p]) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_gradients_are_those_of_autograd():
    tasks = drawn()
    x = torch.randn(tasks.count, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    above, slope = tasks.measure(x)
    (wanted,) = torch.autograd.grad(above.sum(), x)
    torch.testing.assert_close(slope.detach(), wanted, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n", [2, 10])
def test_the_minimum_is_where_it_is_said_to_be(n):
    tasks = drawn(n, 5)
    assert float(tasks.shift.abs().max()) <= MIDDLE
    above, _ = tasks.measure(tasks.shift[:, None])
    assert float((above[:, 0].abs() / tasks.median).max()) < 1e-12 < float(tasks.median.min())
    around = tasks.shift[:, None] + 0.3 * torch.randn(tasks.count, 300, n, dtype=torch.float64)
    assert bool((tasks.measure(around)[0] > -1e-9 * tasks.median[:, None]).all())


def test_tasks_are_rotated_zoomed_and_at_different_places():
    tasks = drawn(6, 20, names=("sphere",))
    square = torch.bmm(tasks.turn, tasks.turn.transpose(1, 2))
    zoom = square.diagonal(dim1=1, dim2=2).mean(1).sqrt()
    torch.testing.assert_close(
        square, zoom[:, None, None] ** 2 * torch.eye(6, dtype=torch.float64).expand(20, -1, -1)
    )
    assert 0.5 <= float(zoom.min()) < 0.7 and 0.85 < float(zoom.max()) <= 1
    assert float(tasks.scale.min()) < 0.1 and float(tasks.scale.max()) > 10
    assert float(tasks.shift.std()) > 0.2 and float(tasks.turn[:, 0, 1].abs().min()) > 0
    assert abs(float(tasks.lowest.mean())) > 0


def test_the_median_is_that_of_the_box():
    tasks = drawn(3, 1, names=("sphere",))
    x = 2 * torch.rand(1, 200_000, 3, dtype=torch.float64) - 1
    assert float(tasks.measure(x)[0].median()) == pytest.approx(float(tasks.median), rel=0.1)


def test_one_task_alone_is_the_same():
    tasks = drawn()
    x = torch.randn(tasks.count, 3, 4, dtype=torch.float64)
    for i in (0, 4, 11):
        for one, all_ in zip(tasks.only(i).measure(x[i : i + 1]), tasks.measure(x), strict=True):
            torch.testing.assert_close(one[0], all_[i])


def test_the_seed_decides_and_precision_only_rounds():
    one, same, other, single = drawn(), drawn(), drawn(seed=1), drawn(dtype=torch.float32)
    assert torch.equal(one.shift, same.shift) and not torch.equal(one.shift, other.shift)
    np.testing.assert_allclose(single.turn, one.turn, rtol=1e-6)
