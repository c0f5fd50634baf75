"""A trained rule on a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.tdca.functions.studies import trained

Measure = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
PRETRAINED = Path(__file__).parent / "pretrained"


@dataclass(frozen=True, eq=False)
class OwnFunction:
    """One function on the box [−1, 1]ⁿ, as a task for the rules.

    Parameters
    ----------
    measured : callable
        Values (point,) and gradients (point, n) at x (point, n).
    n : int
        Number of variables.
    """

    measured: Measure
    n: int

    count = 1

    @property
    def lowest(self) -> Tensor:
        """Zero: the minimum is unknown, and values are used as they are."""
        return torch.zeros(1, dtype=torch.float64)

    def measure(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values (1, member, point) and gradients, at x (1, member, point, n)."""
        flat = x.reshape(-1, self.n).double().numpy()
        values, slopes = (np.asarray(found, float) for found in self.measured(flat))
        if values.shape != (len(flat),) or slopes.shape != flat.shape:
            raise DeclarationError(
                f"own function: at x of shape {flat.shape} it gave values of shape {values.shape} and "
                f"gradients of shape {slopes.shape}; it must return ({len(flat)},) and {flat.shape}"
            )
        return torch.from_numpy(values).reshape(x.shape[:-1]), torch.from_numpy(slopes).reshape(x.shape)


@dataclass(frozen=True, eq=False)
class Minimum:
    """What a rule found: x of shape (n,), its value, and the best value after each step."""

    x: np.ndarray
    value: float
    course: np.ndarray


def minimise(
    measured: Measure,
    n: int,
    evaluations: int = 400,
    seed: int = 0,
    run: str | Path = PRETRAINED / "first_order",
) -> Minimum:
    """Minimise a function on [−1, 1]ⁿ by a trained credit network.

    Parameters
    ----------
    measured : callable
        Values (point,) and gradients (point, n) at x (point, n). Points may leave the box. A rule of zero
        order ignores gradients.
    n : int
        Number of variables.
    evaluations : int
        Evaluations of value and gradient; the rule's schedule spans them.
    seed : int
        Seed of starting points and noise.
    run : path
        Run directory of ``cortex-sim evolve``; by default that of the shipped network.

    Returns
    -------
    Minimum

    Raises
    ------
    DeclarationError
        If values or gradients have another shape.
    RunError
        If no value of a step is finite, or there is no such run.
    """
    require_count("minimise", n=n, evaluations=evaluations)
    settings, phi = trained(Path(run))
    own, generator = OwnFunction(measured, n), Generator().manual_seed(seed)
    best, where, course = np.inf, np.full(n, np.nan), []
    with torch.no_grad():
        for values, x in settings.inner_rule().run(phi, own, evaluations, generator):
            found = values.flatten().nan_to_num(torch.inf)
            i = int(found.argmin())
            if not torch.isfinite(found[i]):
                raise RunError(
                    "minimise: no value of a step is finite; give a function that is finite in the box and "
                    "near it"
                )
            if float(found[i]) < best:
                best, where = float(found[i]), x.reshape(-1, n)[i].numpy().copy()
            course.append(best)
    return Minimum(where, best, np.array(course))
