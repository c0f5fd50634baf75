"""Noise-reuse evolution strategies: an unbiased gradient without backpropagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_nonnegative, require_positive
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.registry import register
from cortex_sim.tdca.outer.descent import Descent, require_final
from cortex_sim.tdca.outer.problem import UnrolledProblem, Window, checked, started, under, within

_ALL = slice(None)


@register("searcher", "nres")
@dataclass(frozen=True)
class NRES:
    """Descend along differences between twins, one under φ + σε and one under φ − σε throughout.

    g = mean over pairs i of (L_i⁺ − L_i⁻) / (2σ) · ε_i, with ε_i ~ N(0, 1) drawn when pair i starts and kept
    to its end, and L the mean loss over the window.

    Parameters
    ----------
    sigma : float, default 0.01
        Standard deviation of the perturbation; positive.
    rate : float, default 0.001
        Adam's rate at the start; positive.
    clip : float, default 1.0
        Largest norm of the gradient; 0 for no limit.
    final : float, default 0.1
        Fraction of the rate left at the end of the cosine.

    Notes
    -----
    Exact while φ is constant: an inner run keeps one perturbation throughout, so every window's loss is a
    function of one φ ± σε, and the mean of g over all windows of an inner run has the expectation of the
    gradient of the σ-smoothed loss E_ε[L(φ + σε)], L being the mean over the inner run. The same
    holds for g over many pairs once their ages are spread evenly; inner runs of unequal length count by
    their number of windows. Not exact: φ changes during an inner run, so that later windows start from inner
    states reached under earlier φ; and with clipped losses it is the gradient of the clipped objective.

    References
    ----------
    Li, Harrison, Sohl-Dickstein, Smith and Metz (2023), arXiv 2304.12180. Their code, too, takes the mean
    over steps and pairs; Adam and its schedule are our choice.
    """

    serves: ClassVar[str] = "unrolls"
    twins: ClassVar[bool] = True
    backpropagates: ClassVar[bool] = False

    sigma: float = 0.01
    rate: float = 0.001
    clip: float = 1.0
    final: float = 0.1

    def __post_init__(self) -> None:
        require_positive(self, sigma=self.sigma, rate=self.rate)
        require_nonnegative(self, clip=self.clip)
        require_final(self, self.final)

    def begin(
        self, problem: UnrolledProblem, centre: Tensor, iterations: int, generator: Generator
    ) -> NRESSearch:
        """Start at ``centre``, on twins that have not started; ``generator`` draws the perturbations.

        Raises
        ------
        DeclarationError
            If the inner runs are not twins, or have started.
        """
        phi = started("nres", problem, centre)
        if problem.count < 2 or problem.count % 2:
            raise DeclarationError(
                f"nres: inner runs come in pairs, but there are {problem.count}; give an even number, with "
                "twins=True"
            )
        if not bool(problem.due().all()):
            raise DeclarationError(
                "nres: some inner runs have started under another phi; give inner runs that have not started"
            )
        descent = Descent(phi, self.rate, iterations, self.clip, self.final)
        return NRESSearch(problem, descent, self.sigma, generator)


class NRESSearch:
    """A running `NRES`."""

    def __init__(self, runs: UnrolledProblem, descent: Descent, sigma: float, generator: Generator) -> None:
        self._problem, self._descent, self._sigma, self._generator = runs, descent, sigma, generator
        self._noise = descent.centre.new_zeros(runs.count // 2, runs.parameters)

    @property
    def centre(self) -> Tensor:
        """Parameters found so far, (P,)."""
        return self._descent.centre

    def step(self) -> dict[str, float]:
        """Unroll one window, and descend."""
        gradient, measured = self.estimate()
        return measured | self._descent.step(gradient)

    @torch.no_grad()
    def estimate(self) -> tuple[Tensor, dict[str, float]]:
        """Unroll one window; returns g of shape (P,), and measurements."""
        window = self._unroll()
        plus, minus = window.loss[0::2], window.loss[1::2]
        slope = (plus - minus) / (2 * self._sigma)
        slope = slope.to(self._noise.dtype)  # losses may be more precise than φ
        gradient = slope @ self._noise / len(self._noise)
        measured = {"loss": float(window.loss.mean()), "contained": float(window.contained)}
        return gradient, measured | {"sigma": self._sigma}

    def _unroll(self) -> Window:
        """Draw a perturbation for every pair that is about to start, and advance all pairs by a window."""
        before, drawn_with = self._noise, self._generator.get_state()
        self._noise = redrawn(before, self._problem.due(), self._generator)
        if isinstance(self._problem, TwinsElsewhere):
            return self._problem.unroll_twins(self.centre, self._sigma, before, drawn_with)
        return self._problem.unroll(mirrored(self.centre, self._sigma, self._noise))

    def state(self) -> dict[str, Tensor]:
        """Descent, perturbations in use, their generator, and inner runs."""
        own = {"noise": self._noise.clone(), "generator": self._generator.get_state()}
        return self._descent.state() | own | under("lives/", self._problem.state())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved state."""
        own = {"noise": self._noise, "generator": self._generator.get_state()}
        saved = checked("nres", own, state)
        self._descent.restore(state)
        self._noise = saved["noise"]
        self._generator.set_state(saved["generator"])
        self._problem.restore(within("lives/", state))


@runtime_checkable
class TwinsElsewhere(Protocol):
    """Pairs that advance in other processes, each of which draws the perturbations of its pairs itself."""

    def unroll_twins(self, centre: Tensor, sigma: float, before: Tensor, drawn_with: Tensor) -> Window:
        """As `unroll` with `mirrored`, of `redrawn` perturbations.

        ``before`` (pair, P) are those of the window before, ``drawn_with`` the state of the generator from
        which new ones are drawn.
        """
        ...


def redrawn(noise: Tensor, due: Tensor, generator: Generator, pairs: slice = _ALL) -> Tensor:
    """Perturbations (pair, P) with new ones for every pair that is due; ``due`` is of all inner runs.

    ``noise`` and the result are of ``pairs`` only, but random numbers are drawn for all pairs.
    """
    begins = due[0::2]
    if not torch.equal(begins, due[1::2]):
        raise RunError("nres: twins do not start together; make the inner runs with twins=True")
    every = noise.new_zeros(len(begins), noise.shape[1])
    drawn = torch.randn(int(begins.sum()), noise.shape[1], generator=generator, dtype=noise.dtype)
    every[begins] = drawn.to(noise.device)
    return torch.where(begins[pairs, None], every[pairs], noise)


def mirrored(centre: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """φ of the inner runs (run, P): centre + σε and centre − σε of each pair."""
    shift = sigma * noise
    return torch.stack((centre + shift, centre - shift), 1).flatten(0, 1)
