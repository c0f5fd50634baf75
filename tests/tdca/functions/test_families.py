"""Test functions: published values, known minima, gradients."""

import math

import numpy as np
import pytest
import torch

from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.functions.families import FAMILIES, family

cma = pytest.importorskip("cma")
SIZES = {name: (2, 6) if kind.paired else (2, 3, 7) for name, kind in FAMILIES.items()}


def points(name, n, count=23):
    rng = np.random.default_rng(n)
    return rng.uniform(-1, 1, (count, n)) * FAMILIES[name].half_width


def values(name, z):
    return FAMILIES[name].measure(torch.tensor(z))[0].numpy()


@pytest.mark.parametrize(
    "name, published",
    [
        ("sphere", cma.ff.sphere),
        ("rosenbrock", cma.ff.rosen),
        ("rastrigin", cma.ff.rastrigin),
        ("griewank", lambda z: cma.ff.griewank(z * 5 / 600)),  # cma's is on [−5, 5]
        ("schwefel", lambda z: cma.ff.schwefelmult(z)),
        ("styblinski_tang", cma.ff.styblinski_tang),
        # cma 4.5 leaves out the sum's first term (Surjanovic and Bingham: i = 1, …, d − 1)
        (
            "levy",
            lambda z: (
                cma.ff.levy(z) + ((z[0] - 1) / 4) ** 2 * (1 + 10 * np.sin(np.pi * (z[0] + 3) / 4 + 1) ** 2)
            ),
        ),
    ],
)
def test_values_are_those_of_the_package_cma(name, published):
    for n in SIZES[name]:
        z = points(name, n)
        np.testing.assert_allclose(values(name, z), [published(row) for row in z], rtol=1e-10, atol=3e-6 * n)


def ackley(z):
    """Ackley (1987): −20 exp(−.2 √(Σ z²/n)) − exp(Σ cos 2πz / n) + 20 + e."""
    n = len(z)
    return (
        -20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in z) / n))
        - math.exp(sum(math.cos(2 * math.pi * v) for v in z) / n) + 20 + math.e
    )  # fmt: skip


def beale(z):
    """Beale (1958): Σ over i = 1, 2, 3 of (c_i − x (1 − yⁱ))², c = 1.5, 2.25, 2.625."""
    return sum(
        (c - x * (1 - y**i)) ** 2
        for x, y in zip(z[::2], z[1::2], strict=True)
        for i, c in ((1, 1.5), (2, 2.25), (3, 2.625))
    )


def himmelblau(z):
    """Himmelblau (1972): (x² + y − 11)² + (x + y² − 7)²."""
    return sum((x * x + y - 11) ** 2 + (x + y * y - 7) ** 2 for x, y in zip(z[::2], z[1::2], strict=True))


@pytest.mark.parametrize("name, formula", [("ackley", ackley), ("beale", beale), ("himmelblau", himmelblau)])
def test_values_that_cma_lacks_are_those_of_the_published_formula(name, formula):
    for n in SIZES[name]:
        z = points(name, n)
        np.testing.assert_allclose(values(name, z), [formula(row) for row in z], rtol=1e-12, atol=1e-9)


PUBLISHED = [  # values quoted in the literature: minima, and points beside them
    ("ackley", (0.0, 0.0), 0.0),
    ("beale", (3.0, 0.5), 0.0),
    ("beale", (0.0, 0.0), 14.203125),
    ("himmelblau", (3.0, 2.0), 0.0),
    ("himmelblau", (-2.805118, 3.131312), 0.0),
    ("himmelblau", (-3.779310, -3.283186), 0.0),
    ("himmelblau", (3.584428, -1.848126), 0.0),
    ("himmelblau", (-0.270845, -0.923039), 181.617),
    ("levy", (1.0, 1.0), 0.0),
]


@pytest.mark.parametrize("name, at, value", PUBLISHED)
def test_published_minima_and_values(name, at, value):
    assert values(name, np.array([at]))[0] == pytest.approx(value, abs=2e-3 if value else 1e-8)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype, near", [(torch.float64, 1e-9), (torch.float32, 2e-3)])
def test_the_minimum_is_0_and_nothing_drawn_lies_below(name, dtype, near):
    for n in SIZES[name]:
        best = FAMILIES[name].best(n).to(dtype)
        value, slope = FAMILIES[name].measure(best)
        assert abs(float(value)) < near * n and float(slope.abs().max()) < 40 * near
        z = torch.tensor(points(name, n, 4000), dtype=dtype)
        assert float(FAMILIES[name].measure(2 * z)[0].min()) > -near
        nearby = best + 1e-3 * FAMILIES[name].half_width * torch.randn(200, n, dtype=dtype)
        assert float(FAMILIES[name].measure(nearby)[0].min()) > -near


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_are_those_of_autograd(name):
    for n in SIZES[name]:
        z = torch.tensor(1.7 * points(name, n), requires_grad=True)
        value, slope = FAMILIES[name].measure(z)
        (wanted,) = torch.autograd.grad(value.sum(), z)
        torch.testing.assert_close(slope.detach(), wanted, rtol=1e-9, atol=1e-9)


def test_gradient_of_a_product_with_zeros():
    z = torch.tensor(
        [[math.pi / 2, math.sqrt(2) * math.pi / 2, 0.3]], dtype=torch.float64, requires_grad=True
    )
    value, slope = FAMILIES["griewank"].measure(z)
    (wanted,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(slope.detach(), wanted)


@pytest.mark.parametrize("name", FAMILIES)
def test_leading_dimensions_are_batch(name):
    z = torch.tensor(points(name, 4, 30)).reshape(2, 5, 3, 4)
    value, slope = FAMILIES[name].measure(z)
    each = [FAMILIES[name].measure(row) for row in z.reshape(-1, 4)]
    torch.testing.assert_close(value.flatten(), torch.stack([v for v, _ in each]))
    torch.testing.assert_close(slope.reshape(-1, 4), torch.stack([g for _, g in each]))


def test_what_does_not_fit_is_refused():
    with pytest.raises(DeclarationError, match=r"unknown function 'akley' \(did you mean 'ackley'\?\)"):
        family("akley")
    with pytest.raises(
        DeclarationError, match="is of pairs of variables; give an even number of them. Got 3"
    ):
        family("beale").best(3)
    with pytest.raises(DeclarationError, match="at least 2"):
        family("sphere").best(1)
