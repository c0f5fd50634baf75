"""Whether activity would stay at the equilibrium of a loop, or leave it within the phase.

The search finds any fixed point, also an unstable one, which activity in time would leave: units with exactly
equal drives that compete settle at a state from which the smallest difference between them grows. Stability
depends on the Jacobian J = τ⁻¹(−I + M D) of drives, with M the weights of the loop and D the slopes f′(a).
All its eigenvalues have negative real parts if I − ½ D^½ (M + Mᵀ) D^½ is positive definite, by the Lyapunov
function Σ τ f′(a) δa² of a deviation δa; if M is symmetric, only then. This is tested quickly by Cholesky
decomposition; eigenvalues are computed where the test fails.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.settling import Interventions, Values
from cortex_sim.loops import LARGEST, Loop, loops_of

_log = logging.getLogger(__name__)
_CHUNK = 5_000_000  # numbers in the matrices that are tested together
_CUBES = 2e8  # limit of units³ times the presentations whose eigenvalues are computed; at least one is


@dataclass(frozen=True)
class Leaving:
    """A loop whose equilibrium activity would leave.

    Parameters
    ----------
    populations : tuple of str
        Populations that drive one another.
    per_s : complex
        The eigenvalue of their Jacobian with the largest real part in any presentation, in 1/s.
    """

    populations: tuple[str, ...]
    per_s: complex


@torch.no_grad()
def leaving(
    model: Core, acting: Interventions, drives: Values, gains: Values, duration_ms: float
) -> list[Leaving]:
    """Loops in which a deviation from these drives and gains grows e-fold within ``duration_ms``, or more.

    Parameters
    ----------
    model : Core
    acting : Interventions
        What the phase does.
    drives, gains : mapping of str to Tensor of shape (presentation, unit)
        By population; gains only where gain projections arrive.
    duration_ms : float
    """
    found = []
    for loop in loops_of(model.net, gains=True):
        if loop.units(model.net) > LARGEST:
            _log.info("%s: too many units to check whether its equilibrium is stable", loop.called)
            continue
        fastest = _fastest(model, acting, loop, drives, gains)
        if fastest.real * duration_ms > 1:
            found.append(Leaving(loop.populations, 1e3 * fastest))
    return found


def _fastest(model: Core, acting: Interventions, loop: Loop, drives: Values, gains: Values) -> complex:
    """Eigenvalue with the largest real part, in 1/ms; −infinity if all are known to be negative."""
    net = model.net
    kept = model.constrained.acting(model.weights)
    weights = {n: net.operator(net.projections[n]).matrix(kept[n]).numpy() for n in loop.weighted(net)}
    scales = {p.name: acting.passes(p.name) for p in loop.projections}
    slopes = [_slopes(model, acting, name, drives[name], gains.get(name)) for name in loop.populations]
    by_drive, by_gain = (torch.cat([pair[side] for pair in slopes], dim=1).numpy() for side in (0, 1))
    gained = any(p.is_gain for p in loop.projections)
    suspects = list(range(len(by_drive)))
    if not gained and (by_drive >= 0).all():
        suspects = _suspects(torch.as_tensor(loop.matrix(net, weights, scales)), torch.as_tensor(by_drive))
    most = max(1, int(_CUBES / loop.units(net) ** 3))
    fastest = complex(-np.inf)
    for row in suspects[:most]:
        jacobian = loop.jacobian(net, weights, scales, by_drive[row], by_gain[row])
        values = np.linalg.eigvals(jacobian)
        fastest = max(fastest, complex(values[values.real.argmax()]), key=lambda value: value.real)
    return fastest


def _slopes(
    model: Core, acting: Interventions, name: str, a: Tensor, g: Tensor | None
) -> tuple[Tensor, Tensor]:
    """∂r/∂a and ∂r/∂g of every unit, (presentation, unit)."""
    alive = torch.ones_like(a) * acting.active(name) * (name not in acting.spontaneous)
    transfer = model.transfer(name)
    slope = alive * transfer.gain(a)
    if g is None:
        return slope, torch.zeros_like(a)
    factor = (1 + g).clamp(min=0)
    return slope * factor, alive * transfer.rate(a) * (factor > 0)


def _suspects(m: Tensor, slopes: Tensor) -> list[int]:
    """Presentations in which I − ½ D^½ (M + Mᵀ) D^½ is not positive definite."""
    symmetric, own = (m + m.T) / 2, torch.eye(len(m), dtype=m.dtype)
    if not torch.linalg.cholesky_ex(own - slopes.max() * symmetric).info:  # with the largest slope everywhere
        return []
    roots = slopes.sqrt()
    found: list[int] = []
    for first in range(0, len(roots), max(1, _CHUNK // m.numel())):
        some = roots[first : first + max(1, _CHUNK // m.numel())]
        tested = torch.linalg.cholesky_ex(own - some[:, :, None] * symmetric * some[:, None, :]).info
        found += [first + int(row) for row in tested.nonzero()[:, 0]]
    return found
