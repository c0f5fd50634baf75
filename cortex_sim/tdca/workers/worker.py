"""One worker: advances its share of the inner runs, or evaluates its share of the members.

A worker decides nothing: which inner runs start again, φ, and the states of generators are the same for all
workers, and come from the process that searches.
"""

from __future__ import annotations

import os
import pickle
import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from cortex_sim.registry import names, register
from cortex_sim.runs import identity
from cortex_sim.tdca.outer.nres import mirrored, redrawn
from cortex_sim.tdca.outer.problem import Window
from cortex_sim.tdca.workers.splitting import State


@dataclass(frozen=True, eq=False)
class Move:
    """One window, as sent to every worker.

    Parameters
    ----------
    due : bool tensor of shape (run,)
        Which of all inner runs start again.
    phi : tensor of shape (P,) or (share, P)
        Outer parameters; with twins, the centre.
    sigma : float, optional
        With twins: standard deviation of the perturbations, which the worker draws itself.
    drawn_with : tensor, optional
        With twins: state of the generator that draws them.
    gradient : bool
        Whether `Worker.gradient` will be called.
    """

    due: Tensor
    phi: Tensor
    sigma: float = 0.0
    drawn_with: Tensor | None = None
    gradient: bool = False


@dataclass(frozen=True, eq=False)
class Advanced:
    """Results of a worker's share in a window, (run,) each, and whether the loss depends on φ."""

    loss: Tensor
    begins: Tensor
    contained: int
    due: Tensor
    differentiable: bool


@dataclass(frozen=True)
class Host:
    """Machine, process and package versions of a worker, and the content of its data sets by name."""

    name: str
    process: int
    versions: tuple[tuple[str, str], ...]
    data: Mapping[str, Any] = field(default_factory=dict)


def this_host() -> Host:
    """The host of this process."""
    import cortex_sim

    versions = (("cortex-sim", cortex_sim.__version__), ("torch", torch.__version__))
    return Host(platform.node(), os.getpid(), versions)


def data_of(settings: Any, data_dir: Path | None) -> dict[str, Any]:
    """Content of the data sets that an outer loop depends on, by name; a missing one is its name alone."""
    return {name: identity.of_data(name, data_dir, times=False) for name in settings.sources()}


class Worker:
    """A share of the inner runs of an outer loop, in its own process.

    Parameters
    ----------
    settings : OuterProblem
    data_dir : Path or None
    threads : int
        Threads that torch may use.
    own : sequence of (kind, name, pickled class)
        Classes that the user has registered in the process that searches.
    """

    def __init__(
        self,
        settings: Any,
        data_dir: Path | None,
        threads: int,
        own: Sequence[tuple[str, str, bytes]] = (),
    ) -> None:
        torch.set_num_threads(threads)
        for kind, name, pickled in own:
            _enter(kind, name, pickled)
        self._settings, self._data_dir = settings, data_dir
        self._problem: Any = None
        self._runs: Any = None
        self._noise: Tensor | None = None
        self._pairs = slice(0, 0)
        self._last: tuple[Tensor, Tensor] | None = None  # φ and loss of the window to be differentiated

    def host(self) -> Host:
        """Its machine, process, versions and data."""
        return replace(this_host(), data=data_of(self._settings, self._data_dir))

    def cpu_seconds(self) -> float:
        """CPU time of its process so far, in s."""
        return time.process_time()

    def _whole(self) -> Any:
        """The problem of all inner runs, read once."""
        if self._problem is None:
            self._problem, _ = self._settings.problem(self._data_dir)
        return self._problem

    def outcomes(self, phi: Tensor, drawn_with: Tensor) -> tuple[Tensor, int, Tensor]:
        """Outcomes of members φ (member, P), losses contained, and the generator's state afterwards."""
        problem, generator = self._whole(), Generator()
        generator.set_state(drawn_with)
        before = problem.contained
        found = problem.outcomes(phi, generator)
        return found, problem.contained - before, generator.get_state()

    def begin(self, share: slice, state: State | None, noise: Tensor | None) -> None:
        """Take over a share of inner runs, in this state or not started; with twins, also perturbations."""
        self._runs, self._noise, self._last = self._whole().share(share), noise, None
        self._pairs = slice(share.start // 2, share.stop // 2)
        if state is not None:
            self._runs.restore(state)

    def advance(self, moves: Sequence[Move]) -> Advanced:
        """Advance by these windows; returns the results of the last."""
        for move in moves[:-1]:  # run again, after a worker was lost
            self._advance(move, gradient=False)
        return self._advance(moves[-1], moves[-1].gradient)

    def _advance(self, move: Move, gradient: bool) -> Advanced:
        phi = move.phi
        if move.drawn_with is not None:
            assert self._noise is not None, "twins were begun without their perturbations"
            generator = Generator()
            generator.set_state(move.drawn_with)
            self._noise = redrawn(self._noise, move.due, generator, self._pairs)
            phi = mirrored(phi, move.sigma, self._noise)
        phi = phi.detach().requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            window: Window = self._runs.unroll(phi, move.due)
        differentiable = window.loss.requires_grad
        self._last = (phi, window.loss) if differentiable else None
        loss = window.loss.detach()
        return Advanced(loss, window.begins, window.contained, self._runs.due(), differentiable)

    def gradient(self, weights: Tensor) -> Tensor:
        """Σ_i weights_i ∂loss_i/∂φ over the share, in the window last advanced; of the shape of its φ."""
        assert self._last is not None, "the window was not advanced with gradient=True"
        phi, loss = self._last
        (found,) = torch.autograd.grad(loss, phi, weights)
        self._last = None
        return found

    def state(self) -> tuple[State, Tensor | None]:
        """State of the share, and the perturbations of twins."""
        return self._runs.state(), self._noise


def _enter(kind: str, name: str, pickled: bytes) -> None:
    """Register a class here, unless the module that it comes from is missing or has done so."""
    with suppress(ImportError, AttributeError):  # if it is needed, its name is refused as unknown
        cls = pickle.loads(pickled)
        if name not in names(kind):
            register(kind, name)(cls)
