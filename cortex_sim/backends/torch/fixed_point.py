"""Fixed points x = f(x) of a batch, for each presentation separately.

First the dynamics τ dx/dt = −x + f(x) are followed from the start, to find, if there are several fixed
points, the one to which activity would settle in time. Close to it, Anderson's method takes over: the next x
is the combination of the latest ones with the smallest residual.

References
----------
Anderson (1965), J. ACM 12, doi:10.1145/321296.321305; Walker & Ni (2011), SIAM J. Numer. Anal. 49,
doi:10.1137/10078356X, equation 2.1 with the combination of differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cortex_sim.calling import known_settings
from cortex_sim.checks import require_count, require_flag, require_positive

_LONGEST, _SHORTEST = 0.5, 0.02  # steps of the dynamics, in units of the shortest time constant
_NEAR = 1e-6  # relative residual below which Anderson's method is used, or ten times the tolerance
_KEPT = 6  # number of differences that it combines
_PATIENCE = 60  # steps in which the residual must fall below half of its minimum so far
_TOLERANCES = {torch.float64: 1e-11, torch.float32: 2e-6, torch.bfloat16: 2e-2, torch.float16: 2e-3}


@known_settings
@dataclass(frozen=True)
class Settling:
    """How loops are solved at equilibrium.

    Parameters
    ----------
    tolerance : float, optional
        Largest residual |f(x) − x|, relative to the largest |x| (at least 1), of a drive or credit that
        counts as settled; default 1e-11 in float64, 2e-6 in float32.
    limit : int, default 3000
        Passes around a loop after which the search is given up.
    follow : int, default 0
        Passes that follow the dynamics before Anderson's method may be used, so that activity leaves a state
        that it only approaches, such as a saddle point.
    recompute : bool, default False
        Recompute the intermediate values of each population in the backward pass rather than keep them
        (activation checkpointing): less memory, about a third more time. Hooks of populations run twice.
    """

    tolerance: float | None = None
    limit: int = 3000
    follow: int = 0
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.tolerance is not None:
            require_positive("settling", tolerance=self.tolerance)
        require_count("settling", limit=self.limit)
        require_count("settling", minimum=0, follow=self.follow)
        require_flag("settling", recompute=self.recompute)

    def tolerated(self, dtype: torch.dtype) -> float:
        """Tolerance at this precision."""
        return _TOLERANCES[dtype] if self.tolerance is None else float(self.tolerance)


@dataclass(frozen=True)
class Solution:
    """Result of a search for a fixed point.

    Parameters
    ----------
    x : Tensor of shape (presentation, unit)
        Where the search ended.
    residual : Tensor of shape (presentation, unit)
        f(x) − x there.
    settled : bool
        Whether the residual is small enough in every presentation.
    grew : bool
        Whether x became much larger than the first step towards it.
    """

    x: Tensor
    residual: Tensor
    settled: bool
    grew: bool = False


@torch.no_grad()
def fixed_point(f: Callable[[Tensor], Tensor], start: Tensor, pace: Tensor, how: Settling) -> Solution:
    """Fixed point of ``f`` to which the dynamics lead from ``start``.

    Parameters
    ----------
    f : callable
        Maps a Tensor of shape (presentation, unit) to one of the same shape.
    start : Tensor of shape (presentation, unit)
    pace : Tensor of shape (unit,)
        Shortest time constant divided by each unit's own, between 0 and 1.
    how : Settling
    """
    tolerance = how.tolerated(start.dtype)
    step, passes = _LONGEST, 0
    while True:
        found, used = _search(f, start, pace * step, tolerance, how.limit - passes, how.follow)
        passes += used
        if found.settled or step <= _SHORTEST or passes >= how.limit:
            return found
        step /= 5  # with too long a step, activity alternates that would settle


def _search(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    pace: Tensor,
    tolerance: float,
    limit: int,
    follow: int,
) -> tuple[Solution, int]:
    """Follow the dynamics, then accelerate; give up if the residual stops falling."""
    least, since, mixing = float("inf"), 0, _Anderson()
    residual = f(x) - x
    first = float(residual.abs().max()) + 1
    for number in range(limit):
        size = float((residual.abs().amax(1) / x.abs().amax(1).clamp(min=1)).max())
        if size <= tolerance:
            return Solution(x, residual, True), number + 1
        if not size < float("inf"):
            break
        if size < 0.5 * least or number < follow:
            least, since = size, 0
        since += 1
        if since > _patience(size, tolerance):
            break
        accelerated = number >= follow and size <= max(_NEAR, 10 * tolerance)
        x = mixing.next(x, pace * residual) if accelerated else x + pace * residual
        residual = f(x) - x
    grew = not float(x.abs().max()) < 20 * first
    return Solution(x, residual, False, grew), number + 1


def _patience(size: float, tolerance: float) -> int:
    """Steps allowed without progress; more when far away, where activity may move off before it settles."""
    return _PATIENCE * (10 if size > 1e3 * tolerance else 2)


class _Anderson:
    """Anderson's method for x ← x + g(x), presentation by presentation."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._dx: list[Tensor] = []
        self._dg: list[Tensor] = []

    def next(self, x: Tensor, g: Tensor) -> Tensor:
        """The next x, from the present x and its g."""
        if self._last is not None:
            self._dx = [*self._dx[1 - _KEPT :], x - self._last[0]]
            self._dg = [*self._dg[1 - _KEPT :], g - self._last[1]]
        self._last = x, g
        if not self._dx:
            return x + g
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        dx, dg = (torch.stack(kept, dim=1).to(exact) for kept in (self._dx, self._dg))
        gram = dg @ dg.transpose(1, 2)
        small = 1e-12 if exact == torch.float64 else 1e-6
        ridge = small * gram.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-300 if small < 1e-9 else 1e-30)
        gram = gram + ridge[:, None, None] * torch.eye(gram.shape[1], dtype=exact, device=x.device)
        share = torch.linalg.solve(gram, (dg @ g.to(exact)[:, :, None])[:, :, 0])
        mixed = x + g - (share[:, None, :] @ (dx + dg))[:, 0].to(x.dtype)
        return torch.where(mixed.isfinite().all(1, keepdim=True), mixed, x + g)
