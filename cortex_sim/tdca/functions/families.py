"""Families of test functions, each with its gradient, box and known minimum; batched over leading dimensions.

Formulas as in the surveys of Molga and Smutnicki (2005, "Test functions for optimization needs") and of
Surjanovic and Bingham (sfu.ca/~ssurjano, "Virtual Library of Simulation Experiments"). z has shape (…, n);
values have shape (…,), gradients (…, n). All values are relative to the minimum: 0 there, positive elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cortex_sim.checks import look_up, require_count
from cortex_sim.errors import DeclarationError

Measured = tuple[Tensor, Tensor]
TWO_PI = 2 * math.pi


@dataclass(frozen=True, eq=False)
class Family:
    """One family of functions.

    Parameters
    ----------
    name : str
    half_width : float
        The usual box is [−half_width, half_width]ⁿ.
    minimiser : tuple of float
        Coordinates of the minimiser, repeated up to n.
    measure : callable
        Value above the minimum, and gradient, at z.
    paired : bool
        Whether the function is of two variables, summed over consecutive pairs: n must be even.
    source : str
        Publication that defines it.
    """

    name: str
    half_width: float
    minimiser: tuple[float, ...]
    measure: Callable[[Tensor], Measured]
    paired: bool
    source: str

    def best(self, n: int) -> Tensor:
        """The minimiser, (n,), float64.

        Raises
        ------
        DeclarationError
            If n is too small, or is odd and the function is of pairs.
        """
        require_count(f"function {self.name}", minimum=2, n=n)
        if self.paired and n % 2:
            raise DeclarationError(
                f"function {self.name}: is of pairs of variables; give an even number of them. Got {n}"
            )
        repeats = -(-n // len(self.minimiser))
        return torch.tensor(self.minimiser * repeats, dtype=torch.float64)[:n]


def sphere(z: Tensor) -> Measured:
    """Σ z²."""
    return z.square().sum(-1), 2 * z


def rosenbrock(z: Tensor) -> Measured:
    """Σ 100 (z_{i+1} − z_i²)² + (1 − z_i)², i < n."""
    low, bend = z[..., :-1], z[..., 1:] - z[..., :-1].square()
    gradient = torch.zeros_like(z)
    gradient[..., :-1] = -400 * low * bend - 2 * (1 - low)
    gradient[..., 1:] += 200 * bend
    return (100 * bend.square() + (1 - low).square()).sum(-1), gradient


def rastrigin(z: Tensor) -> Measured:
    """Σ z² + 10 (1 − cos 2πz)."""
    value = z.square() + 20 * torch.sin(math.pi * z).square()  # 1 − cos 2a = 2 sin² a keeps its digits near 0
    return value.sum(-1), 2 * z + 10 * TWO_PI * torch.sin(TWO_PI * z)


def ackley(z: Tensor) -> Measured:
    """20 (1 − exp(−√⟨z²⟩ / 5)) + e − exp⟨cos 2πz⟩."""
    radius = z.square().mean(-1).sqrt()
    fall, waves = torch.exp(-radius / 5), torch.exp(torch.cos(TWO_PI * z).mean(-1))
    value = -20 * torch.expm1(-radius / 5) + (math.e - waves)
    direction = z / (z.shape[-1] * radius.clamp(min=1e-12))[..., None]
    slope = torch.sin(TWO_PI * z) * (TWO_PI / z.shape[-1])
    return value, 4 * fall[..., None] * direction + waves[..., None] * slope


def griewank(z: Tensor) -> Measured:
    """1 + Σ z² / 4000 − Π cos(z_i / √i)."""
    root = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device).sqrt()
    cosines = torch.cos(z / root)
    ones = torch.ones_like(cosines[..., :1])
    before = torch.cat([ones, cosines[..., :-1]], -1).cumprod(-1)
    after = torch.cat([ones, cosines.flip(-1)[..., :-1]], -1).cumprod(-1).flip(-1)
    value = z.square().sum(-1) / 4000 + (1 - cosines.prod(-1))
    return value, z / 2000 + torch.sin(z / root) / root * before * after


_SCHWEFEL_BEST = 420.968746359982  # stationary: tan s = −s / 2 with s = √z
_SCHWEFEL_VALUE = 418.9828872724338


def schwefel(z: Tensor) -> Measured:
    """Σ 418.98… − z sin √|z|; beyond the box, its value at the edge plus .02 (|z| − 500)².

    The formula itself falls without bound outside of the box; so do points of other boxes, once rotated.
    """
    inside = z.clamp(-500, 500)
    root, beyond = inside.abs().sqrt(), z - inside
    value = _SCHWEFEL_VALUE - inside * torch.sin(root) + 0.02 * beyond.square()
    slope = -(torch.sin(root) + root / 2 * torch.cos(root))
    return value.sum(-1), torch.where(beyond == 0, slope, 0.04 * beyond)


def levy(z: Tensor) -> Measured:
    """sin² πw_1 + Σ_{i<n} (w_i − 1)² (1 + 10 sin²(πw_i + 1)) + (w_n − 1)² (1 + sin² 2πw_n).

    Here w = 1 + (z − 1)/4.
    """
    off = (z - 1) / 4
    w = 1 + off
    wave = 10 * torch.sin(math.pi * w + 1).square()
    wave_slope = 10 * math.pi * torch.sin(2 * (math.pi * w + 1))
    wave[..., -1] = torch.sin(TWO_PI * w[..., -1]).square()
    wave_slope[..., -1] = TWO_PI * torch.sin(2 * TWO_PI * w[..., -1])
    value = (off.square() * (1 + wave)).sum(-1) + torch.sin(math.pi * off[..., 0]).square()
    gradient = 2 * off * (1 + wave) + off.square() * wave_slope
    gradient[..., 0] += math.pi * torch.sin(TWO_PI * off[..., 0])
    return value, gradient / 4


_TANG_BEST = -2.903534027771177  # root of 2z³ − 16z + 5/2
_TANG_VALUE = -39.16616570377142


def styblinski_tang(z: Tensor) -> Measured:
    """½ Σ z⁴ − 16 z² + 5 z, above its minimum of −39.166… for each variable."""
    value = 0.5 * (z.pow(4) - 16 * z.square() + 5 * z) - _TANG_VALUE
    return value.sum(-1), 2 * z.pow(3) - 16 * z + 2.5


def beale(z: Tensor) -> Measured:
    """Σ over pairs (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²."""
    x, y = z[..., 0::2], z[..., 1::2]
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
    by_x = 2 * (a * (y - 1) + b * (y**2 - 1) + c * (y**3 - 1))
    by_y = 2 * x * (a + 2 * b * y + 3 * c * y**2)
    return (a**2 + b**2 + c**2).sum(-1), torch.stack((by_x, by_y), -1).flatten(-2)


def himmelblau(z: Tensor) -> Measured:
    """Σ over pairs (x² + y − 11)² + (x + y² − 7)²; each pair has four minima, all 0."""
    x, y = z[..., 0::2], z[..., 1::2]
    a, b = x**2 + y - 11, x + y**2 - 7
    return (a**2 + b**2).sum(-1), torch.stack((4 * a * x + 2 * b, 2 * a + 4 * b * y), -1).flatten(-2)


_ALL = (
    Family("sphere", 5.12, (0.0,), sphere, False, "De Jong (1975)"),
    Family("rosenbrock", 2.048, (1.0,), rosenbrock, False, "Rosenbrock (1960), Comput. J. 3"),
    Family("rastrigin", 5.12, (0.0,), rastrigin, False, "Rastrigin (1974)"),
    Family("ackley", 32.768, (0.0,), ackley, False, "Ackley (1987)"),
    Family("griewank", 600.0, (0.0,), griewank, False, "Griewank (1981), J. Optim. Theory Appl. 34"),
    Family("schwefel", 500.0, (_SCHWEFEL_BEST,), schwefel, False, "Schwefel (1981)"),
    Family("levy", 10.0, (1.0,), levy, False, "Levy and Montalvo (1985); Laguna and Martí (2005)"),
    Family("styblinski_tang", 5.0, (_TANG_BEST,), styblinski_tang, False, "Styblinski and Tang (1990)"),
    Family("beale", 4.5, (3.0, 0.5), beale, True, "Beale (1958)"),
    Family("himmelblau", 5.0, (3.0, 2.0), himmelblau, True, "Himmelblau (1972)"),
)
FAMILIES = {family.name: family for family in _ALL}


def family(name: str) -> Family:
    """The family of this name; an unknown name is an error that lists the known ones."""
    return look_up("function", name, FAMILIES)
