"""Environments: many parallel episodes on torch, each with its own physical parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_known
from cortex_sim.errors import RunError

Physics = Mapping[str, Tensor]  # parameters by name, each of a shape that broadcasts to that of episodes
SETTINGS = ("D", "R", "E")


@dataclass(frozen=True)
class Range:
    """Values of one physical parameter (Packer et al. 2018, arXiv 1810.12282).

    Parameters
    ----------
    default : float
        Value in setting D.
    random, extreme : tuple of two float
        Bounds in R; in E, values lie within ``extreme``, but outside ``random``.
    """

    default: float
    random: tuple[float, float]
    extreme: tuple[float, float]

    def draw(
        self, setting: str, shape: tuple[int, ...], generator: Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Values of this shape: the default (D), or uniform in R or in E."""
        low, high = self.random
        if setting == "D":
            return torch.full(shape, self.default, dtype=dtype)
        u = torch.rand(shape, generator=generator, dtype=dtype)
        if setting == "R":
            return low + (high - low) * u
        below, above = low - self.extreme[0], self.extreme[1] - high
        x = u * (below + above)
        return torch.where(x < below, self.extreme[0] + x, high + x - below)


class Environment(Protocol):
    """Dynamics of parallel episodes; those of gymnasium, where gymnasium has the environment.

    States have shape (variable, *episodes), observations (*episodes, value); rewards and ends have the
    shape of the episodes.

    Attributes
    ----------
    observations, actions : int
        Number of values in an observation, and of actions.
    cap : int
        Largest number of steps.
    ranges : dict of str to Range
        Ranges of the physical parameters.
    worth : float
        Approximate difference in return between a good policy and chance; scales the outer objective.
    """

    observations: ClassVar[int]
    actions: ClassVar[int]
    cap: ClassVar[int]
    ranges: ClassVar[Mapping[str, Range]]
    worth: ClassVar[float]

    def begin(self, physics: Physics, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """States at the start of new episodes, (variable, *shape)."""

    def step(
        self, state: Tensor, action: Tensor, physics: Physics, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Next states, rewards, and whether the episode ended (not by the cap), for actions (int64)."""

    def observe(self, state: Tensor, physics: Physics) -> Tensor:
        """Observations as the published environment gives them."""

    def scaled(self, observation: Tensor) -> Tensor:
        """Observations as the policy reads them: of the order of 1."""

    def solved(self, lengths: Tensor, ended: Tensor, rewards: Tensor, seen: Tensor) -> Tensor:
        """Whether an episode succeeded, by the published criterion, bool of shape (run, episode).

        ``lengths``, in steps, and ``ended``, before the cap, have shape (run, episode); ``rewards`` has shape
        (time, run, episode), and ``seen``, the scaled observations, (time, run, episode, value).
        """


def drawn(
    environment: Environment,
    setting: str,
    shape: tuple[int, ...],
    generator: Generator,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Physical parameters of this shape, by name, in setting D, R or E."""
    require_known("setting of physical parameters", setting, dict.fromkeys(SETTINGS), RunError)
    return {
        name: span.draw(setting, shape, generator, dtype) for name, span in sorted(environment.ranges.items())
    }
