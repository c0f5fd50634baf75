"""Inner runs of one kind as the joint outer loop unrolls them: with the shared network and own rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.functions.problem import FunctionRuns
from cortex_sim.tdca.inner.layout import Layout
from cortex_sim.tdca.outer.problem import Window
from cortex_sim.tdca.several.network import SharedNetwork


@dataclass(frozen=True, eq=False)
class Assembly:
    """Assembles φ of a kind from the network for this kind, the kind's own parameters, and those held.

    Parameters
    ----------
    kind : str
    network : SharedNetwork
    layout : Layout
        Layout of the kind's φ, which includes the small network's parameters under their names.
    start : Tensor of shape (parameter,)
        The kind's φ before training.
    searched : Tensor of bool, shape (parameter,)
        Which parameters an outer loop may change; all others keep their initial values.
    """

    kind: str
    network: SharedNetwork
    layout: Layout
    start: Tensor
    searched: Tensor

    @property
    def _places(self) -> tuple[Tensor, Tensor]:
        """Positions in φ of the small network's parameters, and of the kind's own."""
        where = self.layout.split(torch.arange(self.layout.count))
        shared = torch.cat([where[name].flatten() for name in self.network.small.shapes()])
        own = self.searched.clone()
        own[shared] = False
        return shared, torch.nonzero(own).flatten()

    @property
    def own(self) -> Tensor:
        """The kind's own parameters before training."""
        return self.start[self._places[1]]

    @property
    def names(self) -> list[str]:
        """Names of parameters that are not the network's."""
        return [name for name in self.layout.shapes if name not in self.network.small.shapes()]

    @property
    def count(self) -> int:
        """Number of parameters that inner runs of this kind depend on: `SharedNetwork.read`, then its own."""
        return len(self.network.read(self.kind)) + len(self.own)

    def phi(self, given: Tensor) -> Tensor:
        """φ of the kind (…, parameter), from the parameters (…, count) that it depends on."""
        shared, own = self._places
        read, lead = self.network.read(self.kind), given.shape[:-1]
        used, rest = given.split([len(read), len(own)], -1)
        net = given.new_zeros(self.network.layout.count).expand(*lead, -1).index_copy(-1, read, used)
        named = self.network.at(self.network.layout.split(net), self.kind)
        flat = torch.cat([named[name].reshape(*lead, -1) for name in self.network.small.shapes()], -1)
        every = self.start.to(given.dtype).expand(*lead, -1)
        return every.index_copy(-1, own, rest).index_copy(-1, shared, flat)


class Part:
    """Inner runs of one kind; satisfies `cortex_sim.tdca.outer.problem.UnrolledProblem`.

    Its φ consists of the parameters that `Assembly.count` counts.

    Parameters
    ----------
    assembly : Assembly
    runs : UnrolledProblem
        Inner runs that take the kind's whole φ.
    """

    def __init__(self, assembly: Assembly, runs: Any) -> None:
        self.assembly, self.runs = assembly, runs
        self.parameters = assembly.count

    @property
    def count(self) -> int:
        """Number of inner runs."""
        return int(self.runs.count)

    def due(self) -> Tensor:
        """As in the inner runs."""
        due: Tensor = self.runs.due()
        return due

    def unroll(self, phi: Tensor) -> Window:
        """Advance all inner runs by a window."""
        window: Window = self.runs.unroll(self.assembly.phi(phi))
        return window

    def state(self) -> dict[str, Tensor]:
        """As in the inner runs."""
        state: dict[str, Tensor] = self.runs.state()
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """As in the inner runs."""
        self.runs.restore(state)


class FunctionWindows:
    """Whole inner runs on functions as windows: every inner run is one window, all on the same tasks.

    Satisfies `cortex_sim.tdca.outer.problem.UnrolledProblem`, for searchers that learn from differences.

    Parameters
    ----------
    runs : FunctionRuns
    count : int
        Inner runs in a window, each with its own φ.
    seed : int
    """

    def __init__(self, runs: FunctionRuns, count: int, seed: int) -> None:
        self.runs, self.count, self.parameters = runs, count, runs.parameters
        self.generator = Generator().manual_seed(seed)

    def due(self) -> Tensor:
        """All inner runs."""
        return torch.ones(self.count, dtype=torch.bool)

    def unroll(self, phi: Tensor) -> Window:
        """Run all, under φ (run, parameter)."""
        before = self.runs.contained
        loss = self.runs.fitness(phi, self.generator)
        return Window(loss, self.due(), self.runs.contained - before)

    def state(self) -> dict[str, Tensor]:
        """State of the generator."""
        return {"generator": self.generator.get_state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        self.generator.set_state(state["generator"])
