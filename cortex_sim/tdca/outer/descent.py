"""Adam on the centre of a search, with a rate that falls along a cosine."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cortex_sim.checks import name_of, require_count, require_nonnegative, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.outer.problem import checked


def require_final(owner: object, final: float) -> None:
    """Raise `DeclarationError` unless the fraction of the rate that is left is between 0 and 1."""
    require_nonnegative(owner, final=final)
    if final > 1:
        raise DeclarationError(f"{name_of(owner)}: final must be between 0 and 1. Got {final!r}")


class Descent:
    """Moves the centre against the gradients passed to it.

    φ ← φ − η_t Adam(g · min(1, clip / ‖g‖)), with η_t = rate · (final + (1 − final)(1 + cos πt/T) / 2).
    A gradient that is not finite is left out and counted; the schedule advances all the same, so that
    it ends at the intended iteration.

    Parameters
    ----------
    centre : tensor of shape (P,)
        The descent changes this tensor in place.
    rate : float
        η at the start; positive.
    iterations : int
        T; afterwards the rate stays constant.
    clip : float
        Largest norm of a gradient; 0 for no limit.
    final : float
        Fraction of the rate left at the end, between 0 and 1.

    References
    ----------
    Kingma and Ba (2015), arXiv 1412.6980; Loshchilov and Hutter (2017), arXiv 1608.03983, without restarts.
    """

    def __init__(self, centre: Tensor, rate: float, iterations: int, clip: float, final: float) -> None:
        require_positive("outer loop", rate=rate)
        require_count("outer loop", iterations=iterations)
        require_nonnegative("outer loop", clip=clip)
        require_final("outer loop", final)
        self._rate, self._iterations, self._clip, self._final = rate, iterations, clip, final
        self._phi = centre
        self._adam = torch.optim.Adam([centre], lr=rate, foreach=False)
        self._time, self._skipped = 0, 0

    @property
    def centre(self) -> Tensor:
        """The present centre."""
        return self._phi.detach().clone()

    def rate(self) -> float:
        """η of the next step."""
        passed = min(self._time / self._iterations, 1.0)
        return self._rate * (self._final + (1 - self._final) * (1 + math.cos(math.pi * passed)) / 2)

    def step(self, gradient: Tensor) -> dict[str, float]:
        """Take one step; returns its rate, the norm of the unclipped gradient, and steps skipped so far."""
        rate, norm = self.rate(), float(torch.linalg.vector_norm(gradient.double()))
        if math.isfinite(norm):
            scale = min(1.0, self._clip / norm) if self._clip and norm else 1.0
            self._phi.grad = gradient.detach().to(self._phi.dtype) * scale
            self._adam.param_groups[0]["lr"] = rate
            self._adam.step()
            self._phi.grad = None
        else:
            self._skipped += 1
        self._time += 1
        return {"rate": rate, "gradient_norm": norm, "skipped": float(self._skipped)}

    def state(self) -> dict[str, Tensor]:
        """Centre, Adam's moments and the counters."""
        moments = self._adam.state.get(self._phi, {})
        zeros = torch.zeros_like(self._phi)
        return {
            "centre": self.centre,
            "mean": moments.get("exp_avg", zeros).clone(),
            "square": moments.get("exp_avg_sq", zeros).clone(),
            "updates": torch.as_tensor(moments.get("step", 0.0)).to(torch.float32).clone(),
            "time": torch.tensor(self._time),
            "skipped": torch.tensor(self._skipped),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved state."""
        saved = checked("outer loop", self.state(), state)
        self._phi.copy_(saved["centre"])
        self._adam.state[self._phi] = {
            "step": saved["updates"],
            "exp_avg": saved["mean"],
            "exp_avg_sq": saved["square"],
        }
        self._time, self._skipped = int(saved["time"]), int(saved["skipped"])
