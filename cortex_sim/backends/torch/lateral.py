"""Lateral projections of linear units at equilibrium: a = W r_pre + b − L a = (I + L)⁻¹(W r_pre + b)."""

from __future__ import annotations

import torch
from torch import Tensor

from cortex_sim.errors import BuildError, RunError
from cortex_sim.network import Network


def check_settles(net: Network) -> None:
    """Raise `BuildError` where torch cannot compute the equilibrium."""
    for name, population in net.populations.items():
        if population.apical_coupling:
            raise BuildError(
                f"population {name}: torch settles rates before credit, but with apical_coupling credit acts "
                "on rates; run it in time on brian2, or leave apical_coupling at 0"
            )


def without_lateral(a: Tensor, w: Tensor, name: str, receives: Tensor | None = None) -> Tensor:
    """Drive (presentation, *shape) minus the inhibition by a population's lateral projection.

    Parameters
    ----------
    a : Tensor of shape (presentation, *shape)
        Drive without inhibition.
    w : Tensor of shape (unit, unit)
        Lateral weights L.
    name : str
        Name of the projection.
    receives : Tensor of shape (unit,), optional
        Share of each unit's rate that the projection receives; by default all of it.

    Raises
    ------
    RunError
        If the lateral weights are such that activity would diverge.
    """
    exact = torch.float32 if a.dtype in (torch.bfloat16, torch.float16) else a.dtype
    circuit = w.detach().to(exact)
    circuit = circuit if receives is None else circuit * receives
    circuit = circuit + torch.eye(len(circuit), dtype=exact, device=circuit.device)
    _check_stable(circuit, name)
    flat = torch.linalg.solve(circuit.T, a.flatten(1).to(exact), left=False)  # rows are presentations
    return flat.to(a.dtype).reshape(a.shape)


def _check_stable(circuit: Tensor, name: str) -> None:
    """Check that activity settles: that every eigenvalue of I + L has a positive real part.

    A positive definite symmetric part suffices and is cheap to check; otherwise eigenvalues are computed.
    """
    _, failed = torch.linalg.cholesky_ex((circuit + circuit.T) / 2)
    if failed.item() and not float(torch.linalg.eigvals(circuit).real.min()) > 0:
        raise RunError(
            f"projection {name}: its weights make activity diverge (I + L has an eigenvalue whose real part "
            "is not positive); give a smaller learning rate, or regulariser=Decay()"
        )
