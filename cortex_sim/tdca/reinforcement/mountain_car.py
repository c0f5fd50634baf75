"""MountainCar, as gymnasium's MountainCar-v0 (Moore 1990): a sparse reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.reinforcement.environment import Physics, Range

_LOW, _HIGH, _FASTEST, _GOAL = -1.2, 0.6, 0.07, 0.5


class MountainCar:
    """Drive an underpowered car out of a valley; reward −1 for each step until then.

    The engine's force and the car's mass (the pull of the slope) vary. Episodes end after 200 steps, and are
    solved if they end within 110, as in Packer et al. 2018.
    """

    observations: ClassVar[int] = 2
    actions: ClassVar[int] = 3
    cap: ClassVar[int] = 200
    worth: ClassVar[float] = 100.0
    ranges: ClassVar[Mapping[str, Range]] = {
        "force": Range(0.001, (0.0005, 0.005), (0.0001, 0.01)),
        "mass": Range(0.0025, (0.001, 0.005), (0.0005, 0.01)),
    }

    def begin(self, physics: Physics, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Position uniform between −0.6 and −0.4, at rest."""
        place = 0.2 * torch.rand(shape, generator=generator, dtype=physics["force"].dtype) - 0.6
        return torch.stack((place, torch.zeros_like(place)))

    def step(
        self, state: Tensor, action: Tensor, physics: Physics, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step."""
        place, speed = state.unbind(0)
        speed = speed + (action - 1) * physics["force"] - physics["mass"] * (3 * place).cos()
        speed = speed.clamp(-_FASTEST, _FASTEST)
        place = (place + speed).clamp(_LOW, _HIGH)
        speed = torch.where((place == _LOW) & (speed < 0), torch.zeros_like(speed), speed)
        ended = (place >= _GOAL) & (speed >= 0)
        return torch.stack((place, speed)), -torch.ones_like(place), ended

    def observe(self, state: Tensor, physics: Physics) -> Tensor:
        """Position and velocity."""
        return state.movedim(0, -1)

    def scaled(self, observation: Tensor) -> Tensor:
        """Position relative to the valley's bottom, doubled; velocity as a multiple of 0.035."""
        bottom = observation.new_tensor((-0.5, 0.0))
        return (observation - bottom) * observation.new_tensor((2.0, 1 / 0.035))

    def solved(self, lengths: Tensor, ended: Tensor, rewards: Tensor, seen: Tensor) -> Tensor:
        """The top is reached within 110 steps."""
        return ended & (lengths <= 110)
