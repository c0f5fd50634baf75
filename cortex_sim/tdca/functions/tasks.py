"""Tasks: functions of the families, each shifted, rotated and scaled at random, on the box [−1, 1]ⁿ.

    f(x) = s [base(z* + h c R (x − x*)) − base(z*)] + f*

with the base's minimiser z* and half width h, a rotation R, the minimiser x* drawn uniformly from the middle
of the box, a zoom c, and a scale s and an offset f* of values. So no optimiser gains from a preference for 0,
for an axis, or for a scale of values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count
from cortex_sim.tdca.functions.families import Family, family

MIDDLE = 0.6  # x* lies in [−.6, .6]ⁿ
ZOOM = 0.5  # smallest zoom; the largest is 1
DECADES = 2.0  # by which the scale of values varies in either direction
SOLVED = 0.01  # fraction of the box's median above f*, below which a task counts as solved
_SAMPLES = 1000  # for the median


@dataclass(frozen=True, eq=False)
class Tasks:
    """Functions of n variables, by family.

    Parameters
    ----------
    families : tuple of Family
        Families of the tasks: task i belongs to family i // each.
    each : int
    shift : tensor of shape (task, n)
        x*.
    turn : tensor of shape (task, n, n)
        c R, whose rows are orthogonal.
    scale, lowest, median : tensor of shape (task,)
        s, f*, and the median of f − f* over the box.
    """

    families: tuple[Family, ...]
    each: int
    shift: Tensor
    turn: Tensor
    scale: Tensor
    lowest: Tensor
    median: Tensor

    @property
    def count(self) -> int:
        """Number of tasks."""
        return len(self.shift)

    @property
    def n(self) -> int:
        """Number of variables."""
        return self.shift.shape[1]

    def measure(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values f − f* of shape (task, …), and ∇f of shape (task, …, n), at x (task, …, n)."""
        shape, y = x.shape, x.reshape(self.count, -1, self.n) - self.shift[:, None]
        turned = torch.bmm(y, self.turn.transpose(1, 2))
        values, slopes = [], []
        for kind, part in zip(self.families, turned.split(self.each), strict=True):
            best = kind.best(self.n).to(x.dtype)
            value, slope = kind.measure(best + kind.half_width * part)
            values.append(value)
            slopes.append(kind.half_width * slope)
        back = torch.bmm(torch.cat(slopes), self.turn) * self.scale[:, None, None]
        return (torch.cat(values) * self.scale[:, None]).reshape(shape[:-1]), back.reshape(shape)

    def only(self, i: int) -> Tasks:
        """Task i alone."""
        own = (t[i : i + 1] for t in (self.shift, self.turn, self.scale, self.lowest, self.median))
        return Tasks((self.families[i // self.each],), 1, *own)


def draw(names: Sequence[str], n: int, each: int, generator: Generator, dtype: torch.dtype) -> Tasks:
    """``each`` tasks of every family named, of n variables.

    Raises
    ------
    DeclarationError
        If a family is unknown, or has no functions of n variables.
    """
    require_count("functions", each=each)
    families, count = tuple(family(name) for name in names), each * len(names)
    for kind in families:
        kind.best(n)
    uniform = torch.rand(count, n + 2, generator=generator, dtype=torch.float64)
    shift = MIDDLE * (2 * uniform[:, :n] - 1)
    zoom = torch.exp(uniform[:, n] * math.log(ZOOM))
    scale = 10 ** (DECADES * (2 * uniform[:, n + 1] - 1))
    turn = zoom[:, None, None] * _rotations(count, n, generator)
    lowest = scale * torch.randn(count, generator=generator, dtype=torch.float64)
    box = 2 * torch.rand(count, _SAMPLES, n, generator=generator, dtype=torch.float64) - 1
    exact = Tasks(families, each, shift, turn, scale, lowest, torch.ones_like(scale))
    median = exact.measure(box)[0].median(1).values
    cast = [t.to(dtype) for t in (shift, turn, scale, lowest, median)]
    return Tasks(families, each, *cast)


def _rotations(count: int, n: int, generator: Generator) -> Tensor:
    """Uniform orthogonal matrices: Q of Gaussian ones, with the signs of the diagonal of R."""
    q, r = torch.linalg.qr(torch.randn(count, n, n, generator=generator, dtype=torch.float64))
    return q * torch.sign(torch.diagonal(r, dim1=1, dim2=2))[:, None, :]
