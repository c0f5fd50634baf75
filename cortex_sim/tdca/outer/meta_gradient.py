"""The meta-gradient: backpropagation through the steps of inner runs, window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_flag, require_nonnegative, require_positive
from cortex_sim.errors import RunError
from cortex_sim.registry import register
from cortex_sim.tdca.outer.descent import Descent, require_final
from cortex_sim.tdca.outer.problem import UnrolledProblem, started, under, within


@register("searcher", "meta_gradient")
@dataclass(frozen=True)
class MetaGradient:
    """Descend the mean loss of a window along its gradient through the window's inner steps.

    g = ∂/∂φ mean_i L_i(φ), where L_i is the mean loss of inner run i over the window. The
    state at the start of the window is constant: the gradient ends there. It is the gradient of the loss of
    the whole inner run if the window is the whole run, and otherwise biased towards short-term gains.

    Parameters
    ----------
    rate : float, default 0.001
        Adam's rate at the start; positive.
    clip : float, default 1.0
        Largest norm of the gradient; 0 for no limit.
    final : float, default 0.1
        Fraction of the rate left at the end of the cosine.
    apart : bool, default False
        Give each inner run its own copy of φ, so that only inner runs whose gradient is not finite are left
        out. Otherwise one NaN enters the mean, and the whole step is left out.

    Notes
    -----
    Backpropagates through the inner loop during meta-training; the inner loop itself uses no backpropagation.
    """

    serves: ClassVar[str] = "unrolls"
    twins: ClassVar[bool] = False
    backpropagates: ClassVar[bool] = True

    rate: float = 0.001
    clip: float = 1.0
    final: float = 0.1
    apart: bool = False

    def __post_init__(self) -> None:
        require_positive(self, rate=self.rate)
        require_nonnegative(self, clip=self.clip)
        require_final(self, self.final)
        require_flag(self, apart=self.apart)

    def begin(
        self, problem: UnrolledProblem, centre: Tensor, iterations: int, generator: Generator
    ) -> MetaGradientSearch:
        """Start at ``centre``; the inner runs draw all random numbers."""
        phi = started("meta_gradient", problem, centre)
        descent = Descent(phi, self.rate, iterations, self.clip, self.final)
        return MetaGradientSearch(problem, descent, self.apart)


class MetaGradientSearch:
    """A running `MetaGradient`."""

    def __init__(self, runs: UnrolledProblem, descent: Descent, apart: bool) -> None:
        self._problem, self._descent, self._apart = runs, descent, apart

    @property
    def centre(self) -> Tensor:
        """Parameters found so far, (P,)."""
        return self._descent.centre

    def step(self) -> dict[str, float]:
        """Unroll one window, and descend."""
        gradient, measured = self.estimate()
        return measured | self._descent.step(gradient)

    def estimate(self) -> tuple[Tensor, dict[str, float]]:
        """Unroll one window; returns g of shape (P,), and measurements."""
        phi = self.centre
        if self._apart:
            phi = phi.repeat(self._problem.count, 1)
        phi.requires_grad_()
        window = self._problem.unroll(phi)
        if not window.loss.requires_grad:
            raise RunError(
                "meta_gradient: the inner runs' loss does not depend on the credit network's parameters; "
                "unroll them without torch.no_grad and without detaching phi"
            )
        loss = window.loss.sum() if self._apart else window.loss.mean()
        (gradient,) = torch.autograd.grad(loss, phi)
        left_out = 0
        if self._apart:
            finite = torch.isfinite(gradient).all(1)
            left_out = int((~finite).sum())
            gradient = gradient[finite].mean(0)  # NaN if no inner run is left: the step is skipped
        mean = float(window.loss.detach().mean())
        measured = {"loss": mean, "contained": float(window.contained), "left_out": float(left_out)}
        return gradient, measured

    def state(self) -> dict[str, Tensor]:
        """Descent and inner runs."""
        return self._descent.state() | under("lives/", self._problem.state())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved state."""
        self._descent.restore(state)
        self._problem.restore(within("lives/", state))
